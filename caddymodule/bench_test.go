package caddymodule

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/bench/testbed"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
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
	}{
		{name: "bare", serve: func(_ *Guard, w http.ResponseWriter, r *http.Request) error { return benchApp(w, r) }},
		{name: "verify", edit: func(g *Guard) { g.ID, g.Content = []string{"header X-None"}, "off" }},
		{name: "memory"},
		{name: "duplicate", same: true},
		{name: "forged", forged: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			g := newGuard()
			g.ProviderName = sender.Name
			g.Secret = []Secret{{Value: sender.Secret}}
			store := dedupe.NewMemory(dedupe.MemoryOptions{MaxEntries: 100_000_000})
			g.app.store = &sharedStore{Store: store, kind: "memory", metrics: g.metrics}
			if c.edit != nil {
				c.edit(g)
			}
			if err := g.provision(); err != nil {
				b.Fatal(err)
			}
			serve := c.serve
			if serve == nil {
				serve = func(g *Guard, w http.ResponseWriter, r *http.Request) error {
					return g.ServeHTTP(w, r, caddyhttp.HandlerFunc(benchApp))
				}
			}
			server := &caddyhttp.Server{}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				b.StopTimer()
				e := testbed.Event{ID: strconv.Itoa(i), Time: time.Now(), Sent: time.Now()}
				if c.same {
					e.ID = "same"
				}
				r := sender.Request(b, "http://hooks.example.com", e)
				if c.forged {
					r.Header.Set(sender.SignatureHeader, r.Header.Get(sender.SignatureHeader)[:60]+"0000")
				}
				w := httptest.NewRecorder()
				b.StartTimer()
				_ = serve(g, w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, server))
			}
		})
	}
}

func benchApp(w http.ResponseWriter, r *http.Request) error {
	_, err := io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusOK)
	return err
}
