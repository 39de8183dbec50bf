package caddymodule

import (
	"errors"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
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
				_, _ = b.serve(r, tc.app) // errors are for Caddy
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
