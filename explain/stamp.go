package explain

import (
	"errors"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// withStampFormat reads the stamp in another format.
func withStampFormat(p config.Provider, format string) config.Provider {
	if p.Timestamp != nil {
		stamp := *p.Timestamp
		stamp.Format = format
		p.Timestamp = &stamp
	}
	return p
}

// stamps judges stamp and event time, whatever becomes of the signature.
func (x *explainer) stamps(secrets []signature.Secret) {
	if x.in.Provider.Timestamp == nil && x.in.Provider.EventTime == nil {
		x.step("stamp", Passed, "the provider sends none")
		return
	}
	verdict, err := x.judgeStamps(x.in.Provider, secrets)
	if err == nil {
		x.stampPassed(verdict)
		return
	}
	x.failWith("stamp", err)
	x.explainStamp(err, secrets)
}

func (x *explainer) stampPassed(v signature.Verdict) {
	switch {
	case !v.Time.IsZero():
		x.step("stamp", Passed, "%s, the limit is %s", age(x.in.Now.Sub(v.Time)), x.rules.Window.MaxAge)
	case !v.EventTime.IsZero():
		x.step("stamp", Passed, "the event is %s, the limit is %s", age(x.in.Now.Sub(v.EventTime)), x.rules.Window.EventTTL)
	default:
		x.step("stamp", Passed, "in order")
	}
}

func age(d time.Duration) string {
	if d < 0 {
		return (-d).Round(time.Second).String() + " ahead"
	}
	return d.Round(time.Second).String() + " old"
}

// judgeStamps reads the stamps as far as they can be had. A stamp inside a
// signature header belongs to the signature that matches; where none does, the
// header as such is judged.
func (x *explainer) judgeStamps(p config.Provider, secrets []signature.Secret) (signature.Verdict, error) {
	rules, err := p.Resolve()
	if err != nil {
		return signature.Verdict{}, err
	}
	verdict, err := rules.Scheme.Verify(&x.request, secrets, rules.Window, x.in.Now)
	if err == nil || !isSignature(err) {
		return verdict, err
	}
	if _, err := rules.Scheme.Inspect(&x.request, rules.Window, x.in.Now); err != nil && !isSignature(err) {
		return signature.Verdict{}, err
	}
	if p.Timestamp != nil && p.Timestamp.Source.Kind == signature.SourceSignature {
		p.Timestamp = nil
	}
	p.Signature, p.Signed, p.Scheme, p.ID = nil, nil, "", nil
	if unsigned, err := p.Resolve(); err == nil {
		return unsigned.Scheme.CheckStamps(&x.request, unsigned.Window, x.in.Now)
	}
	return signature.Verdict{}, nil // nothing is left to be judged
}

// stampsAlone is for providers that send a token or nothing.
func (x *explainer) stampsAlone() {
	if x.in.Provider.Timestamp == nil && x.in.Provider.EventTime == nil {
		x.step("stamp", Passed, "the provider sends none")
		return
	}
	verdict, err := x.rules.Scheme.CheckStamps(&x.request, x.rules.Window, x.in.Now)
	if err == nil {
		x.stampPassed(verdict)
		return
	}
	x.failWith("stamp", err)
	x.explainStamp(err, nil)
}

// stampFormats are what a stamp may be written as, in words.
var stampFormats = []struct{ name, words string }{
	{"unix_ms", "milliseconds"}, {"unix", "seconds"}, {"rfc3339", "RFC 3339"},
}

// explainStamp tells a stamp in another unit from one that is only old.
func (x *explainer) explainStamp(err error, secrets []signature.Secret) {
	var refusal *signature.Error
	if !errors.As(err, &refusal) {
		return
	}
	if refusal.Reason == signature.TimestampMissing {
		x.cause(Cause{"stamp_missing", "The request has no stamp where the provider sends one.",
			"Capture the whole request, with every header; or see whether this is the provider's request at all."})
		return
	}
	p := x.in.Provider
	if p.Timestamp != nil {
		for _, format := range stampFormats {
			if p.Timestamp.Format == format.name {
				continue
			}
			if _, err := x.judgeStamps(withStampFormat(p, format.name), secrets); err == nil {
				x.cause(Cause{"stamp_format", "The stamp is in " + format.words + ", which the provider's lines do not say.",
					"Describe the sender with `timestamp " + p.Timestamp.Source.String() + " " + format.name + "`."})
				return
			}
		}
	}
	switch refusal.Reason {
	case signature.TimestampStale:
		x.cause(Cause{"stamp_stale", "The request is older than the provider's window.",
			"A capture ages: judge it as of its arrival with --now. If it was refused then, compare the clocks, and see whether a queue or proxy held it; a sender with late retries wants a longer max_age."})
	case signature.TimestampFuture:
		x.cause(Cause{"stamp_future", "The request's stamp is in the future.",
			"Compare the clocks: this machine's, or that of --now, is behind the sender's."})
	case signature.EventExpired:
		x.cause(Cause{"event_expired", "The event is older than the guard remembers events.",
			"A capture ages: judge it as of its arrival with --now. If it was refused then, dedupe_ttl is shorter than the sender's retries go on."})
	case signature.TimestampMalformed:
		x.cause(Cause{"stamp_malformed", "The stamp is no time in any form known.",
			"See whether a proxy or a tool changed it, or sent it twice."})
	}
}
