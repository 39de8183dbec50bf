package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

var errRefused = errors.New("connection refused")

// proxied answers as the proxy does that got a status from the app, or none.
func proxied(got any, status int) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) error {
		repl(r).Set("http.reverse_proxy.upstream.address", "127.0.0.1:5000")
		if got != nil {
			repl(r).Set("http.reverse_proxy.status_code", got)
		}
		return says(status, "")(w, r)
	}
}

// The app's answer decides the outcome. A nil error alone does not.
func TestOnlyAWholeAnswerWithASuccessIsOne(t *testing.T) {
	aborts := func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) }
	for name, tc := range map[string]struct {
		success []string
		app     caddyhttp.HandlerFunc
		result  webhook.Result
		status  int // of the answer, or of the error
		isError bool
		commits int
	}{
		"200":              {nil, says(200, "ok"), webhook.Forwarded, 200, false, 1},
		"204":              {nil, says(204, ""), webhook.Forwarded, 204, false, 1},
		"299":              {nil, says(299, ""), webhook.Forwarded, 299, false, 1},
		"302":              {nil, says(302, ""), webhook.UpstreamFailed, 302, false, 0},
		"400":              {nil, says(400, "no"), webhook.UpstreamFailed, 400, false, 0},
		"499":              {nil, says(499, ""), webhook.UpstreamFailed, 499, false, 0},
		"the app's 499":    {nil, proxied(499, 499), webhook.UpstreamFailed, 499, false, 0},
		"the proxy's 499":  {nil, proxied(nil, 499), webhook.UpstreamFailed, 502, true, 0},
		"a 499 after auth": {nil, proxied(200, 499), webhook.UpstreamFailed, 502, true, 0},
		"503":              {nil, says(503, ""), webhook.UpstreamFailed, 503, false, 0},
		"a listed 404":     {[]string{"2xx", "404"}, says(404, "gone"), webhook.Forwarded, 404, false, 1},
		"an unlisted 200":  {[]string{"201-202"}, says(200, ""), webhook.UpstreamFailed, 502, true, 0},
		"a body alone":     {nil, func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("x")); return err }, webhook.Forwarded, 200, false, 1},
		"nothing":          {nil, func(http.ResponseWriter, *http.Request) error { return nil }, webhook.Misconfigured, 503, true, 0},
		"only a 1xx":       {nil, func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(http.StatusEarlyHints); return nil }, webhook.Misconfigured, 503, true, 0},
		"an error":         {nil, failing(0, errRefused), webhook.UpstreamFailed, 500, true, 0},
		"a wrapped error":  {nil, failing(0, fmt.Errorf("wrapped: %w", caddyhttp.Error(429, errRefused))), webhook.UpstreamFailed, 429, true, 0},
		"a 200 as error":   {nil, failing(0, caddyhttp.Error(200, errRefused)), webhook.UpstreamFailed, 502, true, 0},
		"a wrapped 202":    {nil, failing(0, fmt.Errorf("wrapped: %w", caddyhttp.Error(202, errRefused))), webhook.UpstreamFailed, 502, true, 0},
		"a 101 as error":   {nil, failing(0, caddyhttp.Error(101, errRefused)), webhook.UpstreamFailed, 502, true, 0},
		"no status at all": {nil, failing(0, caddyhttp.HandlerError{Err: errRefused}), webhook.UpstreamFailed, 500, true, 0},
		"a 1000 as error":  {nil, failing(0, caddyhttp.Error(1000, errRefused)), webhook.UpstreamFailed, 502, true, 0},
		"a 101": {nil, func(w http.ResponseWriter, _ *http.Request) error {
			w.WriteHeader(http.StatusSwitchingProtocols)
			return nil
		}, webhook.UpstreamFailed, 502, true, 0},
		"a hijack": {nil, func(w http.ResponseWriter, _ *http.Request) error {
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				panic(err)
			}
			return nil
		}, webhook.UpstreamFailed, 502, true, 0},
		"a refused hijack, answered": {nil, func(w http.ResponseWriter, r *http.Request) error {
			_, _, _ = w.(http.Hijacker).Hijack()
			return says(200, "ok")(w, r)
		}, webhook.Forwarded, 200, false, 1},
		"a Caddy error":    {nil, failing(0, caddyhttp.Error(502, errRefused)), webhook.UpstreamFailed, 502, true, 0},
		"200 and an error": {nil, failing(200, caddyhttp.Error(502, errRefused)), webhook.UpstreamFailed, 502, true, 0},
		"short": {nil, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Length", "9")
			return says(200, "short")(w, r)
		}, webhook.UpstreamFailed, 502, true, 0},
		"short, a failure": {nil, func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Length", "9")
			return says(500, "short")(w, r)
		}, webhook.UpstreamFailed, 502, true, 0},
		"broken off":             {nil, aborts, webhook.UpstreamFailed, 502, true, 0},
		"broken off after a 200": {nil, func(w http.ResponseWriter, r *http.Request) error { _ = says(200, "ok")(w, r); return aborts(w, r) }, webhook.UpstreamFailed, 502, true, 0},
		"a panic":                {nil, func(http.ResponseWriter, *http.Request) error { panic("bug") }, webhook.UpstreamFailed, 502, true, 0},
		"a panic with an error":  {nil, func(http.ResponseWriter, *http.Request) error { panic(errRefused) }, webhook.UpstreamFailed, 502, true, 0},
		"broken off after a 204": {nil, func(w http.ResponseWriter, r *http.Request) error { _ = says(204, "")(w, r); return aborts(w, r) }, webhook.Forwarded, 204, false, 1},
		"a panic after a 204":    {nil, func(w http.ResponseWriter, r *http.Request) error { _ = says(204, "")(w, r); panic("bug") }, webhook.UpstreamFailed, 502, true, 0},
		"a panic after a 200":    {nil, func(w http.ResponseWriter, r *http.Request) error { _ = says(200, "ok")(w, r); panic("bug") }, webhook.UpstreamFailed, 502, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(g *Guard) { g.Success = tc.success })
			r := b.request(event("1"))
			w, err := b.serve(r, tc.app)
			status := w.Code
			if tc.isError {
				if err == nil || w.Body.Len() > 0 {
					t.Fatalf("no error, but %d %q", w.Code, w.Body)
				}
				status = 0
				if handlerError, ok := err.(caddyhttp.HandlerError); ok { //nolint:errorlint // as Caddy does it
					status = handlerError.StatusCode
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if got := w.Header().Get(headerResult); got != string(tc.result) || status != tc.status {
				t.Errorf("%s with %d, want %s with %d", got, status, tc.result, tc.status)
			}
			if placeholder, _ := repl(r).GetString("http.webhook_guard.result"); placeholder != string(tc.result) {
				t.Errorf("the placeholder says %q", placeholder)
			}
			if n := b.store.count("commit"); n != tc.commits || b.store.count("release") != 1-tc.commits {
				t.Errorf("committed %d times, released %d times", n, b.store.count("release"))
			}
			if held := bodies.Bytes(); held != 0 {
				t.Errorf("%d bytes of bodies are still counted", held)
			}
		})
	}
}

