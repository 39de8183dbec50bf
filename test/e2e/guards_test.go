package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// soon is how long a condition may take that nothing delays.
const soon = 2 * time.Minute

// onEachStore runs a test on each store: memory, a directory in each gateway's home,
// and a Redis of the test's own. The store is as the `store` line takes it.
func onEachStore(t *testing.T, test func(t *testing.T, store string)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, "memory")
	})
	t.Run("disk", func(t *testing.T) {
		t.Parallel()
		test(t, "disk")
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, testbed.RedisStore(testbed.StartRedis(t).URL()))
	})
}

// isShared reports whether several gateways can use the store at once.
func isShared(store string) bool { return strings.HasPrefix(store, "redis ") }

// setup is a gateway's configuration: a guard for each of the five senders, all
// before one app.
type setup struct {
	global string            // lines of the global options
	store  string            // what follows `store`
	lines  string            // lines of every guard
	app    *testbed.App      // behind the guards
	more   map[string]string // further sets of guards, by their path's beginning, and their lines
	tail   string            // whatever else stands in the Caddyfile

	defaultLease bool // instead of one that ends in no test: see steadyLease
}

// steadyLease is a line of a guard whose lease is not the test's subject. The default is 10 s or
// less, and what stands still for half of it between claim and call forwards nothing.
const steadyLease = "lease 30s"

// withSteadyLease adds steadyLease to a guard's lines where nothing in them is about leases: a
// lease is no longer than timeout.
func withSteadyLease(lines string) string {
	for line := range strings.Lines(lines) {
		if words := strings.Fields(line); len(words) > 0 && (words[0] == "lease" || words[0] == "timeout") {
			return lines
		}
	}
	return strings.TrimPrefix(lines+"\n\t\t\t"+steadyLease, "\n\t\t\t")
}

// caddyfile returns the configuration.
func (s setup) caddyfile() string {
	var b strings.Builder
	fmt.Fprintf(&b, "{\n\tadmin 127.0.0.1:{$ADMIN}\n%s\n\twebhook_guard {\n\t\tstore %s\n\t}\n}\n", s.global, s.store)
	b.WriteString("http://:{$PORT} {\n")
	s.guards(&b, "", s.lines)
	for prefix, lines := range s.more {
		s.guards(&b, prefix, lines)
	}
	b.WriteString("\thandle {\n\t\terror 404\n\t}\n}\n")
	b.WriteString(s.tail)
	return b.String()
}

func (s setup) guards(b *strings.Builder, prefix, lines string) {
	for _, sender := range testbed.Senders() {
		secret := "secret " + sender.Secret
		if sender.SignatureHeader == "" {
			secret += "\n\t\t\ttoken query token"
		}
		if !strings.Contains(lines, "scope ") {
			secret += "\n\t\t\tscope " + sender.Name // there may be others under another prefix
		}
		lines := lines
		if !s.defaultLease {
			lines = withSteadyLease(lines)
		}
		fmt.Fprintf(b, "\thandle %s/webhooks/%s {\n\t\twebhook_guard %s {\n\t\t\t%s\n\t\t\t%s\n\t\t}\n\t\treverse_proxy %s\n\t}\n",
			prefix, sender.Name, sender.Name, secret, lines, s.app.Addr())
	}
}

// start runs a gateway with the configuration.
func (s setup) start(t *testing.T) *testbed.Gateway {
	t.Helper()
	return testbed.StartGateway(t, s.caddyfile())
}

// reply is the result of a request that was sent from a goroutine.
type reply struct {
	testbed.Response
	err error
}

// sendAsync sends a request and delivers its answer on the channel.
func sendAsync(req *http.Request) <-chan reply {
	return async(func() (testbed.Response, error) { return testbed.Try(req) })
}

// sendAfterReload is sendAsync right after a reload.
func sendAfterReload(request func() *http.Request) <-chan reply {
	return async(func() (testbed.Response, error) { return tryAcrossReload(request) })
}

func async(send func() (testbed.Response, error)) <-chan reply {
	answered := make(chan reply, 1)
	go func() {
		resp, err := send()
		answered <- reply{resp, err}
	}()
	return answered
}

// tryAcrossReload sends a request again that got no answer. While it reloads, Caddy
// drops connections that wait to be accepted. No handler has seen them, and senders
// retry.
func tryAcrossReload(request func() *http.Request) (testbed.Response, error) {
	for end := time.Now().Add(soon); ; {
		resp, err := testbed.Try(request())
		if err == nil || !time.Now().Before(end) {
			return resp, err
		}
	}
}

// wait returns the answer of a request sent by sendAsync.
func wait(t *testing.T, answered <-chan reply) testbed.Response {
	t.Helper()
	select {
	case r := <-answered:
		if r.err != nil {
			t.Fatalf("no answer: %v", r.err)
		}
		return r.Response
	case <-time.After(2 * soon):
		t.Fatalf("no answer within %v", 2*soon)
		return testbed.Response{}
	}
}

// waitAll returns the answers of many.
func waitAll(t *testing.T, answered []<-chan reply) []testbed.Response {
	t.Helper()
	all := make([]testbed.Response, 0, len(answered))
	for _, one := range answered {
		all = append(all, wait(t, one))
	}
	return all
}

// want fails the test unless the answer has this status and result.
func want(t *testing.T, resp testbed.Response, status int, result string) {
	t.Helper()
	if resp.Status != status || resp.Guard != result {
		t.Fatalf("the answer is %v, want %d %q", resp, status, result)
	}
}

// wantCalls fails the test unless the app was called this often.
func wantCalls(t *testing.T, app *testbed.App, calls int) {
	t.Helper()
	if got := app.Count(); got != calls {
		t.Fatalf("the app was called %d times, want %d", got, calls)
	}
}

// tally counts answers by their status and result, as "200 forwarded".
func tally(answers []testbed.Response) map[string]int {
	counts := make(map[string]int)
	for _, a := range answers {
		counts[fmt.Sprintf("%d %s", a.Status, a.Guard)]++
	}
	return counts
}

// gate holds the app's answers until it is opened, which may be done twice.
type gate struct {
	c    chan struct{}
	once sync.Once
}

func newGate(t *testing.T) *gate {
	g := &gate{c: make(chan struct{})}
	t.Cleanup(g.open)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

// metric is a gateway's metric, 0 where it has no series.
func metric(g *testbed.Gateway, name string, labels ...string) float64 {
	value, _ := g.Metric(name, labels...)
	return value
}

// bodiesRead waits until a gateway has read this many bodies of a provider. Nothing
// blocks between there and the claim.
func bodiesRead(t *testing.T, g *testbed.Gateway, provider string, n int) {
	t.Helper()
	testbed.Eventually(t, soon, func() bool {
		return metric(g, "webhook_guard_body_bytes", "provider", provider) >= float64(n)
	}, fmt.Sprintf("%d bodies of %s read", n, provider))
}

// containsAll reports whether a text holds every one of the words.
func containsAll(text string, words ...string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// noCanary fails the test where a text holds a secret: every secret contains the word
// canary, and nothing else does.
func noCanary(t *testing.T, what, text string) {
	t.Helper()
	if at := strings.Index(text, "canary"); at >= 0 {
		t.Errorf("the %s holds a secret: …%s…", what, text[max(0, at-200):min(len(text), at+200)])
	}
}
