package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Requests of senders from the catalogue, signed here as their documentation or own code
// says, and what somebody makes of a captured one.
func TestSendersAndWhatIsMadeOfThem(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "gitea-forgejo", "gogs", "microsoft-graph", "supabase-auth", "worldpay", "coinbase-cdp", "klarna", "ghost", "mailgun-inbound", "docker-registry")
	now := time.Now().UTC()
	stamp := fmt.Sprint(now.Unix())
	hexMAC := func(text string) string { return hex.EncodeToString(hmac256(shapeSecret, text)) }

	push := `{"ref":"refs/heads/main","message":"a b&c"}`
	asForm := "payload=" + url.QueryEscape(push)
	gitea := func(sender, body, payload, id string) reported {
		name := map[string]string{"gitea-forgejo": "X-Gitea", "gogs": "X-Gogs"}[sender]
		return reported{"/" + sender, body, []string{name + "-Signature", hexMAC(payload), name + "-Delivery", id, name + "-Event", "push"}}
	}
	for _, sender := range []string{"gitea-forgejo", "gogs"} {
		other := strings.Replace(push, "main", "next", 1)
		take(t, g, app, []step{
			{gitea(sender, push, push, "d-1"), "forwarded"},
			{gitea(sender, push, push, "d-1"), "duplicate"},
			{gitea(sender, asForm, push, "d-9"), "duplicate"},
			{gitea(sender, asForm+"&x=1", push, "d-8"), "duplicate"},
			{gitea(sender, "payload="+url.QueryEscape(other), other, "d-2"), "forwarded"},
			{gitea(sender, other, other, "d-7"), "duplicate"},
			{gitea(sender, "payload="+url.QueryEscape(other), push, "d-3"), "signature_invalid"},
		})
	}

	graph := func(body string) reported { return reported{"/microsoft-graph", body, nil} }
	mine, forged := `{"clientState":"`+shapeSecret+`","changeType":"created"}`, `{"clientState":"guess","changeType":"deleted"}`
	take(t, g, app, []step{
		{graph(`{"value":[` + mine + `,` + mine + `]}`), "forwarded"},
		{graph(`{"value":[` + mine + `,` + forged + `]}`), "token_invalid"},
		{graph(`{"value":[` + mine + `,{"changeType":"deleted"}]}`), "token_missing"},
		{graph(`{"value":[` + mine + `],"value":[` + forged + `]}`), "token_invalid"},
		{graph(`{"value":[]}`), "token_missing"},
	})

	hook := func(id, text string) reported {
		return reported{"/supabase-auth", `{"user":{}}`, []string{"webhook-id", id, "webhook-timestamp", stamp,
			"webhook-signature", "v1," + base64.StdEncoding.EncodeToString(hmac256("another", text)) + ", v1," + base64MAC(text)}}
	}
	event := `{"eventId":"e-1","id":"e-1","metadata":{"event_id":"e-1","event_type":"t","occurred_at":"` + now.Format(time.RFC3339) + `"}}`
	cdp := func(id, v0 string) reported {
		return reported{"/coinbase-cdp", event, []string{"X-Hook0-Signature", "t=" + stamp + ",v0=" + v0 + ",h=x-event-id,v1=" + strings.Repeat("0", 64), "X-Event-Id", id}}
	}
	ms := fmt.Sprint(now.UnixMilli())
	mail := func(subject string) reported {
		return reported{"/mailgun-inbound", "timestamp=" + stamp + "&token=t-1&signature=" + hexMAC(stamp+"t-1") + "&subject=" + subject, nil}
	}
	registry := func(token, id string) reported {
		return reported{"/docker-registry", `{"events":[{"id":"` + id + `","action":"push"}]}`, []string{"Authorization", "Bearer " + token}}
	}
	take(t, g, app, []step{
		{hook("m-1", "m-1."+stamp+`.{"user":{}}`), "forwarded"},
		{hook("m-1", "m-1."+stamp+`.{"user":{}}`), "duplicate"},
		{hook("m-2", "m-1."+stamp+`.{"user":{}}`), "signature_invalid"},
		{reported{"/worldpay", event, []string{"Event-Signature", "1/SHA256/" + strings.Repeat("0", 64) + ",2/SHA256/" + hexMAC(event)}}, "forwarded"},
		{reported{"/worldpay", event, []string{"Event-Signature", "1/SHA256/" + strings.Repeat("0", 64)}}, "signature_invalid"},
		{cdp("e-1", hexMAC(stamp+"."+event)), "forwarded"},
		{cdp("e-9", hexMAC(stamp+"."+event)), "duplicate"},
		{cdp("e-2", hexMAC(stamp+".{}")), "signature_invalid"},
		{reported{"/klarna", event, []string{"Klarna-Signature", base64MAC(event)}}, "forwarded"},
		{reported{"/klarna", event, []string{"Klarna-Signature", hexMAC(event)}}, "duplicate"},
		{reported{"/ghost", "{}", []string{"X-Ghost-Signature", "sha256=" + hexMAC("{}"+ms) + ", t=" + ms}}, "forwarded"},
		{reported{"/ghost", "{}", []string{"X-Ghost-Signature", "sha256=" + hexMAC("{}"+ms) + ", t=" + fmt.Sprint(now.UnixMilli()+1)}}, "signature_invalid"},
		{mail("hello"), "forwarded"},
		{mail("forged"), "duplicate"},
		{registry(shapeSecret, "r-1"), "forwarded"},
		{registry(shapeSecret, "r-1"), "duplicate"},
		{registry("guess", "r-2"), "token_invalid"},
	})
}

