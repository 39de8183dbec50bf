// Package transport is the way from a guard to the app: Caddy's HTTP transport, with a way
// of its own for verified events, whose bodies are in memory.
package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() { caddy.RegisterModule((*Transport)(nil)) }

// The defaults that differ from those of Caddy's transport.
const (
	// idleTime is shorter than any app server's own patience (Gunicorn has 2 s, Node 5 s), so
	// that an event does not meet a connection that is just being closed.
	idleTime = time.Second
	// maxIdle is a bound and no tuning: what nobody uses is closed after idleTime.
	maxIdle = 1024
)

// Transport sends the events of `webhook_guard` to the app. It is Caddy's HTTP transport,
// takes its settings, and is exactly that for everything but verified events over HTTP/1.1.
//
// Those leave in one write, headers and body, from the memory that was verified, and on the
// request's own goroutine. Each try of the proxy sends the whole body, once. A kept
// connection is looked at before it is used.
//
// The defaults differ in two places: connections are kept for 1 second
// (`keep_alive.idle_timeout`), and up to 1024 of them for each upstream
// (`keep_alive.max_idle_conns_per_host`).
type Transport struct {
	reverseproxy.HTTPTransport

	ownWay bool // whether events may go any other way than Caddy's
	pool   pool
}

// CaddyModule implements caddy.Module.
func (*Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.webhook",
		New: func() caddy.Module { return new(Transport) },
	}
}

// Provision implements caddy.Provisioner.
func (t *Transport) Provision(ctx caddy.Context) error {
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if t.KeepAlive.IdleConnTimeout == 0 {
		t.KeepAlive.IdleConnTimeout = caddy.Duration(idleTime)
	}
	if t.KeepAlive.MaxIdleConnsPerHost == 0 {
		t.KeepAlive.MaxIdleConnsPerHost = maxIdle
	}
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return err
	}
	t.ownWay = slices.Contains(t.Versions, "1.1") && !slices.Contains(t.Versions, "h2c") &&
		t.ProxyProtocol == "" && t.settings().DialTLSContext == nil
	t.pool.limit(t.settings())
	return nil
}

// settings are what Caddy's transport makes of its configuration: one place for both ways.
func (t *Transport) settings() *http.Transport { return t.HTTPTransport.Transport }

// Cleanup implements caddy.CleanerUpper. Events that are under way keep their connections.
func (t *Transport) Cleanup() error {
	t.pool.close()
	return t.HTTPTransport.Cleanup()
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	m := t.message(req)
	if m == nil {
		return t.HTTPTransport.RoundTrip(req)
	}
	res, err := t.send(req, m)
	if errors.Is(err, errOtherProtocol) {
		return t.HTTPTransport.RoundTrip(req)
	}
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return res, err
}

// message is the request as it goes out, or nil where Caddy's own transport is to send it.
func (t *Transport) message(req *http.Request) *message {
	if !t.ownWay {
		return nil
	}
	reader, verified := verifiedBody(req)
	if !verified {
		return nil
	}
	t.SetScheme(req)
	if t.proxied(req) {
		return nil
	}
	to, known := t.upstream(req)
	if !known || t.pool.speaksHTTP2(to) {
		return nil
	}
	return newMessage(req, to, reader, t.settings())
}

// proxied reports whether the request goes to a network proxy first.
func (t *Transport) proxied(req *http.Request) bool {
	if t.settings().Proxy == nil {
		return false
	}
	proxy, err := t.settings().Proxy(req)
	return proxy != nil || err != nil
}

// upstream is where the request goes. Connections to the same one are interchangeable.
func (t *Transport) upstream(req *http.Request) (to upstream, known bool) {
	dial, known := reverseproxy.GetDialInfo(req.Context())
	if !known {
		return upstream{}, false
	}
	to = upstream{network: dial.Network, address: dial.Address}
	switch req.URL.Scheme {
	case "http":
	case "https":
		to.serverName = serverName(req.URL.Host)
		known = to.serverName != "" && isASCII(to.serverName)
	default:
		known = false
	}
	return to, known
}

