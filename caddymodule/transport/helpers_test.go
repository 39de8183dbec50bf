package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// forwarded is the context of a request that a guard forwards.
type forwarded struct {
	context.Context
	reader *body.Reader
}

func (f forwarded) Value(key any) any {
	if key == body.ContextKey {
		return f.reader
	}
	return f.Context.Value(key)
}

// proxy is Caddy's reverse_proxy behind what stands in for a guard.
type proxy struct {
	*httptest.Server
	handler *reverseproxy.Handler
	between func(*http.Request) // a handler between the two
	ended   atomic.Int64        // requests
}

// settings are those of a reverse_proxy, as JSON.
type settings map[string]any

func upstreams(addresses ...string) []map[string]any {
	var all []map[string]any
	for _, address := range addresses {
		all = append(all, map[string]any{"dial": address})
	}
	return all
}

// startProxy starts a proxy for this configuration.
func startProxy(t testing.TB, config settings) *proxy {
	t.Helper()
	ctx, err := configured()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	loading.Lock()
	module, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", text)
	loading.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{handler: module.(*reverseproxy.Handler)}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.Server.Close()
		_ = p.handler.Cleanup()
		if transport, ok := p.handler.Transport.(caddy.CleanerUpper); ok {
			_ = transport.Cleanup()
		}
	})
	return p
}

// configured is the one configuration of all tests. Caddy loads one at a time, and one module.
var (
	configured = sync.OnceValues(func() (caddy.Context, error) {
		return caddy.ProvisionContext(&caddy.Config{Admin: &caddy.AdminConfig{Disabled: true}, Logging: quiet})
	})
	loading sync.Mutex
)

var quiet = &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{
	WriterRaw: json.RawMessage(`{"output":"discard"}`),
}}}}

// ServeHTTP forwards a request as a guard does: with a body that is whole and in memory.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.ended.Add(1)
	data, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header()["Content-Type"] = nil // or else the server guesses it, depending on when it writes
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, new(caddyhttp.Server))
	var reader body.Reader
	event := forwarded{Context: r.Context()}
	r.Body, r.ContentLength, r.TransferEncoding, r.Trailer = http.NoBody, int64(len(data)), nil, nil
	if len(data) > 0 {
		reader.Open(data)
		defer func() { // the memory is another body's from now on
			reader.End()
			for i := range data {
				data[i] = 0xdb
			}
		}()
		event.reader, r.Body = &reader, &reader
	}
	r = r.WithContext(event)
	if p.between != nil {
		p.between(r)
	}
	err = p.handler.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
	if failed, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		w.Header().Set("Error", failed.Err.Error())
		w.WriteHeader(failed.StatusCode)
	} else if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// ways are the two transports that are compared.
var ways = []string{"http", "webhook"}

// app is a server that does with each connection what a test says.
type app struct {
	net.Listener
	connections atomic.Int64
}

func listen(t testing.TB, network, address string, serve func(net.Conn)) *app {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{Listener: listener}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			a.connections.Add(1)
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return a
}

func startApp(t testing.TB, serve func(net.Conn)) *app {
	return listen(t, "tcp", "127.0.0.1:0", serve)
}

func (a *app) address() string { return a.Addr().String() }

// eachRequest reads whole requests from a connection, until it ends or one is the last.
func eachRequest(conn net.Conn, answer func(r *http.Request, text string) (last bool)) {
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		text, err := io.ReadAll(r.Body)
		if err != nil || answer(r, string(text)) {
			return
		}
	}
}

// post sends an event and returns the status and text of its answer.
func (p *proxy) post(t testing.TB, text string) (int, string) {
	t.Helper()
	return p.do(t, http.MethodPost, "/", strings.NewReader(text))
}

func (p *proxy) do(t testing.TB, method, path string, text io.Reader) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, p.URL+path, text)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := p.Client().Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, err.Error()
	}
	return resp.StatusCode, string(got) + resp.Header.Get("Error")
}

// newTLSServer starts a net/http server and returns its address.
func newTLSServer(t testing.TB, protocols []string, handler http.HandlerFunc, connections *atomic.Int64) string {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = len(protocols) > 0 && protocols[0] == "h2"
	server.TLS = &tls.Config{NextProtos: protocols}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// certificate is a server's configuration of TLS.
func certificate(t testing.TB) *tls.Config {
	t.Helper()
	lender := httptest.NewUnstartedServer(nil)
	lender.StartTLS()
	defer lender.Close()
	config := lender.TLS.Clone()
	config.NextProtos = nil
	return config
}
