package e2e

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// hangUp sends a request whose sender hangs up once it is the app's n-th.
func hangUp(t *testing.T, req *http.Request, app *testbed.App, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answered := sendAsync(req.WithContext(ctx))
	app.WaitCount(n)
	cancel()
	if r := <-answered; !errors.Is(r.err, context.Canceled) {
		t.Fatalf("the sender hung up, but got %v, %v", r.Response, r.err)
	}
}

// begin sends a request, the app's first. Its sender waits for the answer, on the channel,
// or hangs up.
func begin(t *testing.T, req *http.Request, app *testbed.App, stays bool) <-chan reply {
	t.Helper()
	if stays {
		return sendAsync(req)
	}
	hangUp(t, req, app, 1)
	return nil
}

// startHeldApp starts an app that answers once the gate opens or its request is
// cancelled, and reports on the channel whether it was cancelled.
func startHeldApp(t *testing.T, hold *gate, answer testbed.Answer) (*testbed.App, <-chan bool) {
	t.Helper()
	cancelled := make(chan bool, 1)
	return testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		select {
		case <-d.Gone:
			cancelled <- true
		case <-hold.c:
			cancelled <- false
		}
		return answer
	}), cancelled
}

// The app's work continues without its sender, and its outcome is remembered.
func TestSenderThatHangsUpDoesNotStopTheApp(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		for name, c := range map[string]struct {
			answer  testbed.Answer
			retry   string // what the sender's retry meets
			status  int
			wantApp int
		}{
			"short answer":             {testbed.Answer{Status: 201, Body: []byte("done")}, "duplicate", 201, 1},
			"answer over 64 KiB":       {testbed.Answer{Body: bytes.Repeat([]byte("x"), 300<<10)}, "duplicate", 200, 1},
			"the app fails":            {testbed.Answer{Status: 500}, "forwarded", 200, 2},
			"it breaks off its answer": {testbed.Answer{Cut: true, Body: bytes.Repeat([]byte("x"), 300<<10)}, "forwarded", 200, 2},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				hold, cancelled := newGate(t), make(chan bool, 1)
				app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
					if d.N > 1 {
						return testbed.Answer{}
					}
					select {
					case <-d.Gone:
						cancelled <- true
					case <-hold.c:
						cancelled <- false
					}
					return c.answer
				})
				g := setup{store: store, app: app, lines: "in_flight wait 1m"}.start(t)
				e := testbed.Event{}.Fill()
				hangUp(t, testbed.DocRouter().Request(t, g.URL(""), e), app, 1)
				retry := sendAsync(testbed.DocRouter().Request(t, g.URL(""), e))
				bodiesRead(t, g, "docrouter", 2)
				time.Sleep(time.Second) // a gateway that passes the hang-up on does so at once
				hold.open()
				want(t, wait(t, retry), c.status, c.retry)
				if <-cancelled {
					t.Error("the app's request was cancelled when its sender hung up")
				}
				wantCalls(t, app, c.wantApp)
				want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), c.status, "duplicate")
				wantCalls(t, app, c.wantApp)
			})
		}
	})
}

// The beginning of a long answer is sent before the event is committed. A sender that
// hangs up on the rest changes nothing.
func TestSenderThatHangsUpInALongAnswerDoesNotStopTheApp(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
			return testbed.Answer{Body: bytes.Repeat([]byte("x"), 32<<20)}
		})
		g := setup{store: store, app: app}.start(t)
		e := testbed.Event{}.Fill()
		resp, err := http.DefaultTransport.RoundTrip(testbed.DocRouter().Request(t, g.URL(""), e))
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != http.StatusOK {
			t.Errorf("the long answer began with %d", resp.StatusCode)
		}
		_ = resp.Body.Close() // unread
		want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 200, "duplicate")
		wantCalls(t, app, 1)
	})
}

// A hang-up is no failure, but it does not hold the event for ever either: timeout ends
// the app's work.
func TestTimeoutEndsTheAppsWorkAndFreesTheEvent(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		cancelled := make(chan struct{}, 4)
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			if !strings.HasPrefix(d.URL, "/short/") {
				return testbed.Answer{Status: 204}
			}
			<-d.Gone
			cancelled <- struct{}{}
			return testbed.Answer{}
		})
		const limit = 12 * time.Second // so that the event is at the app before
		g := setup{store: store, app: app, lines: "in_flight wait 1m", more: map[string]string{"/short": "timeout 12s"}}.start(t)

		t.Run("sender waits", func(t *testing.T) {
			e := testbed.Event{}.Fill()
			begun := time.Now()
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL("/short"), e)), 504, "upstream_failed")
			if took := time.Since(begun); took < limit {
				t.Errorf("the app was given %v, not the %v that timeout says", took, limit)
			}
			<-cancelled // the request has been cancelled
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 204, "forwarded")
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 204, "duplicate")
			wantCalls(t, app, 2)
		})
		t.Run("sender hangs up", func(t *testing.T) {
			e := testbed.Event{}.Fill()
			hangUp(t, testbed.DocRouter().Request(t, g.URL("/short"), e), app, 3)
			want(t, testbed.Do(t, testbed.DocRouter().Request(t, g.URL(""), e)), 204, "forwarded")
			<-cancelled
			wantCalls(t, app, 4)
		})
	})
}
