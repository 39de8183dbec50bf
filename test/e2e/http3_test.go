package e2e

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// An app that is reached by HTTP/3 gets each event whole, and once where a proxy would send
// it again by itself.
func TestAnAppThatIsReachedByHTTP3(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	storage := t.TempDir()
	upstream := testbed.StartGateway(t, fmt.Sprintf(`
{
	admin 127.0.0.1:{$ADMIN}
	local_certs
	skip_install_trust
	grace_period 1s
	auto_https disable_redirects
	storage file_system %s
}
https://localhost:{$PORT} {
	route {
		forward_auth %[2]s {
			uri /auth
			header_up X-Proto {http.request.proto}
		}
		@broken header X-Broken *
		abort @broken
		reverse_proxy %[2]s {
			header_up X-Proto {http.request.proto}
		}
	}
}
`, storage, app.Addr()))
	upstream.WaitOutput("certificate obtained successfully")
	g := site{store: "memory", guards: anyMethod, routes: plainRoute(fmt.Sprintf(
		"reverse_proxy %s {\ntransport http {\nversions 3\ntls_trust_pool file %s\n}\nlb_try_duration 5s\nlb_retry_match {\nmethod POST PUT GET OPTIONS\n}\n}",
		strings.Replace(upstream.URL(""), "http://127.0.0.1", "https://localhost", 1), filepath.Join(storage, "pki", "authorities", "local", "root.crt")))}.start(t)
	calls := 0
	for _, method := range []string{"POST", "PUT", "GET", "OPTIONS"} {
		for _, size := range []int{0, 1, 1000, 3_000_000} {
			id, body := method+strconv.Itoa(size), pattern(size)
			want(t, testbed.Do(t, plainRequest(t, g, method, id, body)), 200, "forwarded")
			want(t, testbed.Do(t, plainRequest(t, g, method, id, body)), 200, "duplicate")
			calls += 2 // with the one of forward_auth
			wantDelivered(t, app, calls, body)
			if got := last(t, app).Header.Get("X-Proto"); got != "HTTP/3.0" {
				t.Fatalf("the app was reached by %s", got)
			}
		}
		// A stream that breaks is not tried again where the app may have handled the event.
		req := plainRequest(t, g, method, method+" broken", nil)
		req.Header.Set("X-Broken", "yes")
		want(t, testbed.Do(t, req), 502, "upstream_failed")
		calls++
		wantCalls(t, app, calls)
		again := func() testbed.Response { return testbed.Do(t, plainRequest(t, g, method, method+" broken", nil)) }
		resp := again()
		if resp.Status == 502 { // the connection was given up with the stream
			resp = again()
		}
		want(t, resp, 200, "forwarded")
		calls += 2
		wantCalls(t, app, calls)
	}
}
