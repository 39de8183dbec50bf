package e2e

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func post(t *testing.T, address string, body []byte, headers map[string]string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	return req
}

// A shop's order is sent under several topics, in bodies that are the same.
func TestOneBodyUnderTwoShopifyTopicsIsTwoEvents(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: route("", "shopify", proxy(app), "secret canary-shopify")}.start(t)
		for name, c := range map[string]struct{ one, two string }{ // event IDs
			"an ID each":  {testbed.NewID(), testbed.NewID()},
			"one ID":      {"shared", "shared"},
			"without IDs": {"", ""},
		} {
			t.Run(name, func(t *testing.T) {
				body := []byte(`{"id":"` + testbed.NewID() + `","total_price":"10.00"}`)
				for _, e := range []struct{ id, topic string }{{c.one, "orders/create"}, {c.two, "orders/updated"}} {
					headers := map[string]string{
						"X-Shopify-Hmac-Sha256": base64.StdEncoding.EncodeToString(mac([]byte("canary-shopify"), string(body))),
						"X-Shopify-Topic":       e.topic,
					}
					if e.id != "" {
						headers["X-Shopify-Event-Id"] = e.id
					}
					calls := app.Count()
					want(t, testbed.Do(t, post(t, g.URL("/webhooks/shopify"), body, headers)), 200, "forwarded")
					if d := wantDelivered(t, app, calls+1, body); d.Header.Get("Webhook-Guard-Event") != e.topic {
						t.Errorf("the app got %q, want %q", d.Header.Get("Webhook-Guard-Event"), e.topic)
					}
					want(t, testbed.Do(t, post(t, g.URL("/webhooks/shopify"), body, headers)), 200, "duplicate")
					wantCalls(t, app, calls+1)
				}
			})
		}
	})
}

// tenantsSite has one route for all tenants, which differ by host.
func tenantsSite(store string, app *testbed.App, fallback string) site {
	return site{store: store, routes: `	map {http.request.host} {tenant} {tenant_secret} {
		a.example.com a canary-secret-of-a
		b.example.com b canary-secret-of-b
		new.example.com new ""
		` + fallback + `
	}
` + route("", "docrouter", proxy(app), "secret {tenant_secret} per_request", "scope {tenant}") +
		route("", "struktr", proxy(app), "secret {tenant_secret} per_request", "scope struktr-{tenant}") +
		route("", "okrapdf", proxy(app), "token query token", "secret {tenant_secret} per_request", "scope okra-{tenant}")}
}

// tenant makes a sender's requests in one tenant's name, to a host.
func tenant(t *testing.T, s testbed.Sender, base, secret, host string, e testbed.Event) *http.Request {
	s.Secret = secret
	req := s.Request(t, base, e)
	req.Host = host
	return req
}

func TestTenantsOfOneRouteShareNothing(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := tenantsSite(store, app, "").start(t)
		hosts := map[string]string{"a.example.com": "canary-secret-of-a", "b.example.com": "canary-secret-of-b"}
		for _, s := range []testbed.Sender{testbed.DocRouter(), testbed.Struktr(), testbed.OkraPDF()} {
			invalid := "signature_invalid"
			if s.SignatureHeader == "" {
				invalid = "token_invalid"
			}
			t.Run(s.Name, func(t *testing.T) {
				e := testbed.Event{}.Fill()
				for _, result := range []string{"forwarded", "duplicate"} {
					for host, secret := range hosts {
						want(t, testbed.Do(t, tenant(t, s, g.URL(""), secret, host, e)), 200, result)
					}
				}
				calls := app.Count()
				if calls%2 != 0 || last(t, app).Header.Get("Webhook-Guard-Id") != facts(s, e)["Webhook-Guard-Id"] {
					t.Fatalf("after two tenants' event the app was called %d times, last for %v", calls, last(t, app).Header)
				}
				other := testbed.Event{}.Fill()
				for host, secret := range map[string]string{
					"a.example.com": "canary-secret-of-b", "b.example.com": "canary-secret-of-a",
				} {
					wantRefused(t, testbed.Do(t, tenant(t, s, g.URL(""), secret, host, other)), 401, invalid)
				}
				// A host without a secret refuses every signature, also with an empty secret.
				for _, host := range []string{"c.example.com", "new.example.com", "example.com", "a.example.com.evil.test", "{tenant_secret}"} {
					for _, secret := range []string{"", "canary-secret-of-a", "{tenant_secret}", "{http.vars.tenant_secret}"} {
						resp := testbed.Do(t, tenant(t, s, g.URL(""), secret, host, other))
						if resp.Status == 400 && resp.Guard == "" {
							continue // Caddy's: that is no host
						}
						wantRefused(t, resp, 503, "secret_unavailable")
					}
				}
				wantCalls(t, app, calls)
				for host, secret := range hosts {
					want(t, testbed.Do(t, tenant(t, s, g.URL(""), secret, host, other)), 200, "forwarded")
				}
				wantDelivered(t, app, calls+2, s.Body(other))
			})
		}
	})
}

