package inboxes

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/flood"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

const (
	// rememberAfter is how old an event is that is remembered once more when the app has taken
	// it: its time to be remembered began when it was accepted. For most it has just begun.
	rememberAfter = time.Minute
	// lease is how long an event is a worker's. It is extended while the app works.
	lease = 30 * time.Second
	// poll is how long a worker sleeps at most: other gateways put events, too.
	poll = time.Second
	// breath keeps a worker from asking again at once where it got nothing.
	breath = 10 * time.Millisecond
	// firstQuiet is how long it sleeps at least, whatever is put, where it was woken in vain
	// twice: the inbox is paused or held, or another gateway takes its events. lastQuiet is
	// the most.
	firstQuiet = time.Millisecond
	lastQuiet  = 100 * time.Millisecond
	// firstPause is how long it sleeps after a failure of the store, and lastPause at most.
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// worker delivers the events of one inbox until it is stopped. No failure ends it.
type worker struct {
	*Inbox
	host  Host
	queue inbox.Queue
	pace  *pace
	rate  *rate.Limiter // nil without one
	freed chan struct{} // has one when an attempt has ended

	locked rate.Sometimes // reports events that cannot be read yet

	mu      sync.Mutex
	settled map[inbox.Key]bool // successes that the store does not have yet
	taking  bool
	told    []inbox.Key // of settled: those that it got while events were taken
}

func newWorker(in *Inbox, q inbox.Queue, host Host) *worker {
	w := &worker{
		Inbox: in, host: host, queue: q, pace: newPace(in.Concurrency),
		freed: make(chan struct{}, 1), settled: make(map[inbox.Key]bool),
		locked: rate.Sometimes{Interval: time.Minute},
	}
	if in.Rate != nil {
		perSecond := float64(in.Rate.Events) / time.Duration(in.Rate.Per).Seconds()
		// In pieces of a tenth of a second, so that fast ones need not ask for each event.
		w.rate = rate.NewLimiter(rate.Limit(perSecond), max(1, min(in.Rate.Events, int(perSecond/10))))
	}
	return w
}

// work takes and delivers until the context ends.
func (w *worker) work(ctx context.Context) {
	pause, woken, vain := time.Duration(0), false, 0
	for ctx.Err() == nil {
		n, wait := w.allowed()
		if n > 0 {
			batch, err := w.take(n)
			if err != nil {
				pause = min(max(firstPause, 2*pause), lastPause)
				wait = pause
				w.metrics.storeFailed(w.Name, opTake)
				w.logger.Warn("the inbox's store does not answer; nothing is delivered meanwhile", zap.Duration("retry_in", pause), zap.Error(err))
			} else {
				pause = 0
				wait = next(batch, n)
			}
			if vain++; !woken || err != nil || len(batch.Deliveries) > 0 {
				vain = 0
			}
		}
		w.rest(ctx, quiet(vain))
		woken = w.sleep(ctx, wait)
	}
}

// quiet is how long a worker that was woken in vain so many times in a row takes nothing.
func quiet(vain int) time.Duration {
	if vain < 2 {
		return 0
	}
	return min(firstQuiet<<min(vain-2, 10), lastQuiet)
}

// allowed is how many events may be taken now, and how long to wait where there are none.
func (w *worker) allowed() (n int, wait time.Duration) {
	n, wait = w.pace.room(), poll
	if w.rate == nil || n == 0 {
		return n, wait
	}
	tokens := w.rate.Tokens()
	if n = min(n, int(tokens)); n == 0 {
		wait = min(wait, time.Duration((1-tokens)/float64(w.rate.Limit())*float64(time.Second))+time.Millisecond)
	}
	return n, wait
}

// take takes events and begins to deliver them.
func (w *worker) take(n int) (inbox.Batch, error) {
	// Not the worker's context: what is cut off may still have been carried out.
	w.beginTaking()
	batch, err := w.queue.Take(context.Background(), n, lease)
	found := len(batch.Deliveries)
	batch.Deliveries = w.endTaking(batch.Deliveries)
	if found > 0 && len(batch.Deliveries) == 0 {
		w.probeAgain(batch)
	}
	if err != nil || len(batch.Deliveries) == 0 {
		return batch, err
	}
	if w.rate != nil {
		w.rate.AllowN(time.Now(), len(batch.Deliveries))
	}
	w.pace.begin(len(batch.Deliveries))
	taken := time.Now()
	for _, d := range batch.Deliveries {
		// It may not enter only where the store is closed, and then it has just taken.
		if !w.host.Enter() {
			w.pace.end()
			w.pace.settled()
			continue
		}
		go func() {
			defer w.host.Leave()
			// The app may have another as soon as it has answered. What is settled meanwhile
			// counts only where the store is slow to take it.
			free := sync.OnceFunc(func() { w.pace.end(); signal(w.freed) })
			defer w.pace.settled()
			defer free()
			w.deliver(d, batch, taken, free)
		}()
	}
	return batch, nil
}

// next is how long to wait after a batch.
func next(b inbox.Batch, asked int) time.Duration {
	switch {
	case len(b.Deliveries) == asked:
		return 0 // there may be more, and there may be room
	case b.Wait < 0 || b.Wait > poll:
		return poll
	}
	return max(b.Wait, breath)
}

// rest waits for the time.
func (w *worker) rest(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// sleep waits for the time, or until there may be something to do. It reports whether it was
// woken because something was put.
func (w *worker) sleep(ctx context.Context, d time.Duration) (woken bool) {
	if d == 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.wake:
		return true
	case <-w.freed:
	case <-ctx.Done():
	}
	return false
}

// deliver makes one attempt and settles it.
func (w *worker) deliver(d inbox.Delivery, batch inbox.Batch, taken time.Time, free func()) {
	log := attemptLog{w.logger.With(zap.String("scope", d.Scope), zap.String("id", d.ID), zap.Int("attempt", d.Info.Attempts)), &w.floods}
	now := func() time.Time { return batch.Now.Add(time.Since(taken)) }
	envelope, err := w.sealing.envelope(d.Key, d.Envelope)
	if reason := waitsFor(err); reason != "" {
		w.postpone(d, batch.Token, reason, log)
		w.probeAgain(batch)
		return
	}
	if err != nil || w.hopeless(d, now()) {
		reason := reasonAge
		if err != nil {
			reason = inbox.Damaged
		}
		s := inbox.Settlement{Outcome: inbox.GiveUp, Reason: reason, Attempt: inbox.Attempt{Number: d.Info.Attempts, At: batch.Now}}
		w.metrics.settled(w.Name, s)
		w.settle(d, batch.Token, s, log)
		w.probeAgain(batch)
		return
	}
	stop := w.extend(d.Key, batch.Token)
	res := w.attempt(d, &envelope)
	stop()
	v := w.pace.learn(res.away(), batch.Probe)
	free()
	w.heed(v)
	s := w.settlement(d, batch.Now, now(), res)
	if s.Outcome == inbox.Success && now().Sub(d.Accepted) > rememberAfter {
		w.remember(d.Key, envelope.Header[HeaderContent])
	}
	w.metrics.settled(w.Name, s)
	w.metrics.asked(w.Name, s, now().Sub(d.Begun))
	w.settle(d, batch.Token, s, log)
}

// heed holds the inbox or ends a hold.
func (w *worker) heed(v verdict) {
	switch {
	case v.hold > 0:
		w.logger.Warn("the app is away; the inbox is held", zap.Duration("next_probe_in", v.hold))
	case v.release:
		w.logger.Info("the app is back; the inbox is released")
	case v.again:
		v.hold = time.Millisecond // over at once; then one event is given out
	default:
		return
	}
	// Where the store does not answer, the next attempt says the same again.
	if err := w.queue.Hold(context.Background(), v.hold); err != nil {
		w.logger.Warn("the inbox could not be held or released", zap.Error(err))
	}
}

// probeAgain has another event find out whether the app is back, where the one that was to do
// so is not delivered at all.
func (w *worker) probeAgain(b inbox.Batch) {
	if b.Probe {
		w.heed(verdict{again: true})
	}
}

// extend extends the lease until stop is called.
func (w *worker) extend(k inbox.Key, t inbox.Token) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	// Few attempts take that long, so nothing more is made for the others.
	first := time.AfterFunc(lease/3, func() {
		ticker := time.NewTicker(lease / 3)
		defer ticker.Stop()
		for ctx.Err() == nil {
			// One that is lost changes nothing: a success stands all the same. Neither does
			// one that comes after the attempt was settled.
			_ = w.queue.Extend(context.Background(), k, t, lease)
			select {
			case <-ticker.C:
			case <-ctx.Done():
			}
		}
	})
	return func() { first.Stop(); cancel() }
}

