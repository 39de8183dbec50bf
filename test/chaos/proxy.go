package chaos

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// proxy stands before a Redis server and can disturb the connections to it.
type proxy struct {
	tb       testing.TB
	listen   string
	upstream string
	proxy    *toxiproxy.Proxy
}

func startProxy(tb testing.TB, upstream string) *proxy {
	tb.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // the toxics log to where no option leads
	p := &proxy{tb: tb, upstream: upstream, listen: net.JoinHostPort("127.0.0.1", strconv.Itoa(testbed.FreePort(tb)))}
	p.start()
	tb.Cleanup(func() { p.proxy.Stop() })
	return p
}

func (p *proxy) start() {
	p.tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, p.upstream, p.listen, p.upstream)
	var err error
	testbed.Eventually(p.tb, retryLimit, func() bool {
		err = p.proxy.Start()
		return !errors.Is(err, syscall.EADDRINUSE) // a child that is being started holds the last listener
	}, "the proxy's port to be free again")
	if err != nil {
		p.tb.Fatalf("starting a proxy at %s for %s: %v", p.listen, p.upstream, err)
	}
}

func (p *proxy) port() int {
	_, text, err := net.SplitHostPort(p.listen)
	if err != nil {
		p.tb.Fatalf("proxy at %s: %v", p.listen, err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		p.tb.Fatalf("proxy at %s: %v", p.listen, err)
	}
	return port
}

// addToxic adds a toxic to all connections, existing ones too.
func (p *proxy) addToxic(t toxic) {
	for _, stream := range t.streams {
		text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, t.kind, stream, t.attributes)
		if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			p.tb.Errorf("adding %s: %v", text, err)
		}
	}
}

// clear removes all toxics by starting a new proxy, since removing a toxic from a dead
// connection can take minutes. All connections end.
func (p *proxy) clear() {
	p.proxy.Stop()
	p.start()
}

// toxic is one way to disturb a connection.
type toxic struct {
	name       string
	kind       string
	attributes string
	streams    []string // "upstream" is the way to the server
}

var (
	upstream   = []string{"upstream"}
	downstream = []string{"downstream"}
	bothWays   = []string{"upstream", "downstream"}
)

// toxics are drawn by kind, so that each one occurs.
var toxics = []struct {
	kind string
	draw func(r *rand.Rand) toxic
}{
	{"latency", func(r *rand.Rand) toxic {
		d := within(r, 50*time.Millisecond, time.Second)
		return toxic{fmt.Sprintf("%v more", d.Round(time.Millisecond)), "latency",
			fmt.Sprintf(`"latency": %d, "jitter": %d`, d.Milliseconds(), d.Milliseconds()/4), downstream}
	}},
	{"bandwidth", func(r *rand.Rand) toxic {
		rate := 1 + r.IntN(4)
		return toxic{fmt.Sprintf("%d KB/s", rate), "bandwidth", fmt.Sprintf(`"rate": %d`, rate), pick(r, [][]string{upstream, downstream})}
	}},
	{"connection resets", func(r *rand.Rand) toxic {
		after := r.IntN(300)
		return toxic{fmt.Sprintf("%d ms after the first bytes", after), "reset_peer", fmt.Sprintf(`"timeout": %d`, after), pick(r, [][]string{upstream, downstream})}
	}},
	{"half-open connections", func(r *rand.Rand) toxic {
		streams := pick(r, [][]string{upstream, downstream, bothWays})
		return toxic{"nothing flows " + strings.Join(streams, " and "), "timeout", `"timeout": 0`, streams}
	}},
}