// A placeholder without a value does not become a key that somebody could guess.
func TestSecretThatIsStillAPlaceholderIsNone(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		var routes strings.Builder
		secrets := map[string]string{"/unknown": "{no.such.thing}", "/unset": "{http.vars.unset}", "/within": "prefix-{no.such.thing}"}
		for prefix, secret := range secrets {
			routes.WriteString(route(prefix, "docrouter", proxy(app), "secret "+secret+" per_request", "scope {http.request.host}-"+prefix[1:]))
		}
		g := site{store: store, routes: routes.String()}.start(t)
		s := testbed.DocRouter()
		for prefix, secret := range secrets {
			for _, guess := range []string{secret, "", "prefix-"} {
				wantRefused(t, testbed.Do(t, tenant(t, s, g.URL(prefix), guess, "a.example.com", testbed.Event{})), 503, "secret_unavailable")
			}
		}
		wantCalls(t, app, 0)
	})
}

// Where a placeholder in a map's output stands for nothing, Caddy leaves the text around it. That is
// no key: whoever guesses it could sign with it.
func TestWhatAMapLeavesOfASecretIsNone(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	file := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(file, []byte("canary-in-a-file\n"), 0o600))
	left := map[string]struct{ input, output, guess string }{
		"a variable":          {output: "key-{env.NOT_SET}", guess: "key-"},
		"two":                 {output: "{env.NOT_SET}:{env.NOT_SET_EITHER}", guess: ":"},
		"a file":              {output: "{file." + file + ".gone}-key", guess: "-key"},
		"a brace too many":    {output: "{file." + file + ".gone}}", guess: "}"},
		"nested placeholders": {output: "{file." + file + ".{path.2}}", guess: "}"},
		"an unknown one":      {output: "key-{no.such}", guess: "key-"},
		"a tenant's name":     {output: "{tenantPREFIX}{env.NOT_SET}", guess: "a"},
		"a pattern":           {input: "~^a", output: "key-{env.HOME}", guess: "key-{env.HOME}"},
	}
	var routes strings.Builder
	guard := func(prefix, input, output, chain string) {
		fmt.Fprintf(&routes, "\tmap {host} {tenant%[1]s} {key%[1]s} {\n\t\t%[2]s a %[3]s\n\t}\n%[4]s", prefix, input, output, chain)
		key := "key" + prefix
		if chain != "" {
			key = "chained" + prefix
		}
		routes.WriteString(route("/"+prefix, "docrouter", proxy(app), "secret {"+key+"} per_request", "scope "+prefix+"-{tenant"+prefix+"}"))
	}
	n, guesses := 0, map[string]string{}
	for _, c := range left {
		for _, outer := range []string{"KEY", "{KEY}", "more-{KEY}"} { // alone, and through another map
			n++
			prefix, chain := fmt.Sprint("n", n), ""
			fill := strings.NewReplacer("PREFIX", prefix, "KEY", "key"+prefix).Replace
			guess := fill(c.guess)
			if before, _, chained := strings.Cut(outer, "{"); chained {
				chain = fmt.Sprintf("\tmap {host} {chained%s} {\n\t\tdefault %s\n\t}\n", prefix, fill(outer))
				guess = before + guess
			}
			guard(prefix, cmp.Or(c.input, "a.example.com"), fill(c.output), chain)
			guesses[prefix] = guess
		}
	}
	fmt.Fprintf(&routes, "\tvars varied key-{env.NOT_SET}\n")
	routes.WriteString(route("/vars", "docrouter", proxy(app), "secret {vars.varied} per_request", "scope vars-{host}"))
	guesses["vars"] = "key-"
	good := map[string]string{"whole": "{file." + file + "}", "part": "key-{file." + file + "}", "text": "key-of-braces-\\{a\\}"}
	for prefix, output := range good {
		guard(prefix, "a.example.com", output, "")
	}
	g := site{store: "memory", routes: routes.String()}.start(t)
	s := testbed.DocRouter()
	for prefix, guess := range guesses {
		wantRefused(t, testbed.Do(t, tenant(t, s, g.URL("/"+prefix), guess, "a.example.com", testbed.Event{})), 503, "secret_unavailable")
	}
	wantCalls(t, app, 0)
	for prefix, secret := range map[string]string{"whole": "canary-in-a-file", "part": "key-canary-in-a-file", "text": "key-of-braces-{a}"} {
		want(t, testbed.Do(t, tenant(t, s, g.URL("/"+prefix), secret, "a.example.com", testbed.Event{})), 200, "forwarded")
	}
}

