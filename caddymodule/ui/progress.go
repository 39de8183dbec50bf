package ui

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

const (
	// atOnce is how long a change may take for its answer to be the screen behind it. A longer
	// one is followed.
	atOnce = time.Second
	// tellEvery is how often the screen of a change says how far that is.
	tellEvery = 2 * time.Second
)

// running is a change that is being made. It goes on when the user goes away: half of it
// would help nobody.
type running struct {
	asked  asked
	so     atomic.Pointer[adminapi.InboxChanged] // how far it has come
	w      http.ResponseWriter
	ticker <-chan time.Time

	over    chan struct{}
	changed adminapi.InboxChanged // once it is over
	err     error
}

// begin begins a change.
func begin(v *visit, a asked, c adminapi.InboxChange) *running {
	r := &running{asked: a, w: v.w, over: make(chan struct{})}
	r.so.Store(new(adminapi.InboxChanged))
	ctx := context.WithoutCancel(v.r.Context())
	go func() {
		defer close(r.over)
		r.changed, r.err = perform(ctx, v, a, c, func(so adminapi.InboxChanged) { r.so.Store(&so) })
	}()
	return r
}

// perform makes a change, and tells how far it has come.
func perform(ctx context.Context, v *visit, a asked, c adminapi.InboxChange, tell func(adminapi.InboxChanged)) (changed adminapi.InboxChanged, err error) {
	if a.Do == doForget {
		state, err := v.gateway.Forget(ctx, a.Filter.Scope, a.Filter.ID, c.By, c.Reason)
		if state.State == "done" || state.Kept != nil {
			changed.Changed, changed.Matched = 1, 1
		}
		return changed, err
	}
	err = v.gateway.Inboxes(func(m inboxes.Manager) error {
		m.Progress = tell
		switch a.Do {
		case doReplay:
			changed, err = m.Replay(ctx, c)
		case doDelete:
			changed, err = m.Delete(ctx, c)
		default:
			changed, err = m.Pause(ctx, c, a.Do == doPause)
		}
		return err
	})
	if changed.Changed > 0 && err != nil && !errors.Is(err, inboxes.ErrAsked) {
		v.logger.Error("a change ended early", zap.String("by", c.By), zap.Error(err))
		err = refusal{http.StatusServiceUnavailable, changedMessage(a.Do, int64(changed.Changed), int64(changed.Matched)) + " Then the gateway's store did not answer: its log says why."}
	}
	return changed, err
}

// answer answers a change: with the screen that shows what it has done, or with one that
// follows it to its end.
func answer(v *visit, r *running) error {
	var long <-chan time.Time // never, where there is no progress
	if r.asked.Many() {
		long = time.After(v.patience)
	}
	select {
	case <-r.over:
	case <-long:
		ticker := time.NewTicker(tellEvery)
		defer ticker.Stop()
		r.ticker = ticker.C
		v.stream("progress", page{Title: r.asked.Verb(), Data: r})
		return nil
	}
	if r.err != nil {
		return r.err
	}
	v.w.Header().Set("Location", r.Behind())
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// Lines are what the screen says until the change is over. Each is sent at once.
func (r *running) Lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			so := r.so.Load()
			line := fmt.Sprintf("Looking for what matches: %s so far.", plural(int64(so.Matched), "event"))
			if so.Changed > 0 {
				line = fmt.Sprintf("%d of %s so far.", so.Changed, plural(int64(so.Matched), "event"))
			}
			if !yield(line) {
				return
			}
			_ = http.NewResponseController(r.w).Flush() // where the server cannot, all of it comes at the end
			select {
			case <-r.over:
				return
			case <-r.ticker:
			}
		}
	}
}

// Failed is why the change has ended early; "" where it has not.
func (r *running) Failed() string {
	if r.err == nil {
		return ""
	}
	return shownAs(r.err).text
}

// Done says what the change has done.
func (r *running) Done() string {
	return changedMessage(r.asked.Do, int64(r.changed.Changed), int64(r.changed.Matched))
}

// Behind is the URL of the screen that shows what the change has done.
func (r *running) Behind() string { return r.asked.behind(r.changed) }
