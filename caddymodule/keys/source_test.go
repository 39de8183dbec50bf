package keys

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// publisher answers with a text that stands for a set of keys.
type publisher struct {
	*httptest.Server
	text, cacheControl atomic.Value
	status             atomic.Int64
	visits             atomic.Int64
	hold               chan struct{} // nil: answers at once
}

func newPublisher(t *testing.T, text string) *publisher {
	t.Helper()
	p := &publisher{}
	p.text.Store(text)
	p.cacheControl.Store("")
	p.status.Store(http.StatusOK)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.visits.Add(1)
		if p.hold != nil {
			select {
			case <-p.hold:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Content-Type", "application/jwk-set+json")
		w.Header().Set("Cache-Control", p.cacheControl.Load().(string))
		w.WriteHeader(int(p.status.Load()))
		_, _ = w.Write([]byte(p.text.Load().(string)))
	}))
	t.Cleanup(p.Close)
	return p
}

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// memory is a store in memory.
type memory struct{ values sync.Map }

func (m *memory) Load(_ context.Context, key string) ([]byte, error) {
	if value, ok := m.values.Load(key); ok {
		return value.([]byte), nil
	}
	return nil, fs.ErrNotExist
}

func (m *memory) Delete(_ context.Context, key string) error {
	m.values.Delete(key)
	return nil
}

func (m *memory) List(_ context.Context, prefix string, _ bool) (all []string, err error) {
	m.values.Range(func(key, _ any) bool {
		if strings.HasPrefix(key.(string), prefix+"/") {
			all = append(all, key.(string))
		}
		return true
	})
	return all, nil
}

func (m *memory) Store(_ context.Context, key string, value []byte) error {
	m.values.Store(key, value)
	return nil
}

// parseText makes one key of a document, by the name of its text.
func parseText(document []byte) ([]signature.Secret, error) {
	if strings.HasPrefix(string(document), "bad") {
		return nil, errors.New("no keys in it")
	}
	return []signature.Secret{{ID: string(document)}}, nil
}

// patient are for tests, whose publishers may stand still for a while.
var patient = limits{fetch: time.Minute, wait: time.Minute}

func newSource(t *testing.T, url string, store Store) (*Source, *clock, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	client, err := NewClient("")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{Title: url, Fetch: client.JSON(url), Store: store, Parse: parseText, Logger: zap.New(core)})
	c := &clock{at: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	s.now, s.limits = c.now, patient
	return s, c, logs
}

func wantKey(t *testing.T, s *Source, id string) []signature.Secret {
	t.Helper()
	got, err := s.Keys()
	if err != nil || len(got) != 1 || got[0].ID != id {
		t.Fatalf("keys %v, %v, want %s", got, err, id)
	}
	return got
}

func TestKeysAreKeptAsLongAsTheirPublisherSays(t *testing.T) {
	p := newPublisher(t, "a")
	p.cacheControl.Store("public, max-age=600, must-revalidate")
	s, clock, _ := newSource(t, p.URL, nil)
	wantKey(t, s, "a")
	p.text.Store("b")
	clock.pass(599 * time.Second)
	wantKey(t, s, "a")
	clock.pass(time.Second)
	wantKey(t, s, "b")
	clock.pass(-48 * time.Hour) // a clock that was wrong
	p.text.Store("c")
	wantKey(t, s, "c")
	if n := p.visits.Load(); n != 3 {
		t.Errorf("%d fetches, want 3", n)
	}
}

