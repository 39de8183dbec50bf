package caddymodule

import (
	"encoding/base64"
	"net/http"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

const (
	bodyPlaceholder   = "http.request.body"
	base64Placeholder = "http.request.body_base64"
)

// shown is the event's body for placeholders, which find the server's used up.
type shown struct {
	reader body.Reader
	copied bool // into the replacer
}

// own gives the event its body and makes it readable by placeholders.
func (x *exchange) own(read *body.Body) {
	x.event.Own(read)
	x.r.Body = http.NoBody
	data := x.event.Body()
	if len(data) == 0 {
		return
	}
	x.shown.reader.Open(data)
	x.r.Body = &x.shown.reader
	if x.shown.copied = !x.replacerSeesRequest(); x.shown.copied {
		x.repl.Set(bodyPlaceholder, string(data))
		x.repl.Set(base64Placeholder, base64.StdEncoding.EncodeToString(data))
	}
}

// replacerSeesRequest reports whether placeholders read this request. Where a handler
// before the guard has passed a copy on, as tracing does, they read the original, which
// nobody can reach.
func (x *exchange) replacerSeesRequest() bool {
	const mark = "SEEN"
	method := x.r.Method
	x.r.Method = mark
	defer func() { x.r.Method = method }()
	seen, _ := x.repl.Get("http.request.method")
	return seen == mark
}

// hideBody ends what placeholders read, as the memory is another body's from then on. What
// is asked for the body later, as by an access log, finds it empty.
func (x *exchange) hideBody() {
	x.shown.reader.End()
	if x.shown.copied {
		x.repl.Delete(bodyPlaceholder)
		x.repl.Delete(base64Placeholder)
	}
}
