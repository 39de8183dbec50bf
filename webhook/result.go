package webhook

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Result is the outcome of one request in one word. It is the value of the
// Webhook-Guard header of every response, of a metric's label and of a placeholder.
type Result string

// ResultHeader is the header that names the result in every response.
const ResultHeader = "Webhook-Guard"

// The results.
const (
	Forwarded          Result = "forwarded"
	Duplicate          Result = "duplicate"
	Accepted           Result = "accepted"
	Queued             Result = "queued"
	Revived            Result = "revived"
	InFlight           Result = "in_flight"
	HandshakeAnswered  Result = "handshake"
	MethodNotAllowed   Result = "method_not_allowed"
	SignatureMissing   Result = "signature_missing"
	SignatureMalformed Result = "signature_malformed"
	SignatureInvalid   Result = "signature_invalid"
	TokenMissing       Result = "token_missing"
	TokenInvalid       Result = "token_invalid"
	TimestampMissing   Result = "timestamp_missing"
	TimestampMalformed Result = "timestamp_malformed"
	TimestampStale     Result = "timestamp_stale"
	TimestampFuture    Result = "timestamp_future"
	EventExpired       Result = "event_expired"
	BodyTooLarge       Result = "body_too_large"
	IDMalformed        Result = "id_malformed"
	BodyTimeout        Result = "body_timeout"
	BodyUnreadable     Result = "body_unreadable"
	SecretUnavailable  Result = "secret_unavailable"
	Overloaded         Result = "overloaded"
	StoreUnavailable   Result = "store_unavailable"
	Misconfigured      Result = "misconfigured"
	UpstreamFailed     Result = "upstream_failed"
)

// statuses of the results that the guard itself responds to. Whatever is transient
// is a 503: several senders take a 4xx as final and drop the event.
var statuses = map[Result]int{
	InFlight:           http.StatusServiceUnavailable,
	MethodNotAllowed:   http.StatusMethodNotAllowed,
	SignatureMissing:   http.StatusUnauthorized,
	SignatureMalformed: http.StatusUnauthorized,
	SignatureInvalid:   http.StatusUnauthorized,
	TokenMissing:       http.StatusUnauthorized,
	TokenInvalid:       http.StatusUnauthorized,
	TimestampMissing:   http.StatusForbidden,
	TimestampMalformed: http.StatusForbidden,
	TimestampStale:     http.StatusForbidden,
	TimestampFuture:    http.StatusForbidden,
	EventExpired:       http.StatusForbidden,
	BodyTooLarge:       http.StatusRequestEntityTooLarge,
	IDMalformed:        http.StatusBadRequest,
	BodyTimeout:        http.StatusServiceUnavailable,
	BodyUnreadable:     http.StatusServiceUnavailable,
	SecretUnavailable:  http.StatusServiceUnavailable,
	Overloaded:         http.StatusServiceUnavailable,
	StoreUnavailable:   http.StatusServiceUnavailable,
	Misconfigured:      http.StatusServiceUnavailable,
	UpstreamFailed:     http.StatusBadGateway,
}

// Results returns all results.
func Results() []Result {
	all := []Result{Forwarded, Duplicate, Accepted, Queued, Revived, HandshakeAnswered}
	for result := range statuses {
		all = append(all, result)
	}
	return all
}

// Status is the HTTP status of the guard's response to the result, or 0 for results
// whose status is not the guard's to choose.
func (r Result) Status() int { return statuses[r] }

// Unproven reports whether a refused request does not even claim to be an event. Then
// it may be a sender's check of the endpoint.
func (r Result) Unproven() bool {
	return r == MethodNotAllowed || r == SignatureMissing || r == TokenMissing
}

// Refusal is why a request goes no further. Its text reaches error pages and logs,
// so it never holds a secret, a signature or any of the body.
type Refusal struct {
	Result Result
	Cause  error
}

func (r *Refusal) Error() string { return string(r.Result) + ": " + r.Cause.Error() }
func (r *Refusal) Unwrap() error { return r.Cause }

// Refuse makes a refusal. The text must hold nothing secret.
func Refuse(result Result, format string, args ...any) *Refusal {
	return &Refusal{result, fmt.Errorf(format, args...)}
}

// refuseVerdict turns an error of package signature into a refusal. Its reasons are
// results of the same name.
func refuseVerdict(err error) *Refusal {
	var verdict *signature.Error
	if errors.As(err, &verdict) {
		if result := Result(verdict.Reason); statuses[result] != 0 {
			return &Refusal{result, errors.New(verdict.Detail)}
		}
	}
	return Refuse(SignatureMalformed, "verifying: %w", err)
}

// RefuseBody turns an error of [body.Read] into a refusal.
func RefuseBody(err error) *Refusal {
	result := BodyUnreadable
	var failure *body.Error
	if errors.As(err, &failure) {
		switch failure.Kind {
		case body.TooLarge:
			result = BodyTooLarge
		case body.TimedOut:
			result = BodyTimeout
		case body.NoRoom:
			result = Overloaded
		}
	}
	return &Refusal{result, err}
}
