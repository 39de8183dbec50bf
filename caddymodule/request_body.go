package caddymodule

import (
	"encoding/base64"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// bodies is the budget of all bodies in the process, whatever configuration their
// requests belong to.
var bodies = body.NewBudget(defaultMaxBuffered)

const (
	bodyPlaceholder   = "http.request.body"
	base64Placeholder = "http.request.body_base64"
)

// requestBody is a request's body. The event owns what is read of it, and placeholders see
// that, as they find the server's used up.
type requestBody struct {
	x      *exchange
	shown  body.Reader // what placeholders read
	asked  bool        // whether any of it was read, or tried to
	copied bool        // into the replacer
	shadow *shadowBody // what reads it in shadow mode
}

// read reads at most limit bytes of the body into the event.
func (b *requestBody) read(limit int64) *webhook.Refusal {
	b.asked = true
	defer outside(b.x)() // a sender may take its time
	if b.shadow != nil {
		return b.shadow.take(limit)
	}
	sender := b.x.guard.sender
	read, err := body.ReadToParse(b.x.w, b.x.r, limit, sender.Rules.BodyTimeout, bodies, sender.Weight)
	stripOwnNames(b.x.r.Trailer) // which came after the body
	if err != nil {
		return webhook.RefuseBody(err)
	}
	b.own(read)
	return nil
}

// maxCheck limits how much of an unauthenticated body is read to look for a sender's
// check of the endpoint. Such bodies are tiny.
const maxCheck = 4 << 10

// ReadCheck implements [webhook.CheckBody].
func (b *requestBody) ReadCheck() ([]byte, bool) {
	if b.x.event.Owned() == nil && b.read(min(b.x.guard.sender.Rules.MaxBody, maxCheck)) != nil {
		return nil, false
	}
	data := b.x.event.Body()
	return data, len(data) <= maxCheck
}

// own gives the event its body and makes it readable by placeholders.
func (b *requestBody) own(read *body.Body) {
	b.x.event.Own(read)
	b.x.r.Body = http.NoBody
	data := b.x.event.Body()
	if len(data) == 0 {
		return
	}
	b.shown.Open(data)
	b.x.r.Body = &b.shown
}

// publish shows a verified body to placeholders that read another request. That takes
// copies, which a forgery must not cost.
func (b *requestBody) publish() {
	data := b.x.event.Body()
	if len(data) == 0 {
		return
	}
	if b.copied = !replacerSees(b.x.r, b.x.repl); b.copied {
		b.x.repl.Set(bodyPlaceholder, string(data))
		b.x.repl.Set(base64Placeholder, base64.StdEncoding.EncodeToString(data))
	}
}

// replacerSees reports whether placeholders read this request. Where a handler before the
// guard has passed a copy on, as tracing does, they read the original, which nobody can
// reach.
func replacerSees(r *http.Request, repl *caddy.Replacer) bool {
	const mark = "SEEN"
	method := r.Method
	r.Method = mark
	defer func() { r.Method = method }()
	seen, _ := repl.Get("http.request.method")
	return seen == mark
}

// release ends what placeholders read, as the memory is another body's from then on. What
// is asked for the body later, as by an access log, finds it empty.
func (b *requestBody) release() {
	b.shown.End()
	if b.copied {
		b.x.repl.Delete(bodyPlaceholder)
		b.x.repl.Delete(base64Placeholder)
	}
	b.x.event.Release()
}
