package e2e

import (
	"crypto/elliptic"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A sender that has changed its key sends many events at once. The first has the keys fetched
// again, for all of them, whether they name their key or not.
func TestABurstAfterARotation(t *testing.T) {
	t.Parallel()
	const events = 20
	before, after := newEC(t, "k1", elliptic.P256()), newEC(t, "k2", elliptic.P256())
	for name, identifier := range map[string][]string{"the key is named": {after.kid}, "no key is named": nil, "a key without an ID": {""}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := newKeyServer(t).list(t, before).overHTTP()
			app := testbed.StartApp(t, nil)
			g := site{store: "memory", routes: listRoute(app, server.URL)}.start(t)
			want(t, sendLeak(t, g, before, leak()), 200, "forwarded")

			server.list(t, after)
			var sent atomic.Int64
			allSent := make(chan struct{})
			list := server.serve
			server.answer(func(w http.ResponseWriter, r *http.Request) {
				select { // so that the others come while it is on its way
				case <-allSent:
				case <-r.Context().Done():
				}
				list(w, r)
			})
			var all sync.WaitGroup
			for range events {
				req := postLeak(t, g, after, leak())
				req.Header["Github-Public-Key-Identifier"] = identifier
				req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) {
					if sent.Add(1) == events {
						close(allSent)
					}
				}}))
				all.Go(func() {
					if resp, err := testbed.Try(req); err != nil || resp.Status != 200 {
						t.Errorf("%v, %v", resp, err)
					}
				})
			}
			all.Wait()
			wantCalls(t, app, 1+events)
			if n := server.count(); n != 2 {
				t.Errorf("the keys were fetched %d times, want twice", n)
			}
		})
	}
}