// settle tells the store how an attempt ended, until it knows. A success is a fact, and is
// told for as long as it takes. Anything else is over with the lease.
func (w *worker) settle(d inbox.Delivery, t inbox.Token, s inbox.Settlement, log attemptLog) {
	ctx := w.host.Background
	if s.Outcome == inbox.Success {
		w.mark(d.Key, true)
		defer w.mark(d.Key, false)
	} else {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lease)
		defer cancel()
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := w.queue.Settle(context.WithoutCancel(ctx), d.Key, t, s)
		switch {
		case err == nil:
			logOutcome(log, s)
			return
		case errors.Is(err, inbox.ErrLost):
			log.write(zap.InfoLevel, "the attempt was over before it was settled: another one has begun, or somebody has replayed or deleted the event")
			return
		}
		w.metrics.storeFailed(w.Name, opSettle)
		log.write(zap.WarnLevel, "the store does not take the outcome of an attempt; retrying in the background", zap.Error(err))
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// attemptLog is the log of an attempt. All above debug are held to a rate, by kind.
type attemptLog struct {
	to     *zap.Logger
	floods *flood.Floods
}

func (l attemptLog) write(level zapcore.Level, message string, fields ...zap.Field) {
	l.floods.Log(l.to, level, message, time.Now(), fields...)
}

func logOutcome(log attemptLog, s inbox.Settlement) {
	fields := []zap.Field{zap.Int("status", s.Attempt.Status), zap.Duration("took", s.Attempt.Took)}
	if s.Attempt.Error != "" {
		fields = append(fields, zap.String("error", s.Attempt.Error))
	}
	switch s.Outcome {
	case inbox.Success:
		log.to.Debug("delivered", fields...)
	case inbox.Postpone:
		log.to.Debug("the event waits for its key", zap.Duration("next_look_in", s.Delay))
	case inbox.Retry:
		log.write(zap.InfoLevel, "the app failed; it gets the event again", append(fields, zap.Duration("retry_in", s.Delay))...)
	case inbox.GiveUp:
		log.write(zap.WarnLevel, "gave an event up; it is kept among the dead", append(fields, zap.String("reason", s.Reason))...)
	}
}

func (w *worker) mark(k inbox.Key, success bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case success:
		w.settled[k] = true
	case w.taking:
		w.told = append(w.told, k)
	default:
		delete(w.settled, k)
	}
}

func (w *worker) beginTaking() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taking = true
}

// endTaking leaves out what the app has had. The store learns of that as soon as it answers,
// and may have given the event out just before it did.
func (w *worker) endTaking(taken []inbox.Delivery) []inbox.Delivery {
	w.mu.Lock()
	defer w.mu.Unlock()
	taken = slices.DeleteFunc(taken, func(d inbox.Delivery) bool { return w.settled[d.Key] })
	for _, k := range w.told {
		delete(w.settled, k)
	}
	w.taking, w.told = false, nil
	return taken
}