// Azure Event Grid checks an endpoint in two ways before it sends anything.
func TestEventGridChecksItsEndpoint(t *testing.T) {
	t.Parallel()
	app, g := shapes(t, "azure-event-grid")
	const check = `[{"id":"1","eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","data":{"validationCode":"512d-b6"}}]`
	ask := func(method, query, body string, headers ...string) testbed.Response {
		req, err := http.NewRequest(method, g.URL("/azure-event-grid")+query, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return testbed.Do(t, req)
	}
	good := "?token=" + shapeSecret
	if resp := ask("POST", good, check, "Aeg-Event-Type", "SubscriptionValidation"); resp.Status != 200 || string(resp.Body) != `{"validationResponse":"512d-b6"}` {
		t.Errorf("the check with the token: %d %s", resp.Status, resp.Body)
	}
	if resp := ask("POST", "?token=guess", check, "Aeg-Event-Type", "SubscriptionValidation"); resp.Status != 401 {
		t.Errorf("the check with another token: %d %s", resp.Status, resp.Body)
	}
	if resp := ask("OPTIONS", "", "", "WebHook-Request-Origin", "eventgrid.azure.net"); resp.Status != 200 || resp.Header.Get("WebHook-Allowed-Origin") != "eventgrid.azure.net" {
		t.Errorf("the preflight: %d %v", resp.Status, resp.Header)
	}
	if resp := ask("OPTIONS", "", "", "WebHook-Request-Origin", "evil.example"); resp.Status == 200 {
		t.Errorf("another sender's preflight: %d", resp.Status)
	}
	wantCalls(t, app, 0)
	for id, want := range map[string]string{"e-1": "forwarded", "e-2": "forwarded"} {
		if resp := ask("POST", good, `[{"id":"`+id+`","eventType":"x"}]`, "Aeg-Event-Type", "Notification"); resp.Guard != want {
			t.Errorf("event %s: %s", id, resp.Guard)
		}
	}
	if resp := ask("POST", good, `{"id":"e-1","specversion":"1.0"}`); resp.Guard != "duplicate" {
		t.Errorf("the first event again, as CloudEvents write it: %s", resp.Guard)
	}
}
