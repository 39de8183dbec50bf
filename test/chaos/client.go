package chaos

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// hangUp is how a sender breaks off an attempt on purpose.
type hangUp struct {
	inBody bool          // in the middle of the request's body
	after  time.Duration // else while it waits for the answer; 0 never
}

// send makes one attempt and records the result.
func (t *traffic) send(a *attempt, req *http.Request, h hangUp) {
	ctx, cancel := context.WithTimeout(context.Background(), senderLimit)
	defer cancel()
	if h.after > 0 {
		defer time.AfterFunc(h.after, cancel).Stop()
	}
	if h.inBody {
		breakOff(req)
	}
	req.Header.Set(attemptHeader, strconv.Itoa(a.n))
	resp, err := testbed.Try(req.WithContext(ctx))
	t.rec.end(a, func(a *attempt) {
		a.status, a.guard = resp.Status, resp.Guard
		if err == nil {
			return
		}
		// A sender does not trust the status of a truncated answer.
		a.status, a.err = 0, err.Error()
		a.hungUp = h.inBody || errors.Is(ctx.Err(), context.Canceled)
		a.timeout = errors.Is(ctx.Err(), context.DeadlineExceeded)
	})
	if err != nil && !a.hungUp && !a.timeout {
		t.balancer.failed(a.gateway)
	}
}

var errHungUp = errors.New("hung up")

// breakOff closes the connection in the middle of the request's body.
func breakOff(req *http.Request) {
	whole, _ := io.ReadAll(req.Body) // from memory: cannot fail
	req.Body = io.NopCloser(io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), brokenReader{}))
	req.GetBody = nil
}

type brokenReader struct{}

// Read fails a little later, so that the first half is on its way.
func (brokenReader) Read([]byte) (int, error) {
	time.Sleep(10 * time.Millisecond)
	return 0, errHungUp
}
