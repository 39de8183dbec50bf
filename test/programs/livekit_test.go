//go:build full

package programs

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const livekitConfig = `
port: %[1]d
bind_addresses: [127.0.0.1]
rtc: {tcp_port: %[2]d, udp_port: %[3]d, use_external_ip: false, node_ip: 127.0.0.1}
keys: {the-key: %[5]s}
webhook: {api_key: the-key, urls: ["%[4]s/hook", "%[4]s/wrong"]}
`

// livekit is a running LiveKit server.
type livekit struct{ api }

func startLiveKit(t *testing.T, r *rig) livekit {
	t.Helper()
	dir := t.TempDir()
	port := testbed.FreePort(t)
	config := write(t, dir, "livekit.yaml", fmt.Sprintf(livekitConfig, port, testbed.FreePort(t), testbed.FreePort(t), r.url, secret))
	p := testbed.StartProcess(t, dir, nil, built(t, "livekit", "github.com/livekit/livekit-server/cmd/server"), "--config", config)
	a := newAPI(t, p, port, "/")
	a.sign = func(req *http.Request) { req.Header.Set("Authorization", "Bearer "+accessToken()) }
	return livekit{a}
}

// accessToken lets its bearer make and delete rooms.
func accessToken() string {
	part := func(v any) string {
		text, _ := json.Marshal(v) // maps of texts and numbers: cannot fail
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]string{"alg": "HS256", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "the-key", "exp": time.Now().Add(time.Hour).Unix(), "video": map[string]bool{"roomCreate": true, "roomList": true},
	})
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open makes a room, which makes the event room_started, and closed ends it: room_finished.
func (l livekit) open(room string) {
	l.t.Helper()
	l.call(http.MethodPost, "/twirp/livekit.RoomService/CreateRoom", map[string]string{"name": room}, nil)
}

func (l livekit) close(room string) {
	l.t.Helper()
	l.call(http.MethodPost, "/twirp/livekit.RoomService/DeleteRoom", map[string]string{"room": room}, nil)
}

func TestLiveKit(t *testing.T) {
	t.Parallel()
	r := newRig(t, "livekit")
	livekit := startLiveKit(t, r)

	livekit.open("works")
	first, got := r.wantForwarded("/hook", 1)
	r.wantEvent(got, "room_started")
	r.want("/wrong", 1, http.StatusUnauthorized, "signature_invalid")
	r.wantAgain(first, unchanged, http.StatusOK, "duplicate")
	r.wantAgain(first, anotherBody(first), http.StatusUnauthorized, "signature_invalid")
	livekit.close("works")
	_, got = r.wantForwarded("/hook", 2)
	r.wantEvent(got, "room_finished")

	// It retries after a 5xx as its entry says, with the same token, and then gives up.
	delays := config.Builtin()["livekit"].Retries
	for range len(delays) + 1 {
		r.then(http.StatusInternalServerError)
	}
	livekit.open("fails")
	failed := r.want("/hook", 3, http.StatusInternalServerError, "upstream_failed")
	for i, delay := range delays {
		retried := r.want("/hook", 4+i, http.StatusInternalServerError, "upstream_failed")
		if !bytes.Equal(retried.body, failed.body) || retried.header.Get("Authorization") != failed.header.Get("Authorization") {
			t.Errorf("retry %d has another body or token", i+1)
		}
		// A busy machine makes it longer, and nothing shorter.
		if waited := retried.at.Sub(r.wait("/hook", 3+i).at); waited < time.Duration(delay)*9/10 {
			t.Errorf("retry %d came after %v, not %v", i+1, waited, time.Duration(delay))
		}
	}

	livekit.close("fails")
	next := 4 + len(delays)
	_, got = r.wantForwarded("/hook", next)
	r.wantEvent(got, "room_finished")

	// It takes a 4xx for a success: the next request is the room's next event.
	r.then(http.StatusNotFound)
	livekit.open("is-refused")
	refused := r.want("/hook", next+1, http.StatusNotFound, "upstream_failed")
	livekit.close("is-refused")
	_, got = r.wantForwarded("/hook", next+2)
	r.wantEvent(got, "room_finished")
	r.wantAgain(refused, unchanged, http.StatusOK, "forwarded")
}