// A tenant without a name has no namespace, though it may have a secret.
func TestTenantWithoutAScopeIsNotServed(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		g := tenantsSite(store, app, `~.* "" canary-secret-of-all`).start(t)
		s := testbed.DocRouter()
		resp := testbed.Do(t, tenant(t, s, g.URL(""), "canary-secret-of-all", "c.example.com", testbed.Event{}))
		wantRefused(t, resp, 503, "misconfigured")
		wantCalls(t, app, 0)
	})
}

// While a secret is rotated, both are accepted. Matches are counted by secret, which
// shows when the old one is out of use.
func TestSecretsCanBeRotated(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		behind := proxy(app) + " {\n\t\t\theader_up X-Secret {http.webhook_guard.secret}\n\t\t}"
		soonOver := time.Now().Add(6 * time.Second)
		var routes strings.Builder
		secrets := func(prefix string) []string {
			return []string{
				"secret canary-expired until 2020-01-01T00:00:00Z",
				"secret canary-old until " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
				"secret canary-new",
				"secret canary-short until " + soonOver.UTC().Format(time.RFC3339Nano),
				"scope " + prefix[1:],
			}
		}
		routes.WriteString(route("/signed", "docrouter", behind, secrets("/signed")...))
		routes.WriteString(route("/token", "okrapdf", behind, append(secrets("/token"), "token query token")...))
		g := site{store: store, routes: routes.String()}.start(t)
		for prefix, s := range map[string]testbed.Sender{"/signed": testbed.DocRouter(), "/token": testbed.OkraPDF()} {
			t.Run(prefix[1:], func(t *testing.T) {
				invalid := map[string]string{"/signed": "signature_invalid", "/token": "token_invalid"}[prefix]
				attempt := func(secret string) testbed.Response {
					s.Secret = secret
					return testbed.Do(t, s.Request(t, g.URL(prefix), testbed.Event{}))
				}
				for secret, index := range map[string]string{"canary-old": "1", "canary-new": "2"} {
					calls := app.Count()
					want(t, attempt(secret), 200, "forwarded")
					wantCalls(t, app, calls+1)
					if got := last(t, app).Header.Get("X-Secret"); got != index {
						t.Errorf("%s was named as secret %q, want %s", secret, got, index)
					}
					if got := metric(g, "webhook_guard_secret_matches_total", "scope", prefix[1:], "secret", index); got != 1 {
						t.Errorf("secret %s counts %v matches, want 1", index, got)
					}
				}
				calls := app.Count()
				for _, secret := range []string{"canary-expired", "canary", "canary-old until"} {
					wantRefused(t, attempt(secret), 401, invalid)
				}
				wantCalls(t, app, calls)
				// A secret that expires while the gateway runs needs no reload.
				if resp := attempt("canary-short"); time.Now().Before(soonOver) {
					want(t, resp, 200, "forwarded")
				}
				testbed.Eventually(t, soon, func() bool { return !time.Now().Before(soonOver) }, "the end of a secret")
				calls = app.Count()
				wantRefused(t, attempt("canary-short"), 401, invalid)
				wantCalls(t, app, calls)
				want(t, attempt("canary-old"), 200, "forwarded")
			})
		}
	})
}