func TestLifetimes(t *testing.T) {
	const date, later = "Sat, 28 Nov 2026 12:00:00 GMT", "Sat, 28 Nov 2026 12:30:00 GMT"
	for name, tt := range map[string]struct {
		header map[string]string
		want   time.Duration
	}{
		"nothing":          {nil, time.Hour},
		"max-age":          {map[string]string{"Cache-Control": "max-age=7200"}, 2 * time.Hour},
		"quoted":           {map[string]string{"Cache-Control": `Max-Age="7200"`}, 2 * time.Hour},
		"with an age":      {map[string]string{"Cache-Control": "max-age=7200", "Age": "3600"}, time.Hour},
		"older than that":  {map[string]string{"Cache-Control": "max-age=60", "Age": "3600"}, time.Minute},
		"too short":        {map[string]string{"Cache-Control": "max-age=0"}, time.Minute},
		"too long":         {map[string]string{"Cache-Control": "max-age=31536000"}, 24 * time.Hour},
		"beyond numbers":   {map[string]string{"Cache-Control": "max-age=99999999999999999999"}, time.Hour},
		"not a number":     {map[string]string{"Cache-Control": "max-age=x"}, time.Hour},
		"negative":         {map[string]string{"Cache-Control": "max-age=-1"}, time.Hour},
		"no-store":         {map[string]string{"Cache-Control": "no-store, max-age=7200"}, time.Minute},
		"no-cache":         {map[string]string{"Cache-Control": "max-age=7200, no-cache"}, time.Minute},
		"expires":          {map[string]string{"Date": date, "Expires": later}, 30 * time.Minute},
		"max-age wins":     {map[string]string{"Date": date, "Expires": later, "Cache-Control": "max-age=7200"}, 2 * time.Hour},
		"expired":          {map[string]string{"Date": later, "Expires": date}, time.Minute},
		"expires is wrong": {map[string]string{"Date": date, "Expires": "0"}, time.Hour},
	} {
		header := make(http.Header)
		for name, value := range tt.header {
			header.Set(name, value)
		}
		if got := lifetimeOf(header); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// One fetch is made for all who wait for it, and nobody waits for long.
func TestAllWaitForOneFetch(t *testing.T) {
	p := newPublisher(t, "a")
	p.hold = make(chan struct{})
	s, _, _ := newSource(t, p.URL, nil)
	s.limits.wait = 20 * time.Millisecond
	if _, err := s.Keys(); err == nil || !strings.Contains(err.Error(), "has not answered yet") {
		t.Fatalf("keys that are not there: %v", err)
	}
	s.limits.wait = time.Minute
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if got, err := s.Keys(); err != nil || got[0].ID != "a" {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	close(p.hold)
	all.Wait()
	if n := p.visits.Load(); n != 1 {
		t.Errorf("%d fetches, want one", n)
	}
}

// While the publisher is away, its keys stay in force, and it is not asked for each request.
func TestKeysStayInForceWhileTheirPublisherIsAway(t *testing.T) {
	p := newPublisher(t, "a")
	s, clock, logs := newSource(t, p.URL, nil)
	tried := wantKey(t, s, "a")
	for _, away := range []func(){func() { p.status.Store(500) }, func() { p.status.Store(200); p.text.Store("bad") }} {
		away()
		clock.pass(time.Hour)
		before := p.visits.Load()
		for range 20 {
			wantKey(t, s, "a")
		}
		if n := p.visits.Load() - before; n != 1 {
			t.Errorf("%d fetches within %s, want one", n, retryEvery)
		}
		if _, err := s.Look(tried); err == nil {
			t.Error("a look at a publisher that is away finds something")
		}
	}
	p.text.Store("b")
	clock.pass(retryEvery)
	wantKey(t, s, "b")
	if n := logs.FilterMessageSnippet("those before stay in force").Len(); n != 2 {
		t.Errorf("%d warnings, want one for each fault", n)
	}
	if logs.FilterMessageSnippet("can be fetched again").Len() != 1 {
		t.Error("nothing says that the keys can be fetched again")
	}
}

func TestWithoutKeysThereIsAnError(t *testing.T) {
	p := newPublisher(t, "bad")
	s, clock, _ := newSource(t, p.URL, nil)
	for range 5 {
		if got, err := s.Keys(); err == nil {
			t.Fatalf("keys %v", got)
		}
	}
	if n := p.visits.Load(); n != 1 {
		t.Errorf("%d fetches within %s, want one", n, retryEvery)
	}
	p.text.Store("a")
	clock.pass(retryEvery)
	wantKey(t, s, "a")
}

func TestAnUnknownKeyIsLookedForOnceAMinute(t *testing.T) {
	p := newPublisher(t, "a")
	s, clock, _ := newSource(t, p.URL, nil)
	tried := wantKey(t, s, "a")
	p.text.Store("b")
	found, err := s.Look(tried)
	if err != nil || found[0].ID != "b" {
		t.Fatalf("%v, %v", found, err)
	}
	for range 10 {
		if other, err := s.Look(found); !errors.Is(err, ErrJustLooked) || other != nil {
			t.Fatalf("the second look: %v, %v", other, err)
		}
	}
	clock.pass(lookEvery)
	if _, err := s.Look(found); err != nil {
		t.Fatal(err)
	}
	if n := p.visits.Load(); n != 3 {
		t.Errorf("%d fetches, want 3", n)
	}
}

// Many requests come at once that the new key signed. What one has fetched is for all of
// them, however late they ask for it.
func TestALookIsForAllWhoTriedTheKeysBefore(t *testing.T) {
	p := newPublisher(t, "a")
	s, _, _ := newSource(t, p.URL, nil)
	tried := wantKey(t, s, "a")
	p.text.Store("b")
	p.hold = make(chan struct{})
	var all sync.WaitGroup
	look := func() {
		found, err := s.Look(tried)
		if len(found) != 1 || found[0].ID != "b" || err != nil && !errors.Is(err, ErrJustLooked) {
			t.Errorf("%v, %v", found, err)
		}
	}
	for range 20 {
		all.Go(look)
	}
	for p.visits.Load() < 2 { // it is on its way
		time.Sleep(time.Millisecond)
	}
	for range 20 {
		all.Go(look)
	}
	close(p.hold)
	all.Wait()
	look()
	if n := p.visits.Load(); n != 2 {
		t.Errorf("%d fetches, want 2", n)
	}
}

// A fetch that began before the key was there does not answer for it.
func TestALookIsNoEarlierFetch(t *testing.T) {
	p := newPublisher(t, "a")
	s, _, _ := newSource(t, p.URL, nil)
	tried := wantKey(t, s, "a")
	earlier := &flight{done: make(chan struct{})}
	s.flight = earlier
	p.text.Store("b")
	go s.end(earlier)
	if found, err := s.Look(tried); err != nil || found[0].ID != "b" {
		t.Errorf("%v, %v", found, err)
	}
}

func TestKeysAreKeptForTheNextProcess(t *testing.T) {
	p := newPublisher(t, "a")
	store := &memory{}
	first, _, _ := newSource(t, p.URL, store)
	wantKey(t, first, "a")
	waitForStored(t, first, store)

	p.text.Store("b")
	second, clock, _ := newSource(t, p.URL, store)
	wantKey(t, second, "a") // still in its time: nothing is fetched
	clock.pass(time.Hour)
	wantKey(t, second, "b")

	p.Close()
	waitForStored(t, second, store)
	third, clock, _ := newSource(t, p.URL, store)
	clock.pass(1000 * time.Hour)
	wantKey(t, third, "b") // out of its time, and there is nothing newer

	for name, text := range map[string]string{
		"nothing":     "",
		"no JSON":     "{",
		"another URL": `{"url":"https://other.example","document":"evil"}`,
		"no keys":     `{"url":"` + p.URL + `","document":"bad"}`,
	} {
		_ = store.Store(t.Context(), third.storedAs(), []byte(text))
		s, _, logs := newSource(t, p.URL, store)
		if got, err := s.Keys(); err == nil {
			t.Errorf("%s: keys %v", name, got)
		}
		if logs.FilterMessageSnippet("cannot be read").Len() != 1 {
			t.Errorf("%s: no warning", name)
		}
	}
}

func waitForStored(t *testing.T, s *Source, store *memory) {
	t.Helper()
	s.mu.Lock()
	flight := s.flight
	s.mu.Unlock()
	if flight != nil {
		<-flight.done
	}
	if _, err := store.Load(t.Context(), s.storedAs()); err != nil {
		t.Fatal(err)
	}
}

// The end of a configuration ends its fetches, without a warning.
func TestFetchesEndWithTheConfiguration(t *testing.T) {
	p := newPublisher(t, "a")
	p.hold = make(chan struct{})
	s, _, logs := newSource(t, p.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s.Start(ctx)
	s.mu.Lock()
	flight := s.flight
	s.mu.Unlock()
	cancel()
	<-flight.done
	if !errors.Is(flight.err, context.Canceled) || logs.Len() != 0 {
		t.Errorf("%v, logs %v", flight.err, logs.All())
	}
}

func TestTheAuthoritysFileIsChecked(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{empty, empty + ".missing"} {
		if _, err := NewClient(file); err == nil || !strings.HasPrefix(err.Error(), "ca: ") {
			t.Errorf("%s: %v", file, err)
		}
	}
}
