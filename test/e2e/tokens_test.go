package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// token is a way to send the secret itself.
type token struct {
	sender testbed.Sender
	lines  []string // of the guard
	secret string
	bare   func(req *http.Request) // takes whatever the sender sends already away
	put    func(req *http.Request, secrets ...string)
}

func queryToken(key string) func(*http.Request, ...string) {
	return func(req *http.Request, secrets ...string) {
		for _, secret := range secrets {
			req.URL.RawQuery += "&" + key + "=" + url.QueryEscape(secret)
		}
		req.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery, "&")
	}
}

func headerToken(name string, form func(secret string) string) func(*http.Request, ...string) {
	return func(req *http.Request, secrets ...string) {
		for _, secret := range secrets {
			req.Header.Add(name, form(secret))
		}
	}
}

func plain(secret string) string  { return secret }
func bearer(secret string) string { return "Bearer " + secret }
func basic(secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(secret))
}

func noQuery(req *http.Request) { req.URL.RawQuery = "" }

// unsigned is for senders that send a token in place of their signature.
func unsigned(s testbed.Sender) func(*http.Request) {
	return func(req *http.Request) { req.Header.Del(s.SignatureHeader) }
}

// tokens, by the path prefix of their guard.
func tokens() map[string]token {
	return map[string]token{
		"/query": {testbed.OkraPDF(), []string{"token query token"}, "canary+/=& token", noQuery, queryToken("token")},
		"/header": {testbed.DocRouter(), []string{"token header X-Api-Key"}, "canary-api-key",
			unsigned(testbed.DocRouter()), headerToken("X-Api-Key", plain)},
		"/bearer": {testbed.Struktr(), []string{"token bearer", "scope bearer"}, "canary-bearer",
			unsigned(testbed.Struktr()), headerToken("Authorization", bearer)},
		"/basic": {testbed.Ocriva(), []string{"token basic", "scope basic"}, "user:canary:basic",
			unsigned(testbed.Ocriva()), headerToken("Authorization", basic)},
		"/okra-bearer": {testbed.OkraPDF(), []string{"token bearer", "scope okra-bearer"}, "canary-okra-bearer",
			noQuery, headerToken("Authorization", bearer)},
		"/okra-basic": {testbed.OkraPDF(), []string{"token basic", "scope okra-basic"}, "canary-okra:basic",
			noQuery, headerToken("Authorization", basic)},
		"/docintell-query": {testbed.DocIntell(), []string{"token query api-key", "scope docintell-query"}, "canary-docintell",
			unsigned(testbed.DocIntell()), queryToken("api-key")},
	}
}

// request is an attempt to deliver the event with these tokens.
func (k token) request(t *testing.T, base string, e testbed.Event, secrets ...string) *http.Request {
	req := k.sender.Request(t, base, e)
	k.bare(req)
	k.put(req, secrets...)
	return req
}

func startTokens(t *testing.T, store string) (*testbed.Gateway, *testbed.App) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	var routes strings.Builder
	for prefix, k := range tokens() {
		routes.WriteString(route(prefix, k.sender.Name, proxy(app), append(k.lines, fmt.Sprintf("secret %q", k.secret))...))
	}
	return site{store: store, routes: routes.String()}.start(t), app
}

func TestTokenOpensAndIsGoneBeforeTheApp(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		g, app := startTokens(t, store)
		for prefix, k := range tokens() {
			t.Run(prefix[1:], func(t *testing.T) {
				calls := app.Count()
				e := testbed.Event{}.Fill()
				want(t, testbed.Do(t, k.request(t, g.URL(prefix), e, k.secret)), 200, "forwarded")
				wantDelivered(t, app, calls+1, k.sender.Body(e))
				expected := facts(k.sender, e)
				delete(expected, "Webhook-Guard-Signed") // a token signs nothing
				for _, line := range k.lines {
					if scope, ok := strings.CutPrefix(line, "scope "); ok {
						expected["Webhook-Guard-Scope"] = scope
					}
				}
				wantHeaders(t, last(t, app), expected)
				wantNowhere(t, last(t, app), k)
				if last(t, app).URL != prefix+"/webhooks/"+k.sender.Name {
					t.Errorf("the app got the URL %s", last(t, app).URL)
				}
				want(t, testbed.Do(t, k.request(t, g.URL(prefix), e, k.secret)), 200, "duplicate")
				wantCalls(t, app, calls+1)
			})
		}
	})
}

// wantNowhere fails the test if the app got the token in any form.
func wantNowhere(t *testing.T, d testbed.Delivery, k token) {
	t.Helper()
	got := fmt.Sprint(d.URL, d.Header, d.Trailer, string(d.Body))
	for _, form := range []string{k.secret, url.QueryEscape(k.secret), strings.TrimPrefix(basic(k.secret), "Basic "), "canary"} {
		if strings.Contains(got, form) {
			t.Errorf("the app got the token: %s", got)
		}
	}
}

