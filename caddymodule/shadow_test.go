package caddymodule

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What a guard in shadow mode says of a request is what it would say if it enforced, whatever
// the app does. Else nobody could rely on it.
func TestShadowSaysWhatEnforcingWould(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request) error { return nil }
	for name, tc := range map[string]struct {
		app  caddyhttp.HandlerFunc
		want string
	}{
		"success":             {says(http.StatusAccepted, ""), "forwarded"},
		"a body alone":        {func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("ok")); return err }, "forwarded"},
		"a failure":           {says(http.StatusInternalServerError, ""), "upstream_failed"},
		"a redirection":       {says(http.StatusFound, ""), "upstream_failed"},
		"an unlisted success": {says(http.StatusNoContent, ""), "upstream_failed"},
		"an error":            {func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(http.StatusNotFound, nil) }, "upstream_failed"},
		"an error of its own": {func(http.ResponseWriter, *http.Request) error { return errors.New("broken") }, "upstream_failed"},
		"nothing":             {nothing, "misconfigured"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []string{modeEnforce, modeShadow} {
				b := newBench(t, func(g *Guard) { g.Mode, g.Success = mode, []string{"200", "202"} })
				r := b.request(event("1"))
				var passed string
				_, _ = b.serve(r, func(w http.ResponseWriter, r *http.Request) error { // errors are for Caddy
					passed, _ = r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString("http.webhook_guard.result")
					return tc.app(w, r)
				})
				if passed != "forwarded" {
					t.Errorf("mode %s: the rest of the route saw the result %q", mode, passed)
				}
				result, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString("http.webhook_guard.result")
				if result != tc.want {
					t.Errorf("mode %s: %s, want %s", mode, result, tc.want)
				}
				if said := b.logs.FilterMessageSnippet("put a reverse_proxy after webhook_guard").Len(); said != 0 != (tc.want == "misconfigured") {
					t.Errorf("mode %s: %d lines say that nothing answered", mode, said)
				}
			}
		})
	}
}

// An app that dedupes by the ID in a new signature recognises what it had before the guard enforced.
func TestShadowSignsWithTheIDsOfEnforcing(t *testing.T) {
	elsewhere := []signature.Source{{Kind: signature.SourceBody, Name: "elsewhere"}}
	for name, edit := range map[string]func(*Guard){
		"an ID":           func(*Guard) {},
		"a tenant's ID":   func(g *Guard) { g.Scope = "{tenant}" },
		"no ID":           func(g *Guard) { g.ID, g.Content = elsewhere, "{body}" },
		"a tenant, no ID": func(g *Guard) { g.Scope, g.ID, g.Content = "{tenant}", elsewhere, "{body}" },
	} {
		t.Run(name, func(t *testing.T) {
			ids := make(map[string]bool)
			for _, mode := range []string{modeEnforce, modeShadow} {
				b := newBench(t, func(g *Guard) { g.Mode, g.Resign = mode, resignSecret; edit(g) })
				r := b.request(event("1"))
				r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("tenant", "acme")
				_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
					ids[r.Header.Get("Webhook-Id")] = true
					return says(http.StatusOK, "")(w, r)
				})
				if err != nil {
					t.Error(err)
				}
			}
			if len(ids) != 1 || ids[""] {
				t.Errorf("the IDs are %v", ids)
			}
		})
	}
}

// It says so of a store that is away, too.
func TestShadowSaysWhatEnforcingWouldWithoutAStore(t *testing.T) {
	for rule, want := range map[string]string{storeErrorReject: "store_unavailable", storeErrorForward: "forwarded"} {
		for _, mode := range []string{modeEnforce, modeShadow} {
			b := newBench(t, func(g *Guard) { g.Mode, g.OnStoreError = mode, rule })
			b.store.claim = func() (dedupe.Answer, error) { return dedupe.Answer{}, errors.New("away") }
			r := b.request(event("1"))
			_, _ = b.serve(r, says(http.StatusOK, ""))
			if result, _ := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).GetString("http.webhook_guard.result"); result != want {
				t.Errorf("on_store_error %s, mode %s: %s, want %s", rule, mode, result, want)
			}
		}
	}
}

// Behind an enforcing guard it takes none of that one's headers from the app.
func TestShadowLeavesTheHeadersOfAnotherGuard(t *testing.T) {
	enforcing, shadow := newBench(t, nil), newBench(t, func(g *Guard) { g.Mode = modeShadow })
	var got http.Header
	app := func(w http.ResponseWriter, r *http.Request) error {
		got = r.Header
		return says(http.StatusOK, "")(w, r)
	}
	_, err := enforcing.serve(enforcing.request(event("1")), func(w http.ResponseWriter, r *http.Request) error {
		return shadow.guard.ServeHTTP(w, r, caddyhttp.HandlerFunc(app))
	})
	if err != nil || got.Get(headerResult) != verified || got.Get(headerID) != "1" || got.Get(headerShadow) != "misconfigured" {
		t.Errorf("the app got %v, %v", got, err)
	}
}

