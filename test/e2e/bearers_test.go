package e2e

import (
	"crypto/elliptic"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const (
	entraTenant   = "72f988bf-86f1-41af-91ab-2d7cd011db47"
	entraAudience = "api://hooks.example.com"
	eventGrid     = "4962773b-9cdb-44cf-a8bf-237846a00ab7"
)

// entra are the claims of a token of Microsoft Entra, of its first or second version.
func entra(version int, more map[string]any) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"aud": entraAudience, "iat": now.Add(-time.Hour).Unix(), "nbf": now.Add(-time.Hour).Unix(), "exp": now.Add(time.Hour).Unix(),
		"roles": []string{"AzureEventGridSecureWebhookSubscriber"}, "tid": entraTenant,
	}
	if version == 1 {
		claims["ver"], claims["iss"], claims["appid"] = "1.0", "https://sts.windows.net/"+entraTenant+"/", eventGrid
	} else {
		claims["ver"], claims["iss"], claims["azp"] = "2.0", "https://login.microsoftonline.com/"+entraTenant+"/v2.0", eventGrid
	}
	maps.Copy(claims, more)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims
}

// Event Grid with Microsoft Entra: both versions of its tokens, for one tenant, audience and
// caller, and both checks of the endpoint.
func TestEventGridSendsATokenOfEntra(t *testing.T) {
	t.Parallel()
	key, stranger := newRSA(t, "entra-1", 2048), newRSA(t, "entra-1", 2048)
	server := newKeyServer(t, key.jwk(), newEC(t, "ec", elliptic.P256()).jwk()).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "azure-event-grid-entra", proxy(app), "keys jwks "+server.URL+"/"+entraTenant+"/discovery/v2.0/keys",
		"param tenant "+entraTenant, "param audience "+entraAudience, "param application "+eventGrid)}.start(t)
	ask := func(method, token, body string, headers ...string) testbed.Response {
		t.Helper()
		req, err := http.NewRequest(method, g.URL("/webhooks/azure-event-grid-entra"), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return testbed.Do(t, req)
	}
	event := func() string {
		return `[{"id":"` + testbed.NewID() + `","eventType":"Microsoft.Storage.BlobCreated","subject":"s","data":{},"eventTime":"2026-11-28T12:00:00Z"}]`
	}
	cloudEvent := func() string {
		return `{"id":"` + testbed.NewID() + `","source":"/s","type":"Microsoft.Storage.BlobCreated","specversion":"1.0","data":{}}`
	}
	calls := 0
	for _, version := range []int{1, 2} {
		token := key.token(t, entra(version, nil), nil)
		for _, body := range []string{event(), cloudEvent()} {
			want(t, ask("POST", token, body, "Aeg-Event-Type", "Notification"), 200, "forwarded")
			calls++
			wantDelivered(t, app, calls, []byte(body))
			// Another token, too: the event's ID tells copies apart.
			want(t, ask("POST", key.token(t, entra(3-version, nil), nil), body), 200, "duplicate")
		}
		for name, more := range map[string]map[string]any{
			"another tenant":         {"iss": "https://sts.windows.net/11111111-86f1-41af-91ab-2d7cd011db47/"},
			"another tenant, v2":     {"iss": "https://login.microsoftonline.com/11111111-86f1-41af-91ab-2d7cd011db47/v2.0"},
			"the common issuer":      {"iss": "https://login.microsoftonline.com/common/v2.0"},
			"an issuer of its own":   {"iss": server.URL},
			"an issuer and more":     {"iss": "https://sts.windows.net/" + entraTenant + "/x"},
			"both issuers":           {"iss": []string{"https://sts.windows.net/" + entraTenant + "/"}},
			"no issuer":              {"iss": nil},
			"another audience":       {"aud": "https://management.azure.com"},
			"a longer audience":      {"aud": entraAudience + "/"},
			"an audience in a list":  {"aud": []string{entraAudience}},
			"no audience":            {"aud": nil},
			"another caller, v1":     {"appid": "11111111-9cdb-44cf-a8bf-237846a00ab7"},
			"another caller, v2":     {"azp": "11111111-9cdb-44cf-a8bf-237846a00ab7"},
			"no caller":              {"appid": nil, "azp": nil},
			"a caller without value": {"appid": "", "azp": ""},
			"callers in a list":      {"appid": []string{eventGrid}, "azp": nil},
		} {
			if resp := ask("POST", key.token(t, entra(version, more), nil), event()); resp.Status != 401 {
				t.Errorf("v%d, %s: %v", version, name, resp)
			}
		}
		for name, more := range map[string]map[string]any{
			"expired":       {"exp": time.Now().Add(-5 * time.Minute).Unix()},
			"not yet valid": {"nbf": time.Now().Add(5 * time.Minute).Unix()},
			"old":           {"iat": time.Now().Add(-26 * time.Hour).Unix()},
			"no time":       {"iat": nil},
		} {
			if resp := ask("POST", key.token(t, entra(version, more), nil), event()); resp.Status != 403 {
				t.Errorf("v%d, %s: %v", version, name, resp)
			}
		}
	}
	for name, token := range map[string]string{
		"none": "", "a stranger's": stranger.token(t, entra(2, nil), nil), "unsigned": unsignedToken(entra(2, nil), key.kid, "none"), "an HMAC": hmacToken(entra(2, nil), key.kid, []byte("secret")),
		"jku": stranger.token(t, entra(2, nil), map[string]any{"jku": server.URL}),
	} {
		if resp := ask("POST", token, event()); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	wantCalls(t, app, calls)

	const check = `[{"id":"2d1781af","topic":"t","subject":"","data":{"validationCode":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6","validationUrl":"https://rp.eventgrid.azure.net/x"},"eventType":"Microsoft.EventGrid.SubscriptionValidationEvent","eventTime":"2026-11-28T12:00:00Z","metadataVersion":"1","dataVersion":"1"}]`
	resp := ask("POST", key.token(t, entra(1, nil), nil), check, "Aeg-Event-Type", "SubscriptionValidation")
	want(t, resp, 200, "handshake")
	if string(resp.Body) != `{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}` {
		t.Errorf("the reply is %s", resp.Body)
	}
	if resp := ask("POST", "", check, "Aeg-Event-Type", "SubscriptionValidation"); resp.Status != 401 {
		t.Errorf("a check without a token: %v", resp)
	}
	resp = ask("OPTIONS", "", "", "WebHook-Request-Origin", "eventgrid.azure.net", "WebHook-Request-Rate", "120")
	want(t, resp, 200, "handshake")
	if got := resp.Header.Get("WebHook-Allowed-Origin"); got != "eventgrid.azure.net" {
		t.Errorf("allowed origin %q", got)
	}
	if resp := ask("OPTIONS", "", "", "WebHook-Request-Origin", "evil.example"); resp.Status != 405 {
		t.Errorf("another origin: %v", resp)
	}
	wantCalls(t, app, calls)
}

// Gemini's dynamic webhooks have a token for an audience, beside the headers of Standard
// Webhooks.
func TestGeminiSendsATokenForAnAudience(t *testing.T) {
	t.Parallel()
	key, stranger := newRSA(t, "g1", 2048), newRSA(t, "g1", 2048)
	server := newKeyServer(t, key.jwk("alg", "RS256")).overHTTP()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "google-gemini-dynamic", proxy(app), "keys jwks "+server.URL+"/.well-known/jwks.json", "param audience my-project")}.start(t)
	claims := func(more map[string]any) map[string]any {
		all := map[string]any{"iss": "https://generativelanguage.googleapis.com", "aud": "my-project", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
		maps.Copy(all, more)
		maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
		return all
	}
	send := func(token, id string, at time.Time) testbed.Response {
		t.Helper()
		return testbed.Do(t, post(t, g.URL("/webhooks/google-gemini-dynamic"), []byte(`{"type":"batch.succeeded","version":"v1","data":{"id":"batch_1"}}`), map[string]string{
			"Webhook-Signature": token, "Webhook-Id": id, "Webhook-Timestamp": strconv.FormatInt(at.Unix(), 10), "Content-Type": "application/json",
		}))
	}
	now := time.Now()
	id := testbed.NewID()
	token := key.token(t, claims(nil), nil)
	want(t, send(token, id, now), 200, "forwarded")
	want(t, send(key.token(t, claims(map[string]any{"jti": "2"}), nil), id, now), 200, "duplicate")
	// One token may carry several events: nothing documented says that it does not.
	want(t, send(token, testbed.NewID(), now), 200, "forwarded")
	for name, token := range map[string]string{
		"another audience":    key.token(t, claims(map[string]any{"aud": "another"}), nil),
		"no audience":         key.token(t, claims(map[string]any{"aud": nil}), nil),
		"a list of audiences": key.token(t, claims(map[string]any{"aud": []string{"my-project", "another"}}), nil),
		"a stranger's":        stranger.token(t, claims(nil), nil),
		"jwk":                 stranger.token(t, claims(nil), map[string]any{"jwk": stranger.jwk()}),
		"none":                unsignedToken(claims(nil), "g1", "none"),
		"an HMAC":             hmacToken(claims(nil), "g1", []byte("secret")),
		"a static signature":  "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
	} {
		if resp := send(token, testbed.NewID(), now); resp.Status != 401 {
			t.Errorf("%s: %v", name, resp)
		}
	}
	want(t, send(key.token(t, claims(map[string]any{"exp": now.Add(-5 * time.Minute).Unix()}), nil), testbed.NewID(), now), 403, "timestamp_stale")
	want(t, send(token, testbed.NewID(), now.Add(-time.Hour)), 403, "timestamp_stale")
	wantCalls(t, app, 2)
}
