package e2e

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// eachAPISender runs a test for every sender whose keys its API gives.
func eachAPISender(t *testing.T, test func(t *testing.T, s apiSender, app *testbed.App, key pair)) {
	t.Helper()
	for _, s := range apiSenders {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			test(t, s, testbed.StartApp(t, nil), newEC(t, "9936261a-7d7b-4621-a0f1-96ccb428af49", elliptic.P256()))
		})
	}
}

// An event is verified with the key that it names, which is fetched once.
func TestKeysOfAnAPIVerifyWhatNamesThem(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key)
		g := s.guard(t, app, api.overHTTP().URL)
		body := []byte(s.body())
		header := s.sign(t, key, body)
		want(t, s.send(t, g, body, header), 200, "forwarded")
		wantDelivered(t, app, 1, body)
		want(t, s.send(t, g, body, header), 200, "duplicate")
		for range 5 {
			want(t, s.event(t, g, key), 200, "forwarded")
		}
		stranger := newEC(t, key.kid, elliptic.P256())
		want(t, s.event(t, g, stranger), 401, "signature_invalid")
		changed := s.sign(t, key, body)
		want(t, s.send(t, g, append(body, ' '), changed), 401, "signature_invalid")
		wantCalls(t, app, 6)
		if asked := api.lookups(); len(asked) != 1 || asked[0] != key.kid {
			t.Errorf("the API was asked for %q", asked)
		}
		if api.tokens > 1 {
			t.Errorf("%d access tokens were asked for", api.tokens)
		}
	})
}

// overHTTP starts the API without TLS.
func (a *keyAPI) overHTTP() *keyAPI { a.keyServer.overHTTP(); return a }

// A key that is new is fetched when an event first names it, one that the API does not know
// is refused, and one that it has withdrawn too once it is asked for again.
func TestKeysOfAnAPIRotate(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		next, unknown := newEC(t, "k2", elliptic.P256()), newEC(t, "k3", elliptic.P256())
		api := newKeyAPI(t, s, key).overHTTP()
		g := s.guard(t, app, api.URL)
		want(t, s.event(t, g, key), 200, "forwarded")
		api.give(key, next)
		want(t, s.event(t, g, next), 200, "forwarded")
		want(t, s.event(t, g, key), 200, "forwarded")
		for range 5 {
			want(t, s.event(t, g, unknown), 401, "signature_invalid")
		}
		wantCalls(t, app, 3)
		if asked := api.lookups(); len(asked) != 3 {
			t.Errorf("the API was asked for %q, want three keys", asked)
		}
	})
}

// Many made-up IDs cost few fetches, and the key that is known stays in force meanwhile.
func TestMadeUpIDsCostAnAPILittle(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		g := s.guard(t, app, api.URL)
		want(t, s.event(t, g, key), 200, "forwarded")
		const forgeries = 300
		var group sync.WaitGroup
		work := make(chan string)
		for range 8 {
			group.Go(func() {
				for id := range work {
					forged := newEC(t, id, elliptic.P256())
					if resp := s.event(t, g, forged); resp.Status != 401 && resp.Status != 503 {
						t.Errorf("a made-up ID: %v", resp)
					}
				}
			})
		}
		for i := range forgeries {
			work <- fmt.Sprintf("made-up-%d", i)
		}
		close(work)
		group.Wait()
		want(t, s.event(t, g, key), 200, "forwarded")
		wantCalls(t, app, 2)
		if n := len(api.lookups()); n > forgeries/4 {
			t.Errorf("%d forgeries cost %d fetches", forgeries, n)
		}
	})
}

// Other spellings of an ID under which an API gives the same key cost as few fetches as IDs
// that nobody has, and do not push out the key that verifies.
func TestOtherSpellingsOfAnIDCostAnAPILittle(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		api.folds = true
		g := s.guard(t, app, api.URL)
		want(t, s.event(t, g, key), 200, "forwarded")
		begun := time.Now()
		stranger := newEC(t, "", elliptic.P256())
		for i := range 200 {
			stranger.kid = spelling(key.kid, i+1)
			if resp := s.event(t, g, stranger); resp.Status != 401 && resp.Status != 503 {
				t.Errorf("%s: %v", stranger.kid, resp)
			}
		}
		limit := 21 + int(time.Since(begun)/(3*time.Second)) // with the known one
		if n := len(api.lookups()); n > limit {
			t.Errorf("%d keys were asked for, want %d at most", n, limit)
		}
		api.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		want(t, s.event(t, g, key), 200, "forwarded")
		wantCalls(t, app, 2)
	})
}

// spelling writes the letters of an ID in upper case for which number has a bit.
func spelling(id string, number int) string {
	bit := 0
	return strings.Map(func(c rune) rune {
		if c < 'a' || c > 'f' {
			return c
		}
		if bit++; number>>(bit-1)&1 == 1 {
			return c - 'a' + 'A'
		}
		return c
	}, id)
}

