package caddymodule

import (
	"net/http"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// reader is the sender while it reads its answer. It has as long for each part as it had
// for its body. Without a limit, a sender that reads nothing would keep its event claimed,
// its memory in use, and the process from stopping.
type reader struct {
	perWrite time.Duration
	until    time.Time // no part takes longer than this; zero for no such time
	timer    bool      // a deadline counts while nothing is written, as in HTTP/2
}

// newReader returns whoever sent a request. until is the end of the time that the app has.
func newReader(sender *webhook.Sender, r *http.Request, until time.Time) reader {
	return reader{perWrite: sender.Rules.BodyTimeout, until: until, timer: r.ProtoMajor == 2}
}

// limit bounds what is written next. The server itself lifts the limit once the response
// is out.
func (r reader) limit(w http.ResponseWriter) {
	if r.perWrite == 0 {
		return
	}
	end := time.Now().Add(r.perWrite)
	if !r.until.IsZero() && r.until.Before(end) {
		end = r.until
	}
	_ = http.NewResponseController(w).SetWriteDeadline(end) // or the server's own time-outs hold
}

// rest lifts the limit while the app has nothing to write.
func (r reader) rest(w http.ResponseWriter) {
	if r.timer && r.perWrite > 0 {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})
	}
}
