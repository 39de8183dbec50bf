package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A proxy drops the headers that a Connection header names. Nobody signs that one, so it
// could take signed headers from an app that checks them again.
func TestAttackConnectionCannotTakeHeadersAway(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	for _, s := range testbed.Senders() {
		if s.SignatureHeader == "" {
			continue
		}
		e := testbed.Event{}.Fill()
		req := s.Request(t, g.URL(""), e)
		var own []string
		for name := range req.Header {
			own = append(own, name)
		}
		slices.Sort(own)
		for what, lines := range map[string][]string{
			"one list":       {"Connection: " + strings.Join(own, ", ")},
			"small letters":  {"connection: close," + strings.ToLower(strings.Join(own, ",\t"))},
			"several lists":  {"Connection: keep-alive, " + own[0], "Connection: " + strings.Join(own[1:], " ,")},
			"beside our own": {"Connection: Webhook-Guard, " + strings.Join(own, ",") + ", Webhook-Guard-Signed, Webhook-Guard-Scope"},
		} {
			t.Run(s.Name+", "+what, func(t *testing.T) {
				e := testbed.Event{}.Fill()
				body, calls := s.Body(e), app.Count()
				req := s.Request(t, g.URL(""), e)
				conn := dial(t, req)
				say(t, conn, wire(req, append(lines, "Content-Length: "+strconv.Itoa(len(body)))...)+string(body))
				want(t, hear(t, conn), http.StatusOK, "forwarded")
				d := wantDelivered(t, app, calls+1, body)
				wantHeaders(t, d, facts(s, e))
				for _, name := range own {
					if got, sent := d.Header.Values(name), req.Header.Values(name); !slices.Equal(got, sent) {
						t.Errorf("the app got %s: %q, sent was %q", name, got, sent)
					}
				}
			})
		}
	}
}

// Two IDs of two parts may not look the same to the app, and neither may two tenants' IDs.
func TestAttackIDsThatJoinAlike(t *testing.T) {
	t.Parallel()
	const key = "a-secret-of-two-tenants"
	app := testbed.StartApp(t, nil)
	guard := func(path string) string {
		return fmt.Sprintf("handle /%s {\n\twebhook_guard pair {\n\t\tsecret %s\n\t\tscope %s\n\t}\n\t%s\n}\n", path, key, path, proxy(app))
	}
	g := site{
		store: "memory", guards: "provider pair {\n\tsignature X-Signature sha256 hex\n\tid body a body b\n\tevent header X-Event\n\tevent_time body at\n}",
		routes: guard("acme") + guard("umbrella"),
	}.start(t)
	seen := make(map[string]string)
	for _, path := range []string{"/acme", "/umbrella"} {
		for _, id := range [][2]string{{"x:y", "z"}, {"x", "y:z"}, {"x%3Ay", "z"}, {"x:", "y:z"}, {"x", ":y:z"}} {
			body := fmt.Sprintf(`{"a":%q,"b":%q,"at":%d}`, id[0], id[1], time.Now().Unix())
			event := reported{path, body, []string{"X-Signature", hex.EncodeToString(hmac256(key, body)), "X-Event", "unsigned"}}
			wantResult(t, path+" "+strings.Join(id[:], "+"), event.send(t, g), http.StatusOK, "forwarded")
			d := last(t, app)
			if got := d.Header.Get("Webhook-Guard-Signed"); got != "id time" {
				t.Errorf("signed is said to be %q", got)
			}
			name := d.Header.Get("Webhook-Guard-Provider") + " " + d.Header.Get("Webhook-Guard-Scope") + " " + d.Header.Get("Webhook-Guard-Id")
			if other, taken := seen[name]; taken {
				t.Errorf("%s %q looks to the app like %s: %s", path, id, other, name)
			}
			seen[name] = fmt.Sprintf("%s %q", path, id)
		}
	}
}

// A captured event with the header of an endpoint check is an event all the same: it must
// not be answered in the app's place.
func TestAttackChallengeBesideAnEvent(t *testing.T) {
	t.Parallel()
	const key = "a-secret-of-this-sender"
	app := testbed.StartApp(t, nil)
	guard := func(provider string) string {
		return fmt.Sprintf("handle /%s* {\n\twebhook_guard %s {\n\t\tsecret %s\n\t}\n\t%s\n}\n", provider, provider, key, proxy(app))
	}
	g := site{
		store: "memory", guards: "provider asked {\n\tsignature X-Signature sha256 hex\n\tid header X-Id\n\tmethods GET POST\n\thandshake echo query challenge\n}",
		routes: guard("asked") + guard("woocommerce") + guard("front-application") + guard("twitch"),
	}.start(t)

	stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
	front := func(body string, more ...string) reported {
		mac := base64.StdEncoding.EncodeToString(hmac256(key, stamp+":"+body))
		return reported{"/front-application", body, append(more, "X-Front-Signature", mac, "X-Front-Request-Timestamp", stamp)}
	}
	wantResult(t, "the check of Front", front(`{"type":"sync"}`, "X-Front-Challenge", "abc").send(t, g), http.StatusOK, "handshake")
	wantResult(t, "an event of Front", front(`{"type":"inbound","id":1}`, "X-Front-Challenge", "abc").send(t, g), http.StatusOK, "forwarded")

	note := `{"id":7,"customer_note":"x&webhook_id=12&y="}`
	woo := reported{"/woocommerce", note, []string{
		"X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(hmac256(key, note)), "X-WC-Webhook-Delivery-ID", "d1", "X-WC-Webhook-Topic", "order.updated",
	}}
	wantResult(t, "an order whose note looks like a form", woo.send(t, g), http.StatusOK, "forwarded")
	woo.headers = append(woo.headers, "Content-Type", "application/x-www-form-urlencoded")
	wantResult(t, "the order again, as a form", woo.send(t, g), http.StatusOK, "duplicate")
	wantResult(t, "the check of WooCommerce", reported{"/woocommerce", "webhook_id=12", nil}.send(t, g), http.StatusOK, "handshake")

	const id = "e76c6bd4-55c9-4987-8304-da1588d8988b"
	at := time.Now().UTC().Format(time.RFC3339Nano)
	body := `{"subscription":{"type":"x"},"event":{"id":"1"}}`
	twitch := reported{"/twitch", body, []string{
		"Twitch-Eventsub-Message-Id", id, "Twitch-Eventsub-Message-Timestamp", at, "Twitch-Eventsub-Message-Type", "webhook_callback_verification",
		"Twitch-Eventsub-Message-Signature", "sha256=" + hex.EncodeToString(hmac256(key, id+at+body)),
	}}
	wantResult(t, "an event of Twitch called a check", twitch.send(t, g), http.StatusOK, "forwarded")

	signed := func(body, id string) []string {
		return []string{"X-Signature", hex.EncodeToString(hmac256(key, body)), "X-Id", id}
	}
	asked := reported{"/asked?challenge=abc", `{"n":"1"}`, signed(`{"n":"1"}`, "1")}
	wantResult(t, "a POST with a challenge", asked.send(t, g), http.StatusOK, "forwarded")
	get := func(headers ...string) testbed.Response {
		req, err := http.NewRequest(http.MethodGet, g.URL("/asked?challenge=abc"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		return testbed.Do(t, req)
	}
	wantResult(t, "the check", get(), http.StatusOK, "handshake")
	wantResult(t, "a GET event with a challenge", get(signed("", "2")...), http.StatusOK, "forwarded")
}
