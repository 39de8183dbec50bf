package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy stands before a Redis server and can spoil the way to it.
type proxy struct {
	tb    testing.TB
	proxy *toxiproxy.Proxy
}

func startProxy(tb testing.TB, upstream string) *proxy {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{tb: tb, proxy: toxiproxy.NewProxy(server, upstream, "127.0.0.1:0", upstream)}
	if err := p.proxy.Start(); err != nil {
		tb.Fatalf("starting a proxy for %s: %v", upstream, err)
	}
	tb.Cleanup(p.proxy.Stop)
	return p
}

func (p *proxy) addr() string { return p.proxy.Listen }

func (p *proxy) port() int {
	_, text, err := net.SplitHostPort(p.addr())
	if err != nil {
		p.tb.Fatalf("proxy at %s: %v", p.addr(), err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		p.tb.Fatalf("proxy at %s: %v", p.addr(), err)
	}
	return port
}

// spoil adds a toxic: its type, its attributes, and whether it is on the way to the
// server ("upstream") or back.
func (p *proxy) spoil(t toxic) {
	for _, stream := range t.streams {
		text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, t.kind, stream, t.attributes)
		if _, err := p.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			p.tb.Errorf("adding %s: %v", text, err)
		}
	}
}

// clear makes the way good again.
func (p *proxy) clear() { p.proxy.Toxics.ResetToxics(context.Background()) }

// toxic is one way to spoil a connection.
type toxic struct {
	name       string
	kind       string
	attributes string
	streams    []string
}

var (
	upstream   = []string{"upstream"}
	downstream = []string{"downstream"}
	bothWays   = []string{"upstream", "downstream"}
)

// toxics are drawn by kind, so that each one has its turn.
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
