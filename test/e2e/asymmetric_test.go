package e2e

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Discord signs with a private key of its own, checks the endpoint with pings and
// with forged requests, and wants 401 for those.
func TestDiscordIsVerifiedWithItsPublicKey(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		_, stranger, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		app := testbed.StartApp(t, nil)
		g := site{store: store, routes: route("", "discord", proxy(app), "public_key "+hex.EncodeToString(public))}.start(t)
		signed := func(key ed25519.PrivateKey, body string) *http.Request {
			stamp := strconv.FormatInt(time.Now().Unix(), 10)
			return post(t, g.URL("/webhooks/discord"), []byte(body), map[string]string{
				"X-Signature-Ed25519":   hex.EncodeToString(ed25519.Sign(key, []byte(stamp+body))),
				"X-Signature-Timestamp": stamp,
			})
		}
		const ping = `{"id":"1","type":1}`
		resp := testbed.Do(t, signed(private, ping))
		want(t, resp, 200, "handshake")
		if string(resp.Body) != `{"type":1}` {
			t.Errorf("the ping was answered with %q", resp.Body)
		}
		want(t, testbed.Do(t, signed(stranger, ping)), 401, "signature_invalid")

		interaction := `{"id":"` + testbed.NewID() + `","type":2,"data":{"name":"order"}}`
		want(t, testbed.Do(t, signed(stranger, interaction)), 401, "signature_invalid")
		wantCalls(t, app, 0)
		want(t, testbed.Do(t, signed(private, interaction)), 200, "forwarded")
		want(t, testbed.Do(t, signed(private, interaction)), 200, "duplicate")
		wantDelivered(t, app, 1, []byte(interaction))
	})
}