func failing(status int, err error) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		if status > 0 {
			w.WriteHeader(status)
		}
		return err
	}
}

func repl(r *http.Request) *caddy.Replacer {
	return r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
}

func TestAHandlersPanicIsLoggedWithItsStack(t *testing.T) {
	b := newBench(t, nil)
	_, _ = b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error { panic("bug") })
	entries := b.logs.FilterMessageSnippet("panicked").All()
	if len(entries) != 1 || entries[0].ContextMap()["panic"] != "bug" || !strings.Contains(fmt.Sprint(entries[0].ContextMap()["stack"]), "deliver_test.go") {
		t.Errorf("logged %v", entries)
	}
	_, _ = b.serve(b.request(event("2")), func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) })
	if n := b.logs.FilterMessageSnippet("panicked").Len(); n != 1 {
		t.Error("a broken answer was logged as a bug")
	}
}

// An answer that is partly sent can only be broken off.
func TestALongAnswerThatFailsBreaksTheConnection(t *testing.T) {
	for name, end := range map[string]func() error{
		"with an error": func() error { return errRefused },
		"broken off":    func() error { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // as net/http does it
					t.Errorf("panicked with %v", v)
				}
				if b.store.count("commit") > 0 || b.store.count("release") != 1 {
					t.Error("it was taken for a success")
				}
			}()
			_, err := b.serve(b.request(event("1")), func(w http.ResponseWriter, _ *http.Request) error {
				_, _ = w.Write(make([]byte, 2*maxHeld))
				return end()
			})
			t.Errorf("returned %v", err)
		})
	}
}

