package inboxes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Replay makes events ready again.
func (m Manager) Replay(ctx context.Context, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
	gap := time.Duration(0)
	if c.PerSecond > 0 {
		gap = time.Duration(float64(time.Second) / c.PerSecond)
	}
	return m.change(ctx, "replay", c, func(q inbox.Queue, keys []inbox.Key) (int, error) { return inbox.ReplayAll(ctx, q, keys, gap) })
}

// Delete removes events.
func (m Manager) Delete(ctx context.Context, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
	return m.change(ctx, "delete", c, func(q inbox.Queue, keys []inbox.Key) (int, error) { return inbox.DeleteAll(ctx, q, keys) })
}

// change selects events, and does with them what is asked for.
func (m Manager) change(ctx context.Context, what string, c adminapi.InboxChange, do func(inbox.Queue, []inbox.Key) (int, error)) (changed adminapi.InboxChanged, err error) {
	if c.Reason == "" && !c.DryRun {
		return changed, errNoReason
	}
	queue, in, err := m.queue(ctx, c.Inbox)
	if err != nil {
		return changed, err
	}
	queue = m.watch(queue)
	keys, err := m.meant(ctx, queue, c)
	if err != nil {
		return changed, err
	}
	changed.Matched = len(keys)
	if c.DryRun {
		return changed, nil
	}
	changed.Changed, err = do(queue, keys)
	if in != nil {
		signal(in.wake)
	}
	m.Logger.Warn("an inbox was changed on request", zap.String("change", what), zap.String("inbox", c.Inbox), zap.Strings("events", c.Events),
		zap.Any("filter", c.Filter), zap.Int("matched", changed.Matched), zap.Int("changed", changed.Changed),
		zap.String("by", c.By), zap.String("reason", c.Reason), zap.Error(err))
	switch {
	case errors.Is(err, inbox.ErrFull):
		err = fmt.Errorf("%w: %d of %d events were changed: %w", ErrAsked, changed.Changed, changed.Matched, err)
	case err != nil:
		err = fmt.Errorf("%d of %d events were changed: %w", changed.Changed, changed.Matched, err)
	}
	return changed, err
}

// watch has each step of a change told to Progress.
func (m Manager) watch(q inbox.Queue) inbox.Queue {
	if m.Progress == nil {
		return q
	}
	return &watched{Queue: q, tell: m.Progress}
}

// watched is a queue that tells how far one change has come.
type watched struct {
	inbox.Queue
	tell func(adminapi.InboxChanged)
	so   adminapi.InboxChanged
}

func (w *watched) Page(ctx context.Context, f inbox.Filter, cursor string, limit int) (inbox.Page, error) {
	p, err := w.Queue.Page(ctx, f, cursor, limit)
	w.so.Matched += len(p.Events)
	w.tell(w.so)
	return p, err
}

func (w *watched) Replay(ctx context.Context, keys []inbox.Key, after, gap time.Duration) (int, error) {
	n, err := w.Queue.Replay(ctx, keys, after, gap)
	w.so.Changed += n
	w.tell(w.so)
	return n, err
}

func (w *watched) Delete(ctx context.Context, keys []inbox.Key) (int, error) {
	n, err := w.Queue.Delete(ctx, keys)
	w.so.Changed += n
	w.tell(w.so)
	return n, err
}

func (m Manager) meant(ctx context.Context, q inbox.Queue, c adminapi.InboxChange) ([]inbox.Key, error) {
	filter, err := filterOf(c.Filter)
	switch {
	case err != nil:
		return nil, err
	case len(c.Events) > 0 && filter != inbox.Filter{}:
		return nil, fmt.Errorf("%w: name events, or give a filter, not both", ErrAsked)
	case len(c.Events) > 0:
		return keysOf(ctx, q, c.Events)
	case filter == inbox.Filter{}:
		return nil, fmt.Errorf("%w: name events, or give a filter: an empty one would mean every event", ErrAsked)
	}
	return inbox.Select(ctx, q, filter)
}

// Pause stops or resumes an inbox. What changes is counted as one: nothing does where it is
// paused, or delivers, already.
func (m Manager) Pause(ctx context.Context, c adminapi.InboxChange, paused bool) (changed adminapi.InboxChanged, err error) {
	if c.Reason == "" && !c.DryRun {
		return changed, errNoReason
	}
	queue, in, err := m.queue(ctx, c.Inbox)
	if err != nil {
		return changed, err
	}
	status, err := queue.Status(ctx)
	if err != nil {
		return changed, err
	}
	if status.Paused != paused {
		changed.Matched = 1
	}
	if c.DryRun {
		return changed, nil
	}
	if err = queue.Pause(ctx, paused); err == nil {
		changed.Changed = changed.Matched
	}
	what := "resume"
	if paused {
		what = "pause"
	}
	m.Logger.Warn("an inbox was changed on request", zap.String("change", what), zap.String("inbox", c.Inbox),
		zap.String("by", c.By), zap.String("reason", c.Reason), zap.Error(err))
	if in != nil {
		signal(in.wake)
	}
	return changed, err
}
