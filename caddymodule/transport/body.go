package transport

import (
	"io"
	"net/http"
	"reflect"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// verifiedBody returns the reader of a verified event's body, nil where none is to be sent.
// It is false for requests that no guard forwards, and where a handler has put another body
// in its place: that is for Caddy's own transport.
func verifiedBody(req *http.Request) (reader *body.Reader, verified bool) {
	reader, forwarded := body.FromContext(req.Context())
	switch {
	case !forwarded:
		return nil, false
	case req.Body == nil || req.Body == http.NoBody: // as a rewrite to GET leaves it
		return nil, req.ContentLength == 0
	case reader == nil || innermost(req.Body) != io.ReadCloser(reader):
		return nil, false
	}
	return reader, true
}

var (
	proxyPackage   = reflect.TypeFor[reverseproxy.Handler]().PkgPath()
	readCloserType = reflect.TypeFor[io.ReadCloser]()
)

// innermost looks through what Caddy's proxy puts around a body. These types embed it, pass
// its bytes on as they are, and are not exported. Types of other packages may do anything.
func innermost(b io.ReadCloser) io.ReadCloser {
	for {
		v := reflect.ValueOf(b)
		if v.Kind() != reflect.Pointer || v.IsNil() {
			return b
		}
		v = v.Elem()
		if v.Kind() != reflect.Struct || v.Type().PkgPath() != proxyPackage || v.NumField() == 0 {
			return b
		}
		inner := v.Field(0)
		if inner.Type() != readCloserType || !inner.CanInterface() || inner.IsNil() {
			return b
		}
		b = inner.Interface().(io.ReadCloser)
	}
}
