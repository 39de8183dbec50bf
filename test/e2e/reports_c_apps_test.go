package e2e

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"strings"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// anyMethod is a provider of events of any method and any body, an empty one too.
const anyMethod = `provider plain {
			signature X-Signature sha256 hex {signature}
			signed {id}.{body}
			id header X-Id
			methods POST PUT GET HEAD OPTIONS
		}`

// plainRoute is a route for events of anyMethod.
func plainRoute(behind string, lines ...string) string {
	return route("", "plain", behind, append(lines, "secret a-secret-of-the-plain-provider")...)
}

func plainRequest(t *testing.T, g *testbed.Gateway, method, id string, body []byte) *http.Request {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("a-secret-of-the-plain-provider"))
	mac.Write([]byte(id + "."))
	mac.Write(body)
	req, err := http.NewRequest(method, g.URL("/webhooks/plain"), strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Id", id)
	req.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	return req
}

// wireApp is an app that speaks HTTP as no library does.
type wireApp struct {
	addr string
	mu   sync.Mutex
	head []string // of each request, when it had arrived
}

// startWire starts one. It calls answer with the number of each request, from 1; the
// connection is closed where that returns false. With a nil answer it is closed at once.
func startWire(t *testing.T, answer func(n int, conn net.Conn, r *http.Request) bool) *wireApp {
	t.Helper()
	a := &wireApp{}
	a.addr = serveConns(t, func(conn net.Conn) { a.serve(conn, answer) })
	return a
}

// serveConns serves each connection to the address that it returns.
func serveConns(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

func (a *wireApp) serve(conn net.Conn, answer func(n int, conn net.Conn, r *http.Request) bool) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for answer != nil {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		a.mu.Lock()
		a.head = append(a.head, r.Method)
		n := len(a.head)
		a.mu.Unlock()
		if !answer(n, conn, r) {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

func (a *wireApp) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.head)
}

// saying answers every request with the same text, when it has been read.
func saying(text string) func(int, net.Conn, *http.Request) bool {
	return func(_ int, conn net.Conn, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		_, err := io.WriteString(conn, text)
		return err == nil && !strings.Contains(text, "Connection: close")
	}
}

// startFastCGI starts a FastCGI app.
func startFastCGI(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() { _ = fcgi.Serve(listener, handler) }()
	return listener.Addr().String()
}

// startH2C starts a server that speaks HTTP/2 without TLS.
func startH2C(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: protocols}
	t.Cleanup(func() { _ = server.Close() })
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String()
}
