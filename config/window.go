package config

import (
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Span returns how long the sender retries one event: the delays, plus its time-out for
// each attempt.
func (p Provider) Span() time.Duration {
	if p.RetrySpan > 0 {
		return time.Duration(p.RetrySpan)
	}
	if len(p.Retries) == 0 {
		return 0
	}
	attempts := time.Duration(len(p.Retries) + 1)
	return sum(p.Retries) + attempts*time.Duration(p.AnswerWithin)
}

func sum(delays []caddy.Duration) (all time.Duration) {
	for _, d := range delays {
		all += time.Duration(d)
	}
	return all
}

// resolveWindow derives how old a request may be, and how long an event is remembered.
func (r *Resolved) resolveWindow(p Provider) {
	maxAge := DefaultMaxAge
	if p.Timestamp != nil && p.Timestamp.PerEvent {
		maxAge += p.Span() // the last retry's stamp is that old
	}
	r.Renewed = p.Timestamp != nil && !p.Timestamp.PerEvent
	w := &r.Window
	w.MaxAge, w.MaxSkew = or(p.MaxAge, maxAge), or(p.MaxSkew, DefaultMaxSkew)
	// The default never ends before max_age, however long that is.
	r.DedupeTTL = or(p.DedupeTTL, max(DefaultDedupeTTL, p.Span()+ttlMargin, w.MaxAge+w.MaxSkew))
	w.EventTTL = r.DedupeTTL
}

// defaultLease is short enough that a sender whose retries end soon still makes one after
// a gateway died: a fifth of the time that its retries take.
func defaultLease(retries []caddy.Duration) time.Duration {
	if len(retries) == 0 {
		return DefaultLease
	}
	return min(DefaultLease, max(MinLease, sum(retries)/5))
}

func or(said caddy.Duration, otherwise time.Duration) time.Duration {
	if said > 0 {
		return time.Duration(said)
	}
	return otherwise
}
