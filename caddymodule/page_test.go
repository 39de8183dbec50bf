package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
)

// watching has what guards see kept during a test.
func watching(t *testing.T) {
	t.Helper()
	keepLately(true)
	t.Cleanup(func() { keepLately(false) })
}

// line is what a page tells of an entry.
func line(e recent.Entry) string {
	return strings.TrimSpace(fmt.Sprint(e.Result, " ", e.Provider, " ", e.ID, " ", e.Event, " ", e.Status, " ", e.Host, e.Path, " ", e.Reason))
}

// wantLast compares the entries of a test's scope, newest first.
func wantLast(t *testing.T, l *recent.Log, scope string, want ...string) {
	t.Helper()
	var got []string
	for _, e := range l.Last(recent.Filter{Scope: scope}, 100) {
		got = append(got, line(e))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestPagesSeeRefusalsAndDeliveries(t *testing.T) {
	watching(t)
	const scope = "pages-see"
	b := newBench(t, func(g *Guard) { g.Scope = scope })
	ask := func(id, token string, app caddyhttp.HandlerFunc) {
		t.Helper()
		r := b.request(event(id))
		r.Header.Set("X-Token", token)
		_, _ = b.serve(r, app)
	}
	ask("1", "guessed-by-somebody", says(200, ""))
	ask("1", "opens", says(500, "no"))
	ask("1", "opens", says(204, ""))
	ask("1", "opens", says(204, ""))
	ask("2", "opens", func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(502, errors.New("connection refused"))
	})
	wantLast(t, &lately.delivered, scope,
		"upstream_failed docrouter 2 done 0  connection refused",
		"duplicate docrouter 1 done 204",
		"forwarded docrouter 1 done 204",
		"upstream_failed docrouter 1 done 500",
	)
	wantLast(t, &lately.refused, scope, "token_invalid docrouter   0 hooks.example.com/in no secret in force matches the token")
	for _, e := range append(lately.refused.Last(recent.Filter{}, 1000), lately.delivered.Last(recent.Filter{}, 1000)...) {
		if text := fmt.Sprintf("%+v", e); strings.Contains(text, "guessed") || strings.Contains(text, "opens") || strings.Contains(text, "x=1") {
			t.Errorf("an entry holds a token or the query: %s", text)
		}
	}
}

func TestWithoutAPageNothingIsKept(t *testing.T) {
	keepLately(false)
	const scope = "pages-off"
	b := newBench(t, func(g *Guard) { g.Scope = scope })
	_, _ = b.serve(b.request(event("1")), says(200, ""))
	_, _ = b.serve(b.request("{"), says(200, ""))
	wantLast(t, &lately.delivered, scope)
	wantLast(t, &lately.refused, scope)
	if seen := b.guard.witness.Seen(); !seen.Verified.IsZero() {
		t.Errorf("%+v", seen)
	}
}

// A reload must not make a guard look as if it had never verified anything; but an index that
// means another secret now would be a lie.
func TestWhatAGuardHasSeenOutlivesAReload(t *testing.T) {
	watching(t)
	edit := func(values ...string) func(*Guard) {
		return func(g *Guard) {
			g.Scope, g.Secret = "pages-reload", nil
			for _, value := range values {
				g.Secret = append(g.Secret, Secret{Value: value})
			}
		}
	}
	first := newBench(t, edit("other-token", "opens"))
	_, _ = first.serve(first.request(event("1")), says(200, ""))
	first.guard.app.MaxBuffered = defaultMaxBuffered
	inForce.add(first.guard.app)
	t.Cleanup(func() { inForce.remove(first.guard.app) })
	keepLately(true) // an app of a test has no page

	guards := newBench(t, edit("other-token", "opens")).guard.app.Watch().Guards()
	if len(guards) != 1 || len(guards[0].Secrets) != 1 || guards[0].Secrets[0].Index != 1 || guards[0].Skew == nil {
		t.Errorf("after a reload: %+v", guards)
	}
	g := guards[0]
	if g.Provider != "docrouter" || g.Scope != "pages-reload" || g.Mode != modeEnforce || g.Facts.Checked == "" || fmt.Sprint(g.Headers) != "[X-Token]" {
		t.Errorf("%+v", g)
	}
	for what, again := range map[string][]string{"other secrets": {"opens"}, "another order": {"opens", "other-token"}} {
		guards := newBench(t, edit(again...)).guard.app.Watch().Guards()
		if len(guards) != 1 || guards[0].Secrets != nil {
			t.Errorf("%s: %+v", what, guards)
		}
	}
}

func TestAPageWithoutInboxes(t *testing.T) {
	b := newBench(t, nil)
	b.guard.app.pages.app = b.guard.app
	err := b.guard.app.Inboxes(func(inboxes.Manager) error { return nil })
	if !errors.Is(err, inboxes.ErrNone) {
		t.Errorf("%v, want ErrNone", err)
	}
}

func TestPagesLookUpAndForget(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.Scope = "pages-forget" })
	b.guard.app.pages.app, b.guard.app.logger = b.guard.app, b.guard.logger
	_, _ = b.serve(b.request(event("7")), says(201, ""))
	state, err := b.guard.app.Event(t.Context(), "pages-forget", "7")
	if err != nil || state.State != "done" || state.Status != 201 {
		t.Fatalf("%+v, %v", state, err)
	}
	if _, err := b.guard.app.Forget(t.Context(), "pages-forget", "7", "kim", "the app lost it"); err != nil {
		t.Fatal(err)
	}
	if state, err = b.guard.app.Event(t.Context(), "pages-forget", "7"); err != nil || state.State != "absent" {
		t.Errorf("%+v, %v", state, err)
	}
	logged := b.logs.FilterMessage("forgot an event on request").All()
	if len(logged) != 1 || logged[0].ContextMap()["by"] != "kim" || logged[0].ContextMap()["reason"] != "the app lost it" {
		t.Errorf("%+v", logged)
	}
	if _, err := b.guard.app.Event(t.Context(), "", ""); err == nil {
		t.Error("no event is named, and no error says so")
	}
}
