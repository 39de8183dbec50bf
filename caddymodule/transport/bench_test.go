package transport

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// nowhere is a sender that reads its answer.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header         { return n.header }
func (n nowhere) Write(p []byte) (int, error) { return len(p), nil }
func (n nowhere) WriteHeader(int)             {}

// BenchmarkEvent forwards events of 1 KB to an app on the same machine, which takes part in
// the time.
func BenchmarkEvent(b *testing.B) {
	event := strings.Repeat("x", 1<<10)
	a := startApp(b, func(conn net.Conn) {
		buf := make([]byte, 64<<10)
		for got := 0; ; {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			for got += n; got >= len(event); got = 0 {
				if buf[n-1] != 'x' || n < 8 {
					break // the body is not whole
				}
				_, _ = io.WriteString(conn, okAnswer)
			}
		}
	})
	for _, way := range ways {
		b.Run(way, func(b *testing.B) {
			p := startProxy(b, settings{"upstreams": upstreams(a.address()), "transport": settings{"protocol": way}})
			server := new(caddyhttp.Server)
			for b.Loop() {
				req, _ := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://app/webhooks", http.NoBody)
				req.RemoteAddr, req.ContentLength = "192.0.2.1:1234", int64(len(event))
				req.Header.Set("User-Agent", "sender")
				w := nowhere{make(http.Header)}
				req = caddyhttp.PrepareRequest(req, caddy.NewReplacer(), w, server)
				var reader body.Reader
				reader.Open([]byte(event))
				req = req.WithContext(forwarded{req.Context(), &reader})
				req.Body = &reader
				if err := p.handler.ServeHTTP(w, req, nil); err != nil {
					b.Fatal(err)
				}
				reader.End()
			}
			b.ReportAllocs()
		})
	}
}