// other is a sender of the catalogue besides the five.
type other struct {
	secret string
	body   string // %s: an ID
	sign   func(body, id, now string) map[string]string
	id     string // as the app gets it; %s: the ID
	event  string
}

var otherKey = []byte("0123456789abcdef01234567")

var others = map[string]other{
	"standard-webhooks": {
		"whsec_" + base64.StdEncoding.EncodeToString(otherKey), `{"type":"invoice.paid","data":{"of":"%s"}}`,
		func(body, id, now string) map[string]string {
			return map[string]string{
				"webhook-id": "msg_" + id, "webhook-timestamp": now,
				"webhook-signature": "v1," + base64.StdEncoding.EncodeToString(mac(otherKey, "msg_"+id+"."+now+"."+body)),
			}
		}, "msg_%s", "invoice.paid",
	},
	"github": {
		string(otherKey), `{"ref":"refs/heads/main","after":"%s"}`,
		func(body, id, _ string) map[string]string {
			return map[string]string{
				"X-GitHub-Delivery": id, "X-GitHub-Event": "push",
				"X-Hub-Signature-256": "sha256=" + hex.EncodeToString(mac(otherKey, body)),
			}
		}, "%s", "push",
	},
	"stripe": {
		"whsec_canarystripe", `{"id":"evt_%s","type":"charge.succeeded"}`,
		func(body, _, now string) map[string]string {
			return map[string]string{"Stripe-Signature": fmt.Sprintf("t=%s,v1=%s,v0=%s", now,
				hex.EncodeToString(mac([]byte("whsec_canarystripe"), now+"."+body)), strings.Repeat("0", 64))}
		}, "evt_%s", "charge.succeeded",
	},
	"slack": {
		string(otherKey), `{"type":"event_callback","event_id":"Ev%s","event":{"type":"app_mention"}}`,
		func(body, _, now string) map[string]string {
			return map[string]string{
				"X-Slack-Request-Timestamp": now,
				"X-Slack-Signature":         "v0=" + hex.EncodeToString(mac(otherKey, "v0:"+now+":"+body)),
			}
		}, "Ev%s", "app_mention",
	},
}

// Senders beyond the five, signed as they document it.
func TestOtherProvidersOfTheCatalogue(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, nil)
		var routes strings.Builder
		for provider, c := range others {
			routes.WriteString(route("", provider, proxy(app), "secret "+c.secret))
		}
		g := site{store: store, routes: routes.String()}.start(t)
		for provider, c := range others {
			t.Run(provider, func(t *testing.T) {
				calls, id := app.Count(), testbed.NewID()
				body := fmt.Sprintf(c.body, id)
				headers := c.sign(body, id, strconv.FormatInt(time.Now().Unix(), 10))
				address := g.URL("/webhooks/" + provider)
				wantRefused(t, testbed.Do(t, post(t, address, []byte(body+" "), headers)), 401, "signature_invalid")
				wantCalls(t, app, calls)
				want(t, testbed.Do(t, post(t, address, []byte(body), headers)), 200, "forwarded")
				header := wantDelivered(t, app, calls+1, []byte(body)).Header
				if header.Get("Webhook-Guard-Id") != fmt.Sprintf(c.id, id) || header.Get("Webhook-Guard-Event") != c.event {
					t.Errorf("the app got %q %q, want %q and %q", header.Get("Webhook-Guard-Event"),
						header.Get("Webhook-Guard-Id"), c.event, fmt.Sprintf(c.id, id))
				}
				want(t, testbed.Do(t, post(t, address, []byte(body), headers)), 200, "duplicate")
				wantCalls(t, app, calls+1)
			})
		}
	})
}
