//go:build full && linux

package peers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/app"
	"github.com/webhookguard/caddy-webhook-guard/bench/peers"
	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A comparison is fair only where the peer does the job: a genuine event is handled
// once, and a forged or stale one is not.
func TestPeersDoTheSameJob(t *testing.T) {
	for _, peer := range peers.All() {
		t.Run(peer.Name, func(t *testing.T) {
			redis := testbed.StartRedis(t)
			behind, err := app.Listen("127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { _ = behind.Serve() }()
			t.Cleanup(behind.Close)
			server := peer.Start(t, redis.Addr(), behind.Addr())
			base := "http://" + server.Addr

			for i, size := range []int{0, 64 << 10, 4 << 20} {
				event := testbed.Event{}.Fill()
				send := func(s testbed.Sender, e testbed.Event) string {
					body := append([]byte(strings.Repeat(" ", size)), s.Body(e)...)
					resp := testbed.Do(t, s.RequestWith(t, base, body, e))
					return fmt.Sprintf("%d %s", resp.Status, resp.Body)
				}
				if got := send(traffic.Forger(peer.Sender), event); !strings.HasPrefix(got, "401 ") {
					t.Errorf("forged, %d bytes more: %s", size, got)
				}
				if peer.VerifiesOnly {
					if got := send(peer.Sender, event); got != "200 " {
						t.Errorf("genuine, %d bytes more: %s", size, got)
					}
					continue
				}
				for _, age := range []time.Duration{time.Hour, -time.Hour} {
					if got := send(peer.Sender, traffic.Aged(age).Fill()); !strings.HasPrefix(got, "401 ") && !strings.HasPrefix(got, "403 ") {
						t.Errorf("%v old, %d bytes more: %s", age, size, got)
					}
				}
				for attempt, want := range []string{"200 ok", "200 duplicate", "200 duplicate"} {
					if got := send(peer.Sender, event); got != want {
						t.Errorf("attempt %d, %d bytes more: %s, want %s", attempt+1, size, got, want)
					}
				}
				if peer.Forwards && behind.Count() != i+1 {
					t.Errorf("the app was called %d times, want %d", behind.Count(), i+1)
				}
			}
			if peer.VerifiesOnly {
				return
			}
			req := peer.Sender.Request(t, base, testbed.Event{})
			req.Header.Del(peer.Sender.SignatureHeader)
			if resp := testbed.Do(t, req); resp.Status != http.StatusUnauthorized {
				t.Errorf("unsigned: %v", resp)
			}
		})
	}
}
