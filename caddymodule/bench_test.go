package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// BenchmarkGuard measures what a guard adds to a request: `bare` is the same
// request through Caddy's preparation and the app alone.
func BenchmarkGuard(b *testing.B) {
	sender := testbed.DocRouter()
	for _, c := range []struct {
		name   string
		serve  func(*Guard, http.ResponseWriter, *http.Request) error
		edit   func(*Guard)
		same   bool // one event again and again
		forged bool
		page   bool // somebody may look at what the guard sees
	}{
		{name: "bare", serve: func(_ *Guard, w http.ResponseWriter, r *http.Request) error { return benchApp(w, r) }},
		{name: "verify", edit: func(g *Guard) { g.ID, g.Content = sourcesOf("header X-None"), "off" }},
		{name: "memory"},
		{name: "duplicate", same: true},
		{name: "forged", forged: true},
		{name: "memory with a page", page: true},
		{name: "duplicate with a page", same: true, page: true},
		{name: "forged with a page", forged: true, page: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := benchGuard(b, sender, c.edit)
			keepLately(c.page)
			defer keepLately(false)
			serve := c.serve
			if serve == nil {
				serve = func(g *Guard, w http.ResponseWriter, r *http.Request) error {
					return g.ServeHTTP(w, r, caddyhttp.HandlerFunc(benchApp))
				}
			}
			server := &caddyhttp.Server{}
			var requests []*http.Request
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%batch == 0 {
					// Signing them costs more than what is measured, and so does stopping the
					// timer for each.
					b.StopTimer()
					requests = benchRequests(b, sender, i, min(batch, b.N-i), c.same, c.forged)
					b.StartTimer()
				}
				w := &nowhere{header: make(http.Header)}
				_ = serve(g, w, caddyhttp.PrepareRequest(requests[i%batch], caddy.NewReplacer(), w, server))
			}
		})
	}
}

const batch = 1000

func benchRequests(b *testing.B, sender testbed.Sender, from, n int, same, forged bool) []*http.Request {
	b.Helper()
	requests := make([]*http.Request, n)
	for i := range requests {
		e := testbed.Event{ID: strconv.Itoa(from + i), Time: time.Now(), Sent: time.Now()}
		if same {
			e.ID = "same"
		}
		r := sender.Request(b, "http://hooks.example.com", e)
		if forged {
			r.Header.Set(sender.SignatureHeader, r.Header.Get(sender.SignatureHeader)[:60]+"0000")
		}
		requests[i] = r
	}
	return requests
}

// nowhere is the cheapest http.ResponseWriter.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header              { return w.header }
func (w *nowhere) Write(p []byte) (int, error)      { return len(p), nil }
func (w *nowhere) WriteHeader(int)                  {}
func (w *nowhere) SetReadDeadline(time.Time) error  { return nil }
func (w *nowhere) SetWriteDeadline(time.Time) error { return nil }

func benchGuard(b *testing.B, sender testbed.Sender, edit func(*Guard)) *Guard {
	b.Helper()
	g := newGuard()
	g.ProviderName = sender.Name
	g.Secret = []Secret{{Value: sender.Secret}}
	store := memory.New(memory.Options{MaxEntries: 100_000_000})
	g.app.store = newSharedStore(store, "memory", g.metrics)
	if edit != nil {
		edit(g)
	}
	if err := g.provision(); err != nil {
		b.Fatal(err)
	}
	return g
}

// BenchmarkInFlight measures what a request holds while the app works on it: heap
// beyond its body and what `bare` holds, and stack.
func BenchmarkInFlight(b *testing.B) {
	sender := testbed.DocRouter()
	for _, name := range []string{"bare", "guard"} {
		b.Run(name, func(b *testing.B) {
			const n = 2000
			g := benchGuard(b, sender, nil)
			release := make(chan struct{})
			var inApp, served sync.WaitGroup
			app := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
				inApp.Done()
				<-release
				return benchApp(w, r)
			})
			requests := make([]*http.Request, n)
			bodies := 0
			for i := range requests {
				r := sender.Request(b, "http://hooks.example.com", testbed.Event{ID: strconv.Itoa(i)})
				bodies += int(r.ContentLength)
				requests[i] = prepared(r, httptest.NewRecorder())
			}
			before := inUse()
			inApp.Add(n)
			for _, r := range requests {
				served.Go(func() {
					w := httptest.NewRecorder()
					if name == "bare" {
						_ = app(w, r)
						return
					}
					_ = g.ServeHTTP(w, r, app)
				})
			}
			inApp.Wait()
			after := inUse()
			close(release)
			served.Wait()
			runtime.KeepAlive(requests)
			for b.Loop() { // the figure is not a time
			}
			heap := int(after.HeapAlloc) - int(before.HeapAlloc)
			if name != "bare" {
				heap -= bodies
			}
			b.ReportMetric(float64(heap)/n, "heap-B/request")
			b.ReportMetric(float64(int(after.StackInuse)-int(before.StackInuse))/n, "stack-B/request")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// inUse is what is in use after a collection.
func inUse() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func benchApp(w http.ResponseWriter, r *http.Request) error {
	_, err := io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusOK)
	return err
}
