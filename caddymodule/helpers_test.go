package caddymodule

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A context makes its channel when that is first asked for. Made by a test in a
// bubble of testing/synctest, it would be of no use to the others.
var _ = background.Done()

// fakeStore is a store whose operations a test can take over. Those that it
// leaves alone go to memory.
type fakeStore struct {
	dedupe.Store
	claim   func() (dedupe.Answer, error)
	renew   func() error
	commit  func(status int, ttl time.Duration) error
	release func(ctx context.Context) error

	mu    sync.Mutex
	calls []string
}

func newFakeStore() *fakeStore {
	return &fakeStore{Store: memory.New(memory.Options{})}
}

func (s *fakeStore) called(op string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, op)
}

// count returns how often an operation was called, close among them.
func (s *fakeStore) count(op string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, call := range s.calls {
		if call == op {
			n++
		}
	}
	return n
}

func (s *fakeStore) Claim(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	s.called("claim")
	if s.claim != nil {
		return s.claim()
	}
	return s.Store.Claim(ctx, event, token, lease)
}

func (s *fakeStore) Renew(ctx context.Context, event dedupe.Event, token dedupe.Token, lease time.Duration) error {
	s.called("renew")
	if s.renew != nil {
		return s.renew()
	}
	return s.Store.Renew(ctx, event, token, lease)
}

func (s *fakeStore) Commit(ctx context.Context, event dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	s.called("commit")
	if s.commit != nil {
		if err := s.commit(success.Status, ttl); err != nil {
			return err
		}
	}
	return s.Store.Commit(ctx, event, success, ttl)
}

func (s *fakeStore) Release(ctx context.Context, event dedupe.Event, token dedupe.Token) error {
	s.called("release")
	if s.release != nil {
		if err := s.release(ctx); err != nil {
			return err
		}
	}
	return s.Store.Release(ctx, event, token)
}

func (s *fakeStore) Close() error {
	s.called("close")
	return s.Store.Close()
}

// bench is a guard with what it needs around it, and without a server.
type bench struct {
	t     *testing.T
	guard *Guard
	store *fakeStore
	logs  *observer.ObservedLogs
}

// newBench makes a guard with a provider whose events are signed with a token,
// so that requests are easily written. edit runs before the guard is provisioned.
func newBench(t *testing.T, edit func(*Guard)) *bench {
	t.Helper()
	b := &bench{t: t, guard: newGuard(), store: newFakeStore()}
	core, logs := observer.New(zapcore.DebugLevel)
	b.logs = logs
	b.guard.logger = zap.New(core)
	b.guard.ProviderName = "docrouter"
	b.guard.Token = "header X-Token"
	b.guard.Secret = []Secret{{Value: "opens"}}
	b.guard.app.store = newSharedStore(b.store, "fake", b.guard.metrics)
	if edit != nil {
		edit(b.guard)
	}
	if err := b.guard.provision(); err != nil {
		t.Fatal(err)
	}
	return b
}

func newGuard() *Guard {
	return &Guard{
		app:     &App{metrics: sharedMetrics()},
		metrics: sharedMetrics(),
		logger:  zap.NewNop(),
		now:     time.Now,
	}
}

// request is one that the bench's guard lets through.
func (b *bench) request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "https://hooks.example.com/in?x=1", strings.NewReader(body))
	r.Header.Set("X-Token", "opens")
	r.Header.Set("X-DocRouter-Timestamp", strconv.FormatInt(time.Now().Unix(), 10))
	return prepared(r, httptest.NewRecorder())
}

// prepared is a request as Caddy's server hands it to handlers.
func prepared(r *http.Request, w http.ResponseWriter) *http.Request {
	return caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
}

// exchange is a request on its way, past the check of its signature, with body
// as its body and an ID.
func (b *bench) exchange(body string) *exchange {
	b.t.Helper()
	x := b.guard.newExchange(httptest.NewRecorder(), b.request(body))
	b.t.Cleanup(x.end)
	if refused := x.receive(); refused != nil {
		b.t.Fatal(refused)
	}
	if _, refused := x.judge(); refused != nil {
		b.t.Fatal(refused)
	}
	return x
}

// serve runs a request through the guard.
func (b *bench) serve(r *http.Request, app caddyhttp.HandlerFunc) (*httptest.ResponseRecorder, error) {
	w := httptest.NewRecorder()
	err := b.guard.ServeHTTP(w, r, app)
	return w, err
}

// says is an app that answers with a status and a body.
func says(status int, body string) caddyhttp.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		_, err := io.WriteString(w, body)
		return err
	}
}

func event(id string) string { return `{"event_id":"` + id + `","event_type":"done"}` }

// key is a key in a store.
func key(name string) dedupe.Key { return dedupe.NewKey("test", []byte(name)) }

// wantText fails unless an error holds a text.
func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that holds %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not hold %q", err, text)
	}
}

func sourcesOf(texts ...string) []signature.Source {
	sources := make([]signature.Source, len(texts))
	for i, text := range texts {
		if err := sources[i].UnmarshalText([]byte(text)); err != nil {
			panic(err)
		}
	}
	return sources
}