func TestTheTimeoutEndsTheAppsWork(t *testing.T) {
	for name, tc := range map[string]struct {
		app    caddyhttp.HandlerFunc
		status int
		result webhook.Result
	}{
		"an app that gives up": {func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }, 504, webhook.UpstreamFailed},
		"a proxy that gives up": {func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return caddyhttp.Error(502, r.Context().Err())
		}, 504, webhook.UpstreamFailed},
		"a proxy that breaks off":  {func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); panic(http.ErrAbortHandler) }, 504, webhook.UpstreamFailed},
		"a success all the same":   {func(w http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return says(200, "")(w, r) }, 200, webhook.Forwarded},
		"an app that is fast":      {says(200, ""), 200, webhook.Forwarded},
		"an app that fails before": {failing(0, caddyhttp.Error(502, errRefused)), 502, webhook.UpstreamFailed},
		"nothing written in time":  {func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return nil }, 504, webhook.UpstreamFailed},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(g *Guard) { g.Timeout = caddy.Duration(30 * time.Second) })
				begun := time.Now()
				w, err := b.serve(b.request(event("1")), tc.app)
				status := w.Code
				var handlerError caddyhttp.HandlerError
				if errors.As(err, &handlerError) {
					status = handlerError.StatusCode
				}
				if got := w.Header().Get(headerResult); got != string(tc.result) || status != tc.status {
					t.Errorf("%s with %d, want %s with %d: %v", got, status, tc.result, tc.status, err)
				}
				if waited := time.Since(begun); waited != 0 && waited != 30*time.Second {
					t.Errorf("waited %s", waited)
				}
				if released := b.store.count("release") == 1; released == (tc.result == webhook.Forwarded) {
					t.Errorf("released %v", released)
				}
			})
		})
	}
}

// A sender's disconnect is not a failure: the app's work goes on and is settled.
func TestASenderThatHangsUpDoesNotStopTheApp(t *testing.T) {
	b := newBench(t, nil)
	r := b.request(event("1"))
	ctx, hangUp := context.WithCancel(r.Context())
	_, err := b.serve(r.WithContext(ctx), func(w http.ResponseWriter, r *http.Request) error {
		hangUp()
		if err := r.Context().Err(); err != nil {
			t.Errorf("the app's context has ended: %v", err)
		}
		if _, ok := r.Context().Deadline(); !ok {
			t.Error("the app may work for ever")
		}
		return says(200, "")(w, r)
	})
	if err != nil || b.store.count("commit") != 1 {
		t.Errorf("committed %d times, %v", b.store.count("commit"), err)
	}
}

func TestWhatNothingIdentifiesIsForwardedEachTime(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.Content = "off" })
	for range 2 {
		w, err := b.serve(b.request(`{}`), says(200, ""))
		if err != nil || w.Header().Get(headerResult) != "forwarded" {
			t.Errorf("%v, %v", w.Header(), err)
		}
	}
	if n := b.store.count("claim"); n > 0 {
		t.Errorf("claimed %d times: two events share an empty key", n)
	}
}

func TestADuplicateGetsTheFixedAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		answer      *config.Answer
		status      int
		body, ctype string
	}{
		"none":        {nil, 201, "", ""},
		"a status":    {&config.Answer{Status: 204}, 204, "", ""},
		"with a body": {&config.Answer{Status: 200, Body: "[accepted]"}, 200, "[accepted]", "text/plain; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(g *Guard) { g.Answer = tc.answer })
			if w, err := b.serve(b.request(event("1")), says(201, "first")); err != nil || w.Code != 201 || w.Body.String() != "first" {
				t.Errorf("the first one got %d %q, %v", w.Code, w.Body, err)
			}
			w, err := b.serve(b.request(event("1")), says(500, ""))
			if err != nil || w.Code != tc.status || w.Body.String() != tc.body || w.Header().Get("Content-Type") != tc.ctype {
				t.Errorf("the copy got %d %q %q, %v", w.Code, w.Body, w.Header().Get("Content-Type"), err)
			}
		})
	}
}

func TestPlaceholdersSayWhatWasVerified(t *testing.T) {
	b := newBench(t, nil)
	r := b.request(event("a:1"))
	seen := ""
	_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
		seen = repl(r).ReplaceAll("{http.webhook_guard.id} {http.webhook_guard.event} {http.webhook_guard.secret} {http.webhook_guard.scope}", "?")
		return says(200, "")(w, r)
	})
	if err != nil || seen != "a:1 done 0 docrouter" {
		t.Errorf("the app's route saw %q, %v", seen, err)
	}
	if age, ok := repl(r).GetString("http.webhook_guard.age"); !ok || len(age) > 2 {
		t.Errorf("age %q", age)
	}
}
