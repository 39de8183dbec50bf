package caddymodule

import (
	"errors"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const subscription = `{"Type":"SubscriptionConfirmation","TopicArn":"arn:aws:sns:us-east-1:123456789012:orders","Token":"abc"}`

// What the store knows of a confirmation decides whether the sender is called. None of these
// requests is worth a call, nor anything of the limit.
func TestConfirmationsThatAreNotMade(t *testing.T) {
	for name, tc := range map[string]struct {
		found  dedupe.Answer
		err    error
		rule   string
		status int
	}{
		"one that is known":                    {dedupe.Answer{State: dedupe.Done, Status: 200}, nil, storeErrorReject, http.StatusOK},
		"one that is being made":               {dedupe.Answer{State: dedupe.InFlight}, nil, storeErrorReject, http.StatusServiceUnavailable},
		"a store that is away":                 {dedupe.Answer{}, errors.New("away"), storeErrorReject, http.StatusServiceUnavailable},
		"a store that is full, and never asks": {dedupe.Answer{}, dedupe.ErrFull, storeErrorForward, http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFakeStore()
			store.claim = func() (dedupe.Answer, error) { return tc.found, tc.err }
			ctx, cancel := caddy.NewContext(caddy.Context{Context: t.Context()})
			defer cancel()
			b, err := newCheckBench("aws-sns", func(g *Guard) {
				g.app.ctx = ctx
				g.app.store, g.OnStoreError = newSharedStore(store, "fake", g.metrics), tc.rule
			})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 * confirmAtOnce {
				w, err := b.ask(http.MethodPost, "/in", "", subscription, true)
				if err != nil || w.Code != tc.status || w.Header().Get("Webhook-Guard") != "handshake" {
					t.Fatalf("%d, %v, %v", w.Code, w.Header(), err)
				}
			}
			if n := store.count("claim"); n != 2*confirmAtOnce {
				t.Errorf("the store was asked %d times", n)
			}
			if left := b.guard.confirmer.limit.Tokens(); left < confirmAtOnce || b.called > 0 || store.count("commit") > 0 {
				t.Errorf("%v confirmations are left, and the app was called %d times", left, b.called)
			}
		})
	}
}