// serverName is the host without its port, as net/http's transport names it to TLS.
func serverName(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		return host[:colon]
	}
	return host
}

// send sends the message over a kept connection, or a new one. Only where nothing at all of
// it has left does it try another connection.
func (t *Transport) send(req *http.Request, m *message) (*http.Response, error) {
	defer m.release()
	ctx := req.Context()
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(m.to.address)
	}
	if err := t.pool.take(ctx, m.to); err != nil {
		return nil, err
	}
	for {
		c, err := t.connect(ctx, m.to, trace)
		if err != nil {
			t.pool.free(m.to)
			return nil, err
		}
		res, err := roundTrip(t, c, req, m, trace)
		if !errors.Is(err, errNothingSent) {
			return res, err
		}
	}
}

// connect returns a kept connection that is in order, or makes a new one.
func (t *Transport) connect(ctx context.Context, to upstream, trace *httptrace.ClientTrace) (*conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := t.pool.get(to)
	got := httptrace.GotConnInfo{Reused: c != nil, WasIdle: c != nil}
	if c != nil {
		got.IdleTime = time.Since(c.since)
	} else {
		var err error
		if c, err = t.dial(ctx, to, trace); err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, err
		}
	}
	c.reused = got.Reused
	if trace != nil && trace.GotConn != nil {
		got.Conn = c.Conn
		trace.GotConn(got)
	}
	return c, nil
}

// dial makes a connection as Caddy's transport does, with its settings and its errors.
func (t *Transport) dial(ctx context.Context, to upstream, trace *httptrace.ClientTrace) (*conn, error) {
	socket, err := t.settings().DialContext(ctx, "tcp", to.address)
	if err != nil {
		return nil, err
	}
	c := newConn(socket, to)
	if to.serverName == "" {
		c.ready(t.settings().ReadBufferSize)
		return c, nil
	}
	secured, err := t.handshake(ctx, socket, to, trace)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	if state := secured.ConnectionState(); state.NegotiatedProtocol == "" || state.NegotiatedProtocol == "http/1.1" {
		c.secure(secured, &state)
		c.ready(t.settings().ReadBufferSize)
		return c, nil
	}
	t.pool.markHTTP2(to)
	_ = secured.Close()
	return nil, errOtherProtocol
}

// errOtherProtocol reports that the app prefers HTTP/2. Nothing has been sent then.
var errOtherProtocol = errors.New("the app speaks HTTP/2")

func (t *Transport) handshake(ctx context.Context, socket net.Conn, to upstream, trace *httptrace.ClientTrace) (*tls.Conn, error) {
	config := t.settings().TLSClientConfig.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = to.serverName
	}
	if limit := t.settings().TLSHandshakeTimeout; limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if trace != nil && trace.TLSHandshakeStart != nil {
		trace.TLSHandshakeStart()
	}
	secured := tls.Client(socket, config)
	err := secured.HandshakeContext(ctx)
	if trace != nil && trace.TLSHandshakeDone != nil {
		trace.TLSHandshakeDone(secured.ConnectionState(), err)
	}
	return secured, err
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler. The lines are those of Caddy's
// `transport http`:
//
//	transport webhook {
//		<line of transport http>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return t.HTTPTransport.UnmarshalCaddyfile(d)
}

var (
	_ caddy.Provisioner                                = (*Transport)(nil)
	_ caddy.CleanerUpper                               = (*Transport)(nil)
	_ caddyfile.Unmarshaler                            = (*Transport)(nil)
	_ http.RoundTripper                                = (*Transport)(nil)
	_ reverseproxy.TLSTransport                        = (*Transport)(nil)
	_ reverseproxy.H2CTransport                        = (*Transport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*Transport)(nil)
	_ reverseproxy.ProxyProtocolTransport              = (*Transport)(nil)
	_ reverseproxy.RequestHeaderOpsTransport           = (*Transport)(nil)
)
