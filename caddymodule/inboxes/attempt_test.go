package inboxes

import (
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// What the proxy says of its own end of a request is no answer of the app's, and gives no
// event up. An answer that has no body by definition is whole.
func TestWhatAnAttemptComesTo(t *testing.T) {
	const own, abort = true, true
	errSentOnce := errors.New("the connection broke after the event was sent")
	answers := func(status int, length string, own, abort bool) caddyhttp.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			repl.Set("http.reverse_proxy.upstream.address", "app:5000")
			if own {
				repl.Set("http.reverse_proxy.status_code", status)
			}
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			if status != 0 {
				w.WriteHeader(status)
			}
			if abort {
				panic(http.ErrAbortHandler)
			}
			return nil
		}
	}
	for name, test := range map[string]struct {
		method  string
		app     caddyhttp.HandlerFunc
		ended   error
		outcome inbox.Outcome
		status  int
		away    bool
	}{
		"the proxy ended it":              {"GET", answers(499, "", !own, !abort), errSentOnce, inbox.Retry, 502, true},
		"the proxy ended it for the time": {"POST", answers(499, "", !own, !abort), context.DeadlineExceeded, inbox.Retry, 0, true},
		"another request's end":           {"POST", answers(499, "", !own, !abort), nil, inbox.Retry, 502, true},
		"the app's own 499":               {"POST", answers(499, "", own, !abort), nil, inbox.GiveUp, 499, false},
		"the app's own 400":               {"POST", answers(400, "", own, !abort), nil, inbox.GiveUp, 400, false},
		"a success before the end":        {"GET", answers(200, "", own, !abort), errSentOnce, inbox.Success, 200, false},
		"a 500 of the try before the end": {"GET", answers(500, "", own, !abort), errSentOnce, inbox.Retry, 502, true},
		"a switch of protocols":           {"POST", answers(101, "", own, !abort), nil, inbox.Retry, 0, false},
		"no answer at all":                {"POST", answers(0, "", !own, !abort), nil, inbox.Retry, 0, false},
		"HEAD with a length":              {"HEAD", answers(200, "5", own, !abort), nil, inbox.Success, 200, false},
		"HEAD with a length, missed":      {"HEAD", answers(200, "5", own, abort), nil, inbox.Success, 200, false},
		"205 with a length":               {"POST", answers(205, "5", own, !abort), nil, inbox.Success, 205, false},
		"204 with a length, missed":       {"POST", answers(204, "5", own, abort), nil, inbox.Success, 204, false},
		"200 shorter than its length":     {"POST", answers(200, "5", own, !abort), nil, inbox.Retry, 0, true},
		"400 shorter than its length":     {"POST", answers(400, "5", own, !abort), nil, inbox.Retry, 0, true},
		"200, broken off":                 {"POST", answers(200, "", own, abort), nil, inbox.Retry, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			giveUp, err := config.ParseStatuses([]string{"4xx"})
			if err != nil {
				t.Fatal(err)
			}
			success, err := config.ParseStatuses([]string{"2xx"})
			if err != nil {
				t.Fatal(err)
			}
			c := Config{Timeout: caddy.Duration(time.Minute), RetryFor: caddy.Duration(time.Hour), Retry: defaultRetry, giveUp: giveUp}
			in := &Inbox{Config: &c, success: success, logger: zap.NewNop(), handler: test.app}
			in.sign = func(http.Header, []byte, inbox.Key) error { return nil }
			in.tries = func(ctx context.Context, _ context.CancelFunc, _ *body.Reader, _ bool) (context.Context, func() error) {
				return ctx, func() error { return test.ended }
			}
			d := inbox.Delivery{}
			d.Info.Attempts, d.Begun = 1, time.Now()
			res := in.attempt(d, &inbox.Envelope{Method: test.method, URI: "/hook", Scheme: "https", Host: "example.com"})
			s := in.settlement(d, time.Now(), time.Now(), res)
			if switched := strings.Contains(s.Attempt.Error, "101"); switched != strings.Contains(name, "switch") {
				t.Errorf("the attempt says %q", s.Attempt.Error)
			}
			if s.Outcome != test.outcome || s.Attempt.Status != test.status || res.away() != test.away {
				t.Errorf("outcome %v, status %d, away %t (%v); want %v, %d, %t",
					s.Outcome, s.Attempt.Status, res.away(), res.err, test.outcome, test.status, test.away)
			}
		})
	}
}

// The beginning of an answer is listed for people, so it is never a compressed one, whatever
// the sender could have read.
func TestTheBeginningOfAnAnswerCanBeRead(t *testing.T) {
	in := &Inbox{Config: &Config{Timeout: caddy.Duration(time.Minute)}, logger: zap.NewNop()}
	in.handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("Accept-Encoding") == "" {
			_, err := w.Write([]byte("no such order"))
			return err
		}
		packed := gzip.NewWriter(w)
		if _, err := packed.Write([]byte("no such order")); err != nil {
			return err
		}
		return packed.Close()
	})
	in.sign = func(http.Header, []byte, inbox.Key) error { return nil }
	in.tries = func(ctx context.Context, _ context.CancelFunc, _ *body.Reader, _ bool) (context.Context, func() error) {
		return ctx, ctx.Err
	}
	kept := inbox.Envelope{Method: "POST", URI: "/hook", Header: map[string][]string{"Accept-Encoding": {"gzip, deflate, br"}}}
	res := in.attempt(inbox.Delivery{}, &kept)
	if res.err != nil || string(res.head) != "no such order" {
		t.Errorf("the answer begins with %q (%v)", res.head, res.err)
	}
	if len(kept.Header["Accept-Encoding"]) != 1 {
		t.Error("the request that is kept has changed")
	}
}

// What recognises copies is the guard's own, and no header of the app's request.
func TestTheMarksOfAnEventAreNotSent(t *testing.T) {
	c := Config{Timeout: caddy.Duration(time.Minute)}
	in := &Inbox{Config: &c, logger: zap.NewNop(), sign: func(http.Header, []byte, inbox.Key) error { return nil }}
	e := &inbox.Envelope{Method: http.MethodPost, URI: "/hook", Header: http.Header{HeaderContent: {"key", "id"}, "X-Other": {"kept"}}}
	r, err := in.request(t.Context(), inbox.Delivery{}, e, nil)
	if err != nil || r.Header.Get(HeaderContent) != "" || r.Header.Get("X-Other") != "kept" {
		t.Errorf("headers %v, %v", r.Header, err)
	}
	if len(e.Header[HeaderContent]) != 2 {
		t.Error("and they are gone from the event")
	}
}
