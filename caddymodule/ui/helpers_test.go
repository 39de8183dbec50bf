package ui

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

var noon = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// gateway is what a page shows in these tests: inboxes of a model, or none.
type gateway struct {
	store              inbox.Store // nil without inboxes
	logger             *zap.Logger
	refused, delivered recent.Log
	guards             []recent.Guard
	forgotten          []string
	event              adminapi.EventState
}

func (g *gateway) Watch() recent.Source {
	return recent.Source{Refused: &g.refused, Delivered: &g.delivered, Guards: func() []recent.Guard { return g.guards }}
}

func (g *gateway) Inboxes(do func(inboxes.Manager) error) error {
	if g.store == nil {
		return inboxes.ErrNone
	}
	return do(inboxes.Manager{Set: new(inboxes.Set), Store: g.store, Logger: g.logger})
}

func (g *gateway) Event(_ context.Context, scope, id string) (adminapi.EventState, error) {
	if g.event.State != "" {
		return g.event, nil
	}
	return adminapi.EventState{State: "done", Status: 200, TTL: 3600, Scopes: []string{"<i>acme</i>"}}, nil
}

func (g *gateway) Forget(_ context.Context, scope, id, by, why string) (adminapi.EventState, error) {
	g.forgotten = append(g.forgotten, strings.Join([]string{scope, id, by, why}, " "))
	return adminapi.EventState{State: "done", Status: 200}, nil
}

// bench is a page on a gateway, as a browser that is signed in as alice sees it.
type bench struct {
	*Handler
	t       *testing.T
	gateway *gateway
	logs    *observer.ObservedLogs
}

// newBench makes a page whose gateway has an inbox of that name; none where it is "".
func newBench(t *testing.T, name string) *bench {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	g := &gateway{logger: zap.New(core)}
	if name != "" {
		g.store = queuetest.NewModel(func() time.Time { return noon })
	}
	return benchOf(t, g, zap.New(core), logs)
}

func benchOf(t *testing.T, g *gateway, logger *zap.Logger, logs *observer.ObservedLogs) *bench {
	h := &Handler{User: "{http.auth.user.id}", gateway: g, logger: logger, now: func() time.Time { return noon }, patience: time.Hour}
	h.watched = g.Watch()
	return &bench{Handler: h, t: t, gateway: g, logs: logs}
}

// queue is the inbox of that name.
func (b *bench) queue(name string) inbox.Queue {
	b.t.Helper()
	q, err := b.gateway.store.Queue(name, inbox.Options{KeepBodies: true})
	if err != nil {
		b.t.Fatal(err)
	}
	return q
}

// put puts an event into an inbox. The key is made of its number.
func (b *bench) put(name string, n byte, ev inbox.Event, e inbox.Envelope) inbox.Key {
	b.t.Helper()
	ev.Key = inbox.Key{0: n, 15: 1}
	if e.Method == "" {
		e.Method, e.URI, e.Scheme, e.Host, e.RemoteAddr = http.MethodPost, "/in", "https", "hooks.example.com", "192.0.2.1:1234"
	}
	ev.Envelope = e.Encode()
	if a, err := b.queue(name).Put(context.Background(), ev); err != nil || a != inbox.Accepted {
		b.t.Fatalf("putting: %v, %v", a, err)
	}
	return ev.Key
}

// kill gives up all that is ready.
func (b *bench) kill(name, reason string, attempt inbox.Attempt) {
	b.t.Helper()
	ctx := context.Background()
	batch, err := b.queue(name).Take(ctx, 1000, time.Minute)
	if err != nil || len(batch.Deliveries) == 0 {
		b.t.Fatalf("taking: %d, %v", len(batch.Deliveries), err)
	}
	for _, d := range batch.Deliveries {
		attempt.Number = d.Info.Attempts
		if err := b.queue(name).Settle(ctx, d.Key, batch.Token, inbox.Settlement{Outcome: inbox.GiveUp, Reason: reason, Attempt: attempt}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// state is where an event stands.
func (b *bench) state(name string, k inbox.Key) inbox.State {
	b.t.Helper()
	r, err := b.queue(name).Get(context.Background(), k)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.State
}

// passedOn is the status of what follows the page.
const passedOn = http.StatusTeapot

// do sends a request as Caddy does.
func (b *bench) do(r *http.Request) *httptest.ResponseRecorder {
	b.t.Helper()
	w := httptest.NewRecorder()
	repl := caddy.NewReplacer()
	repl.Set("http.auth.user.id", "alice")
	r = caddyhttp.PrepareRequest(r, repl, w, &caddyhttp.Server{})
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(passedOn)
		return nil
	})
	if err := b.ServeHTTP(w, r, next); err != nil {
		b.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return w
}

func (b *bench) get(target string) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.do(httptest.NewRequest(http.MethodGet, "http://admin.example.com"+target, nil))
}

// shows fails the test unless a screen has the texts.
func (b *bench) shows(target string, texts ...string) string {
	b.t.Helper()
	w := b.get(target)
	body := w.Body.String()
	if w.Code != http.StatusOK {
		b.t.Fatalf("%s: %d\n%s", target, w.Code, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			b.t.Errorf("%s does not show %q:\n%s", target, text, body)
		}
	}
	return body
}

// form is the request that a browser makes of a form, with the cookie that came with it.
func (b *bench) form(screen string, fields url.Values) *http.Request {
	b.t.Helper()
	w := b.get(screen)
	hidden := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(w.Body.String())
	if hidden == nil {
		b.t.Fatalf("%s has no form with a token:\n%s", screen, w.Body)
	}
	fields.Set("token", hidden[1])
	r := posted(fields)
	for _, cookie := range w.Result().Cookies() {
		r.AddCookie(cookie)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func posted(fields url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://admin.example.com/change", strings.NewReader(fields.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// docrouter is a guard whose inbox has that name.
func docrouter(inbox string) recent.Guard {
	return recent.Guard{Provider: "docrouter", Scope: "docrouter", Mode: "enforce", Inbox: inbox, Carries: []signature.Source{
		{Kind: signature.SourceHeader, Name: "X-DocRouter-Proof"}, {Kind: signature.SourceBody, Name: "data.pass"},
	}}
}