// The rest of a query stays as it was sent, to the byte.
func TestOnlyTheTokenIsTakenOutOfTheURL(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		g, app := startTokens(t, store)
		k := tokens()["/query"]
		secret := url.QueryEscape(k.secret)
		for query, left := range map[string]string{
			"token=" + secret:                                 "",
			"token=" + secret + "&a=1":                        "?a=1",
			"a=1&token=" + secret:                             "?a=1",
			"b=%C3%BC+x&token=" + secret + "&a&a=;&&tokens=2": "?b=%C3%BC+x&a&a=;&&tokens=2",
			"%74ok%65n=" + secret + "&a=1":                    "?a=1",
			"Token=1&token=" + secret:                         "?Token=1",
		} {
			t.Run(strings.ReplaceAll(query, secret, "…"), func(t *testing.T) {
				calls := app.Count()
				req := k.request(t, g.URL("/query"), testbed.Event{})
				req.URL.RawQuery = query
				want(t, testbed.Do(t, req), 200, "forwarded")
				wantCalls(t, app, calls+1)
				wantNowhere(t, last(t, app), k)
				if got, expected := last(t, app).URL, "/query/webhooks/okrapdf"+left; got != expected {
					t.Errorf("the app got the URL %s, want %s", got, expected)
				}
			})
		}
	})
}

func TestWrongTokenNeverReachesTheApp(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		g, app := startTokens(t, store)
		for prefix, k := range tokens() {
			flipped := []byte(k.secret)
			flipped[3] ^= 1
			for name, c := range map[string]struct {
				result  string
				secrets []string
			}{
				"missing":                  {"token_missing", nil},
				"wrong":                    {"token_invalid", []string{"another"}},
				"one byte changed":         {"token_invalid", []string{string(flipped)}},
				"cut short":                {"token_invalid", []string{k.secret[:len(k.secret)-1]}},
				"longer":                   {"token_invalid", []string{k.secret + "x"}},
				"doubled":                  {"token_invalid", []string{k.secret, k.secret}},
				"doubled, one wrong":       {"token_invalid", []string{"another", k.secret}},
				"doubled, the other wrong": {"token_invalid", []string{k.secret, "another"}},
				"other case":               {"token_invalid", []string{strings.ToUpper(k.secret)}},
			} {
				t.Run(prefix[1:]+", "+name, func(t *testing.T) {
					calls := app.Count()
					e := testbed.Event{}.Fill()
					wantRefused(t, testbed.Do(t, k.request(t, g.URL(prefix), e, c.secrets...)), 401, c.result)
					wantCalls(t, app, calls)
					want(t, testbed.Do(t, k.request(t, g.URL(prefix), e, k.secret)), 200, "forwarded")
					wantRefused(t, testbed.Do(t, k.request(t, g.URL(prefix), e, c.secrets...)), 401, c.result)
					wantCalls(t, app, calls+1)
				})
			}
			t.Run(prefix[1:]+", empty", func(t *testing.T) {
				calls := app.Count()
				for _, secrets := range [][]string{{""}, {"", ""}, {"", k.secret}, {k.secret, ""}} {
					resp := testbed.Do(t, k.request(t, g.URL(prefix), testbed.Event{}, secrets...))
					if resp.Guard != "token_missing" {
						wantRefused(t, resp, 401, "token_invalid")
					}
					wantRefused(t, resp, 401, resp.Guard)
				}
				wantCalls(t, app, calls)
			})
		}
	})
}

// A token counts only in the configured place and form.
func TestTokenInAnotherPlaceIsNone(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		g, app := startTokens(t, store)
		places := map[string]func(*http.Request, ...string){
			"query":         queryToken("token"),
			"header":        headerToken("X-Api-Key", plain),
			"bearer":        headerToken("Authorization", bearer),
			"basic":         headerToken("Authorization", basic),
			"authorization": headerToken("Authorization", plain),
			"cookie":        headerToken("Cookie", func(secret string) string { return "token=" + url.QueryEscape(secret) }),
		}
		for prefix, k := range tokens() {
			for place, put := range places {
				if place == prefix[1:] || strings.HasSuffix(prefix, "-"+place) {
					continue
				}
				t.Run(prefix[1:]+" as "+place, func(t *testing.T) {
					req := k.request(t, g.URL(prefix), testbed.Event{})
					put(req, k.secret)
					resp := testbed.Do(t, req)
					if resp.Guard != "token_missing" {
						wantRefused(t, resp, 401, "token_invalid")
					}
					wantRefused(t, resp, 401, resp.Guard)
					wantCalls(t, app, 0)
				})
			}
		}
	})
}

// The scheme's name in Authorization is not case-sensitive.
func TestAuthorizationIsReadAsItIsDefined(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		g, app := startTokens(t, store)
		for prefix, form := range map[string]string{"/bearer": "bEARER  ", "/basic": "BASIC "} {
			k := tokens()[prefix]
			credentials := k.secret
			if prefix == "/basic" {
				credentials = base64.StdEncoding.EncodeToString([]byte(k.secret))
			}
			req := k.request(t, g.URL(prefix), testbed.Event{})
			req.Header.Set("Authorization", form+credentials)
			want(t, testbed.Do(t, req), 200, "forwarded")
			wantNowhere(t, last(t, app), k)
			req = k.request(t, g.URL(prefix), testbed.Event{})
			req.Header.Set("Authorization", credentials)
			wantRefused(t, testbed.Do(t, req), 401, "token_invalid")
		}
		wantCalls(t, app, 2)
	})
}
