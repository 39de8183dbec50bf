package explain

import (
	"time"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// stamp judges stamp and event time, whether or not the signature holds.
func (w *walk) stamp() {
	if w.in.Provider.Timestamp == nil && w.in.Provider.EventTime == nil {
		w.report.pass(stepStamp, "the provider sends none")
		return
	}
	event, refused := w.judge.stamps(&w.in, w.in.Provider)
	if refused != nil {
		w.report.refuse(stepStamp, refused)
		w.explainStamp(refused.Result)
		return
	}
	switch window := w.sender.Rules.Window; {
	case !event.Sent.IsZero():
		w.report.pass(stepStamp, "%s, the limit is %s", age(w.in.Now.Sub(event.Sent)), window.MaxAge)
	case !event.Occurred.IsZero():
		w.report.pass(stepStamp, "the event is %s, the limit is %s", age(w.in.Now.Sub(event.Occurred)), window.EventTTL)
	default:
		w.report.pass(stepStamp, "in order")
	}
}

func age(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " ahead"
	}
	return d.Round(time.Second).String() + " old"
}

// stampFormats are the formats of a stamp, in words.
var stampFormats = []struct{ name, words string }{
	{"unix_ms", "milliseconds"}, {"unix", "seconds"}, {"rfc3339", "RFC 3339"},
}

// stampCauses has the cause of each refusal of a stamp.
var stampCauses = map[webhook.Result]mistake.Cause{
	webhook.TimestampMissing: {Code: "stamp_missing", Why: "The request has no stamp where the provider sends one.",
		Do: "Capture the whole request, with every header; or see whether this is the provider's request at all."},
	webhook.TimestampStale: {Code: "stamp_stale", Why: "The request is older than the provider's window.",
		Do: "A capture ages: judge it as of its arrival with --now. If it was refused then, compare the clocks, and see whether a queue or proxy held it; a sender with late retries wants a longer max_age."},
	webhook.TimestampFuture: {Code: "stamp_future", Why: "The request's stamp is in the future.",
		Do: "Compare the clocks: this machine's, or that of --now, is behind the sender's."},
	webhook.EventExpired: {Code: "event_expired", Why: "The event is older than the guard remembers events.",
		Do: "A capture ages: judge it as of its arrival with --now. If it was refused then, dedupe_ttl is shorter than the sender's retries go on."},
	webhook.TimestampMalformed: {Code: "stamp_malformed", Why: "The stamp is no time in any form known, or the event has none.",
		Do: "See whether a proxy or a tool changed it, or sent it twice. If the sender leaves an event's time out, write optional at the end of event_time."},
}

// explainStamp names the cause of a refused stamp. A stamp in another format may only
// look too old.
func (w *walk) explainStamp(refused webhook.Result) {
	cause, known := stampCauses[refused]
	if refused != webhook.TimestampMissing {
		if other, ok := w.otherFormat(); ok {
			cause, known = other, true
		}
	}
	if known {
		w.report.cause(cause)
	}
}

// otherFormat explains a stamp that is fresh once it is read in another format.
func (w *walk) otherFormat() (cause mistake.Cause, ok bool) {
	stamp := w.in.Provider.Timestamp
	if stamp == nil {
		return mistake.Cause{}, false
	}
	for _, format := range stampFormats {
		if stamp.Format == format.name {
			continue
		}
		if _, refused := w.judge.stamps(&w.in, mistake.StampFormat(w.in.Provider, format.name)); refused == nil {
			return mistake.Cause{Code: "stamp_format", Why: "The stamp is in " + format.words + ", which the provider's lines do not say.",
				Do: "Describe the sender with `timestamp " + stamp.Source.String() + " " + format.name + "`."}, true
		}
	}
	return mistake.Cause{}, false
}
