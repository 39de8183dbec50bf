package inboxes

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/upstream"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

const (
	// maxRetryAfter is the most that an app's Retry-After lengthens a delay to.
	maxRetryAfter = time.Hour
	// reasonAge is why an event is given up that the app has failed for too long.
	reasonAge = "age"
	// reasonRefused is why an event is given up whose answer says so.
	reasonRefused = "refused by the app"
)

// reasonStatus is why an event is given up that got an answer of give_up.
func reasonStatus(status int) string { return "status " + strconv.Itoa(status) }

// settlement says how an event goes on after an attempt that ended at a time of the
// store's clock.
func (in *Inbox) settlement(d inbox.Delivery, taken, now time.Time, res result) inbox.Settlement {
	s := inbox.Settlement{Outcome: inbox.Retry, Attempt: inbox.Attempt{
		Number: d.Info.Attempts, At: taken, Took: res.took, Status: res.status, Head: in.sealing.sealHead(d.Key, res.head),
	}}
	if s.Attempt.Status < 100 || s.Attempt.Status > 999 {
		s.Attempt.Status = 0
	}
	if res.err != nil {
		s.Attempt.Error = strings.ToValidUTF8(res.err.Error(), "")
	}
	switch {
	case res.err == nil && in.success.Has(res.status):
		s.Outcome = inbox.Success
		return s
	case res.err == nil && in.giveUp.Has(res.status):
		s.Outcome, s.Reason = inbox.GiveUp, reasonStatus(res.status)
		return s
	case strings.EqualFold(strings.TrimSpace(res.header.Get(headerRetry)), "no"):
		s.Outcome, s.Reason = inbox.GiveUp, reasonRefused
		return s
	}
	left := d.Begun.Add(time.Duration(in.RetryFor)).Sub(now)
	if left <= 0 {
		s.Outcome, s.Reason = inbox.GiveUp, reasonAge
		return s
	}
	delay := in.delay(d.Info.Attempts)
	if asked, ok := retryAfter(res.header, time.Now()); ok {
		delay = max(delay, min(asked, maxRetryAfter))
	}
	s.Delay = min(delay, left) // the last attempt is made when the time is over
	return s
}

// delay is how long to wait after the given attempt, varied by a tenth.
func (in *Inbox) delay(attempts int) time.Duration {
	delay := time.Duration(in.Retry[min(max(attempts, 1), len(in.Retry))-1])
	return delay + jitter(delay)
}

// jitter is up to a tenth of a delay, or of less.
func jitter(delay time.Duration) time.Duration {
	return time.Duration((rand.Float64() - 0.5) / 5 * float64(delay))
}

// retryAfter reads the app's Retry-After: seconds, or a date.
func retryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, seconds > 0
	}
	if at, err := http.ParseTime(text); err == nil {
		return at.Sub(now), at.After(now)
	}
	return 0, false
}

// hopeless reports whether an event is too old, and was taken more often than its delays
// allow: its attempts end with the gateway, so that none is ever settled.
func (in *Inbox) hopeless(d inbox.Delivery, now time.Time) bool {
	if now.Before(d.Begun.Add(time.Duration(in.RetryFor))) {
		return false
	}
	most, sum := 2, time.Duration(0) // the first, and the one when the time is over
	for sum < time.Duration(in.RetryFor) {
		sum += max(time.Second, time.Duration(in.Retry[min(most-1, len(in.Retry))-1])*9/10)
		most++
	}
	return d.Info.Attempts > most
}

// away reports whether an attempt says of the app itself that it is not there, rather than
// of the event.
func (res *result) away() bool {
	switch res.status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return res.late || errors.Is(res.err, upstream.ErrBroken)
}
