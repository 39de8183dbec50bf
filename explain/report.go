package explain

import (
	"fmt"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// The states of a step.
const (
	Passed  = "ok"
	Failed  = "FAILED"
	Skipped = "-"
)

// Step is one of the guard's checks.
type Step struct {
	Name  string
	State string
	// Result is the guard's result, where the step failed.
	Result webhook.Result
	Detail string
}

// Report is the result of [Explain].
type Report struct {
	Steps    []Step
	Verified bool

	// Causes explain the failure together. It is empty where no usual mistake does.
	Causes []mistake.Cause

	// Senders are those who sign as the request is signed, without the provider that was
	// named.
	Senders []string

	// Tried counts the readings tried. CutShort reports that the body was too large to
	// try every pair of mistakes.
	Tried    int
	CutShort bool
}

func (r *Report) pass(name, detail string, args ...any) {
	r.Steps = append(r.Steps, Step{Name: name, State: Passed, Detail: fmt.Sprintf(detail, args...)})
}

func (r *Report) skip(name, detail string) {
	r.Steps = append(r.Steps, Step{Name: name, State: Skipped, Detail: detail})
}

func (r *Report) fail(name string, result webhook.Result, detail string, args ...any) {
	r.Verified = false
	r.Steps = append(r.Steps, Step{Name: name, State: Failed, Result: result, Detail: fmt.Sprintf(detail, args...)})
}

// refuse fails a step with the detail of a refusal.
func (r *Report) refuse(name string, refused *webhook.Refusal) {
	r.fail(name, refused.Result, "%s", refused.Cause)
}

func (r *Report) cause(causes ...mistake.Cause) { r.Causes = append(r.Causes, causes...) }

// Named reports whether a mistake of this kind is among the causes.
func (r *Report) Named(code string) bool {
	return slices.ContainsFunc(r.Causes, func(c mistake.Cause) bool { return c.Code == code })
}

// Explained reports whether every failure has a cause, or says all in its detail. A stamp has
// causes of its own; a signature that fails as well needs another.
func (r *Report) Explained() bool {
	return !r.searched() || slices.ContainsFunc(r.Causes, func(c mistake.Cause) bool { return !ofStamp[c.Code] })
}

// searched reports whether a step has failed whose failure starts a search. A token is not
// searched for where no secret is given.
func (r *Report) searched() bool {
	return r.failed("headers") || r.failed("secret") || r.failed("signature") || r.TokenFailed() && r.Tried > 0
}

// TokenFailed reports whether the request has another token than the secret, or none.
func (r *Report) TokenFailed() bool { return r.failed("token") }

func (r *Report) failed(step string) bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Name == step && s.State == Failed })
}

// unproven reports whether the request does not even claim to be an event.
func (r *Report) unproven() bool {
	return slices.ContainsFunc(r.Steps, func(s Step) bool { return s.Result.Unproven() })
}

// The names of the steps whose failure starts no search.
const (
	stepMethod = "method"
	stepSize   = "size"
	stepStamp  = "stamp"
)

// ofStamp are the causes that explain a stamp and no signature.
var ofStamp = map[string]bool{
	"stamp_missing": true, "stamp_format": true, "stamp_stale": true, "stamp_future": true, "stamp_malformed": true, "event_expired": true,
}