// No ID of a key leads anywhere but to that key.
func TestIDsOfKeysAreNoPaths(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		g := s.guard(t, app, api.URL)
		for _, id := range []string{
			"../" + key.kid, "../../v1/public_key/" + key.kid, key.kid + "/../" + key.kid, "%2e%2e%2f" + key.kid, "%2f", "..", ".", "...",
			key.kid + "?x=1", key.kid + "#x", key.kid + `\`, key.kid + ";x", key.kid + " x", "https://evil.example/" + key.kid, "//evil.example/", "ä", strings.Repeat("k", 129), strings.Repeat("k", 10<<10),
		} {
			named := pair{id, key.private}
			if resp := s.event(t, g, named); resp.Status != 401 {
				t.Errorf("%.40s: %v", id, resp)
			}
		}
		wantCalls(t, app, 0)
		if asked := api.lookups(); len(asked) != 0 {
			t.Errorf("the API was asked for %q", asked)
		}
		if n := api.count(); n != 0 {
			t.Errorf("%d requests were made", n)
		}
		want(t, s.event(t, g, key), 200, "forwarded")
	})
}

// A request without the ID of a key, or with two, is malformed, and nothing is fetched.
func TestAKeyHasToBeNamedOnce(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		g := s.guard(t, app, api.URL)
		body := []byte(s.body())
		var headers []http.Header
		switch s.name {
		case "plaid":
			for _, header := range []map[string]any{{"kid": nil}, {"kid": ""}, {"kid": 1}, {"kid": []string{key.kid}}, {"kid": map[string]any{"kid": key.kid}}, {"kid": true}} {
				headers = append(headers, http.Header{"Plaid-Verification": {key.token(t, plaidClaims(body), header)}})
			}
			token := signPlaid(t, key, body)["Plaid-Verification"][0]
			headers = append(headers, http.Header{"Plaid-Verification": {token, token}})
		case "ebay":
			for _, text := range []string{`{"signature":"AAAA"}`, `{"kid":"","signature":"AAAA"}`, `{"kid":"a","kid":"b","signature":"AAAA"}`, `{"kid":"a","KID":"b","signature":"AAAA"}`, `{"kid":["a"],"signature":"AAAA"}`, `[]`, `{}`, `x`} {
				headers = append(headers, http.Header{"X-Ebay-Signature": {base64.StdEncoding.EncodeToString([]byte(text))}})
			}
			good := signEBay(t, key, body)["X-Ebay-Signature"][0]
			headers = append(headers, http.Header{"X-Ebay-Signature": {good, good}}, http.Header{"X-Ebay-Signature": {good[:8] + "\u00a0" + good[8:]}})
		case "circle":
			good := signCircle(t, key, body)
			for _, ids := range [][]string{nil, {""}, {key.kid, key.kid}} {
				header := good.Clone()
				header["X-Circle-Key-Id"] = ids
				headers = append(headers, header)
			}
		}
		for i, header := range headers {
			if resp := s.send(t, g, body, header); resp.Status != 401 || resp.Guard == "signature_invalid" {
				t.Errorf("%d: %v", i, resp)
			}
		}
		wantCalls(t, app, 0)
		if n := api.count(); n != 0 {
			t.Errorf("%d requests were made", n)
		}
	})
}

// What an API answers that is no key gives none: the sender comes again, nothing is
// forwarded, and the log says what is wrong.
func TestBadAPIsGiveNoKeys(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		good := newKeyAPI(t, s, key).overHTTP()
		foreign := newKeyAPI(t, s, key)
		foreign.overTLS(t, "keys.example")
		changed := func(change func(w http.ResponseWriter, r *http.Request, answer *bytes.Buffer)) string {
			a := newKeyAPI(t, s, key).overHTTP()
			a.answer(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.RequestURI, "/token") {
					a.serveKey(w, r)
					return
				}
				held := &heldAnswer{ResponseWriter: w}
				a.serveKey(held, r)
				change(w, r, &held.body)
			})
			return a.URL
		}
		status := func(status int) string {
			return changed(func(w http.ResponseWriter, r *http.Request, answer *bytes.Buffer) {
				w.Header().Set("Location", good.URL+r.RequestURI)
				w.WriteHeader(status)
				_, _ = w.Write(answer.Bytes())
			})
		}
		for name, url := range map[string]string{
			"nobody there":     strings.TrimSuffix(dead(t), "/keys"),
			"slow":             strings.TrimSuffix(hangingServer(t), "/keys"),
			"redirecting":      status(302),
			"another redirect": status(307),
			"an error":         status(500),
			"too many":         status(429),
			"created":          status(201),
			"a page": changed(func(w http.ResponseWriter, _ *http.Request, answer *bytes.Buffer) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = w.Write(answer.Bytes())
			}),
			"oversized": changed(func(w http.ResponseWriter, _ *http.Request, answer *bytes.Buffer) {
				_, _ = w.Write(append(answer.Bytes(), bytes.Repeat([]byte(" "), 256<<10)...))
			}),
			"no JSON": changed(func(w http.ResponseWriter, _ *http.Request, answer *bytes.Buffer) {
				_, _ = w.Write(append(answer.Bytes(), '}'))
			}),
			"no key": changed(func(w http.ResponseWriter, _ *http.Request, _ *bytes.Buffer) {
				_, _ = w.Write([]byte(`{"data":{},"key":null}`))
			}),
			"an RSA key":     newKeyAPI(t, s, pair{key.kid, newRSA(t, key.kid, 2048).private}).overHTTP().URL,
			"a foreign root": foreign.URL,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := s.guard(t, app, url)
				resp := s.event(t, g, key)
				want(t, resp, 503, "secret_unavailable")
				if resp.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
				testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "the sender's keys cannot be fetched") }, "no warning")
				wantNothingPrinted(t, g)
			})
		}
		t.Cleanup(func() {
			if n := app.Count(); n != 0 {
				t.Errorf("%d requests were forwarded without keys", n)
			}
			if n := good.count(); n != 0 {
				t.Errorf("a redirect was followed %d times", n)
			}
		})
	})
}

// heldAnswer keeps the body that a handler writes.
type heldAnswer struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (h *heldAnswer) Write(p []byte) (int, error) { return h.body.Write(p) }
func (h *heldAnswer) WriteHeader(int)             {}

// wantNothingPrinted fails the test where the credentials are in what the gateway prints.
func wantNothingPrinted(t *testing.T, g *testbed.Gateway) {
	t.Helper()
	for _, hush := range []string{apiClient, apiSecret, apiToken, "hush-"} {
		if strings.Contains(g.Output(), hush) {
			t.Errorf("the gateway prints %q", hush)
		}
	}
}

// Wrong credentials are answered with 503, and the log says so without them.
func TestAnAPIThatRefusesTheCredentials(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		wrong := make([]string, len(s.credentials))
		for i := range wrong {
			wrong[i] = fmt.Sprintf("hush-wrong-%d", i)
		}
		g := s.guard(t, app, api.URL, "keys_secret "+strings.Join(wrong, " "))
		want(t, s.event(t, g, key), 503, "secret_unavailable")
		testbed.Eventually(t, soon, func() bool { return strings.Contains(g.Output(), "the credentials in the line keys_secret") }, "the log does not say what to check")
		wantNothingPrinted(t, g)
		wantCalls(t, app, 0)
	})
}

// Keys outlive a restart while the API is away, and stay in force when they are to be fetched
// again meanwhile.
func TestKeysOfAnAPIAreKept(t *testing.T) {
	t.Parallel()
	eachAPISender(t, func(t *testing.T, s apiSender, app *testbed.App, key pair) {
		api := newKeyAPI(t, s, key).overHTTP()
		storage, kept := storageOfKeys(t)
		g := site{store: "memory", global: storage, routes: s.route(app, api.URL)}.start(t)
		want(t, s.event(t, g, key), 200, "forwarded")
		kept()
		g.Kill()
		api.Close()
		g.Start()
		want(t, s.event(t, g, key), 200, "forwarded")
		want(t, s.event(t, g, newEC(t, "k2", elliptic.P256())), 503, "secret_unavailable")
		wantCalls(t, app, 2)
		wantNothingPrinted(t, g)
	})
}

// A guard with keys behind an API needs their credentials, as many as there are.
func TestAnAPINeedsItsCredentials(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: route("", "github", proxy(app), "secret 0123456789abcdef")}.start(t)
	for _, s := range apiSenders {
		for name, tt := range map[string]struct{ line, want string }{
			"none":      {"scope x", "keys_secret"},
			"too many":  {"keys_secret a b c", "keys_secret"},
			"a slip":    {"keys_secret " + strings.Repeat("$NAME ", len(s.credentials)), "keys_secret"},
			"not set":   {"keys_secret " + strings.Repeat("{env.NOT_SET_ANYWHERE} ", len(s.credentials)), "keys_secret"},
			"of others": {"secret 0123456789abcdef", "private key"},
		} {
			broken := site{store: "memory", routes: route("", s.name, proxy(app), append(s.lines("http://127.0.0.1:1"), tt.line)...)}
			if err := g.Reload(broken.caddyfile()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %s: %v", s.name, name, err)
			}
		}
		public := site{store: "memory", routes: route("", s.name, proxy(app), "public_key "+newEC(t, "k", elliptic.P256()).der())}
		if err := g.Reload(public.caddyfile()); err != nil {
			t.Errorf("%s with a key of its own: %v", s.name, err)
		}
	}
	other := site{store: "memory", routes: route("", "fal", proxy(app), "keys_secret a")}
	if err := g.Reload(other.caddyfile()); err == nil || !strings.Contains(err.Error(), "keys_secret") {
		t.Errorf("credentials that nothing takes: %v", err)
	}
}