// Behind a guard in shadow mode one that enforces has the word.
func TestShadowLeavesTheWordToAGuardBehindIt(t *testing.T) {
	for _, shadows := range []int{1, 2} {
		enforcing := newBench(t, func(g *Guard) { g.Scope = "second" })
		shadow := newBench(t, func(g *Guard) { g.Mode, g.Scope, g.Secret = modeShadow, "first", []Secret{{Value: "another"}} })
		for _, want := range []string{"forwarded", "duplicate"} {
			r := shadow.request(event("1"))
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			handler := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				if seen := repl.ReplaceAll("{http.webhook_guard.result} {http.webhook_guard.scope}", ""); seen != "token_invalid shadow/first" {
					t.Errorf("before the second guard: %s", seen)
				}
				return enforcing.guard.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					if seen := repl.ReplaceAll("{http.webhook_guard.result} {http.webhook_guard.scope} {http.vars.webhook_guard.shadow}", ""); seen != "forwarded second " {
						t.Errorf("the app saw %s", seen)
					}
					return says(http.StatusOK, "")(w, r)
				}))
			})
			for range shadows - 1 {
				behind := handler
				handler = func(w http.ResponseWriter, r *http.Request) error { return shadow.guard.ServeHTTP(w, r, behind) }
			}
			if _, err := shadow.serve(r, handler); err != nil {
				t.Error(err)
			}
			if seen := repl.ReplaceAll("{http.webhook_guard.result} {http.webhook_guard.scope}", ""); seen != want+" second" {
				t.Errorf("in the end: %s", seen)
			}
		}
	}
}

// A new signature is for the app: a guard behind one in shadow mode verifies the sender's own, and
// the app gets that one's headers.
func TestShadowLeavesTheSendersSignatureToAGuardBehindIt(t *testing.T) {
	sent := http.Header{"Webhook-Id": {"evt_1"}, "Webhook-Timestamp": {"1"}, "webhook_signature": {"v1,its-own"}}
	for name, test := range map[string]struct {
		behind string // the resign line of the guard behind it
		sent   http.Header
	}{
		"the sender signs so too": {"", sent},
		"it does not":             {"", nil},
		"both sign anew":          {resignSecret, sent},
	} {
		t.Run(name, func(t *testing.T) {
			enforcing := newBench(t, func(g *Guard) { g.Scope, g.Resign = "second", test.behind })
			shadow := newBench(t, func(g *Guard) {
				g.Mode, g.Scope = modeShadow, "first"
				g.Resign = "whsec_" + base64.StdEncoding.EncodeToString([]byte("another key of thirty-two bytes!"))
			})
			r := shadow.request(event("1"))
			maps.Copy(r.Header, test.sent)
			var between, got http.Header
			_, err := shadow.serve(r, func(w http.ResponseWriter, r *http.Request) error {
				between = r.Header.Clone()
				return enforcing.guard.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
					got = takeSigned(r.Header)
					return says(http.StatusOK, "")(w, r)
				}))
			})
			if err != nil || between.Get("Webhook-Signature") == "" {
				t.Fatalf("%v, between the two were %v", err, between)
			}
			switch signed := got.Get("Webhook-Signature"); {
			case test.behind != "":
				if signed == "" || signed == between.Get("Webhook-Signature") || len(got) != 3 {
					t.Errorf("the app got %v", got)
				}
			case len(got) != len(test.sent) || len(got) > 0 && !reflect.DeepEqual(got, test.sent):
				t.Errorf("the app got %v, want %v", got, test.sent)
			}
		})
	}
}

// A store that hangs delays nobody for long, neither before the app nor after it.
func TestShadowDoesNotWaitForAStoreThatHangs(t *testing.T) {
	for _, op := range []string{"claim", "commit", "release"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
			b.guard.app.store = newSharedStore(hangs{b.store, op}, "fake", b.guard.metrics)
			status := http.StatusOK
			if op == "release" {
				status = http.StatusInternalServerError
			}
			begun := time.Now()
			if _, err := b.serve(b.request(event("1")), says(status, "")); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took != shadowWait {
				t.Errorf("%s: the request took %s, want %s", op, took, shadowWait)
			}
		})
	}
}

// hangs is a store whose step does not end by itself.
type hangs struct {
	dedupe.Store
	op string
}

func (s hangs) until(ctx context.Context, op string) error {
	if s.op != op {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (s hangs) Claim(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	if err := s.until(ctx, "claim"); err != nil {
		return dedupe.Answer{}, err
	}
	return s.Store.Claim(ctx, event, token, lease)
}

func (s hangs) Commit(ctx context.Context, event dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	if err := s.until(ctx, "commit"); err != nil {
		return err
	}
	return s.Store.Commit(ctx, event, success, ttl)
}

func (s hangs) Release(ctx context.Context, event dedupe.Event, token dedupe.Token) error {
	if err := s.until(ctx, "release"); err != nil {
		return err
	}
	return s.Store.Release(ctx, event, token)
}

// It says so of a body that takes longer to come than it may, and the app gets all of it.
func TestShadowSaysThatABodyCameTooLate(t *testing.T) {
	for took, want := range map[time.Duration]string{9 * time.Second: "forwarded", 11 * time.Second: "body_timeout"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
			r := b.request("")
			r.ContentLength = -1
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(event("1")[:5]), late{took}, strings.NewReader(event("1")[5:])))
			var sent []byte
			app := func(w http.ResponseWriter, r *http.Request) (err error) {
				if got := r.Header.Get(headerShadow); got != want {
					t.Errorf("a body that took %s: %s, want %s", took, got, want)
				}
				sent, err = io.ReadAll(r.Body)
				return errors.Join(err, says(http.StatusOK, "")(w, r))
			}
			if _, err := b.serve(r, app); err != nil || string(sent) != event("1") {
				t.Errorf("the app got %q, %v", sent, err)
			}
		})
	}
}

// late is a part of a body that brings nothing, and takes its time.
type late struct{ took time.Duration }

func (l late) Read([]byte) (int, error) {
	time.Sleep(l.took)
	return 0, io.EOF
}
