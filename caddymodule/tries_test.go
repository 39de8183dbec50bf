package caddymodule

import (
	"context"
	"errors"
	"io"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

func newTries(t *testing.T, data string, once bool) *tries {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	x := &tries{Context: ctx, cancel: cancel, once: once}
	if data != "" {
		x.reader = new(body.Reader)
		x.reader.Open([]byte(data))
	}
	return x
}

// begins asks for a trace, as the proxy does before each try.
func begins(x *tries) (*httptrace.ClientTrace, error) {
	own := new(httptrace.ClientTrace)
	ctx := httptrace.WithClientTrace(context.WithValue(x, guardedKey{}, true), own)
	return httptrace.ContextClientTrace(ctx), ctx.Err()
}

func TestATryBeginsWhereItsTraceIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTries(t, "event", false)
		for range 3 {
			trace, err := begins(x)
			if err != nil {
				t.Fatal(err)
			}
			trace.WroteHeaders()
			time.AfterFunc(time.Millisecond, func() { trace.WroteRequest(httptrace.WroteRequestInfo{}) })
			if got, err := io.ReadAll(x.reader); string(got) != "event" || err != nil {
				t.Errorf("the try got %q, %v", got, err)
			}
			_ = x.reader.Close()
		}
		trace, err := begins(x)
		if err != nil {
			t.Fatal(err)
		}
		trace.WroteHeaders() // and nothing more
		if _, err := begins(x); !errors.Is(err, context.Canceled) || !errors.Is(x.ended(), errBodyUsed) {
			t.Errorf("a try without the body began: %v, %v", err, x.ended())
		}
	})
}

// What was sent and not answered is not sent again; what could not be sent, or was answered,
// is followed by the next try.
func TestWhatIsSentOnce(t *testing.T) {
	for _, data := range []string{"", "event"} {
		x := newTries(t, data, true)
		if _, err := begins(x); err != nil {
			t.Fatal(err)
		}
		trace, err := begins(x)
		if err != nil {
			t.Fatalf("nothing was sent: %v", err)
		}
		trace.WroteHeaders()
		trace.WroteRequest(httptrace.WroteRequestInfo{})
		trace.GotFirstResponseByte()
		if trace, err = begins(x); err != nil {
			t.Fatalf("the other one was answered: %v", err)
		}
		trace.WroteHeaders()
		if _, err := begins(x); !errors.Is(err, context.Canceled) || !errors.Is(x.ended(), errSentOnce) {
			t.Errorf("sent again: %v, %v", err, x.ended())
		}
	}
}

// A transport without hooks sends all once it has connected. That the proxy got an answer
// is seen by a placeholder.
func TestWhatIsSentOnceWithoutHooks(t *testing.T) {
	repl := caddy.NewReplacer()
	x := newTries(t, "", true)
	x.Context = context.WithValue(x.Context, caddy.ReplacerCtxKey, repl)
	repl.Set(latencyPlaceholder, time.Second) // of forward_auth
	try := func(err error, latency time.Duration) {
		t.Helper()
		trace, begun := begins(x)
		if begun != nil {
			t.Fatalf("there is nothing unanswered: %v", x.ended())
		}
		trace.ConnectDone("tcp", "127.0.0.1:9000", err)
		if latency != 0 {
			repl.Set(latencyPlaceholder, latency)
		}
	}
	try(io.EOF, 0)
	try(nil, 2)
	try(io.EOF, 0)
	try(nil, 3)
	try(nil, 0)
	if _, err := begins(x); !errors.Is(err, context.Canceled) || !errors.Is(x.ended(), errSentOnce) {
		t.Errorf("sent again: %v, %v", err, x.ended())
	}

	// Others connect in the background, and have hooks for the rest.
	x = newTries(t, "", true)
	trace, _ := begins(x)
	trace.GetConn("127.0.0.1:9000")
	trace.ConnectDone("tcp", "127.0.0.1:9000", nil)
	if _, err := begins(x); err != nil {
		t.Errorf("nothing was sent: %v", err)
	}
}
