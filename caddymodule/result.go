package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Result is what became of one request. It is the value of the Webhook-Guard
// header of every answer, of a metric's label and of a placeholder.
type Result string

// The results, in the order in which the checks run.
const (
	ResultForwarded          Result = "forwarded"
	ResultDuplicate          Result = "duplicate"
	ResultInFlight           Result = "in_flight"
	ResultHandshake          Result = "handshake"
	ResultMethodNotAllowed   Result = "method_not_allowed"
	ResultSignatureMissing   Result = "signature_missing"
	ResultSignatureMalformed Result = "signature_malformed"
	ResultSignatureInvalid   Result = "signature_invalid"
	ResultTokenMissing       Result = "token_missing"
	ResultTokenInvalid       Result = "token_invalid"
	ResultTimestampMissing   Result = "timestamp_missing"
	ResultTimestampMalformed Result = "timestamp_malformed"
	ResultTimestampStale     Result = "timestamp_stale"
	ResultTimestampFuture    Result = "timestamp_future"
	ResultEventExpired       Result = "event_expired"
	ResultBodyTooLarge       Result = "body_too_large"
	ResultIDMalformed        Result = "id_malformed"
	ResultBodyTimeout        Result = "body_timeout"
	ResultBodyUnreadable     Result = "body_unreadable"
	ResultSecretUnavailable  Result = "secret_unavailable"
	ResultOverloaded         Result = "overloaded"
	ResultStoreUnavailable   Result = "store_unavailable"
	ResultMisconfigured      Result = "misconfigured"
	ResultUpstreamFailed     Result = "upstream_failed"
)

// statuses of the results that the guard answers by itself. Whatever is
// transient is a 503, which every sender tries again; several take a 4xx as
// final and drop the event.
var statuses = map[Result]int{
	ResultInFlight:           http.StatusServiceUnavailable,
	ResultMethodNotAllowed:   http.StatusMethodNotAllowed,
	ResultSignatureMissing:   http.StatusUnauthorized,
	ResultSignatureMalformed: http.StatusUnauthorized,
	ResultSignatureInvalid:   http.StatusUnauthorized,
	ResultTokenMissing:       http.StatusUnauthorized,
	ResultTokenInvalid:       http.StatusUnauthorized,
	ResultTimestampMissing:   http.StatusForbidden,
	ResultTimestampMalformed: http.StatusForbidden,
	ResultTimestampStale:     http.StatusForbidden,
	ResultTimestampFuture:    http.StatusForbidden,
	ResultEventExpired:       http.StatusForbidden,
	ResultBodyTooLarge:       http.StatusRequestEntityTooLarge,
	ResultIDMalformed:        http.StatusBadRequest,
	ResultBodyTimeout:        http.StatusServiceUnavailable,
	ResultBodyUnreadable:     http.StatusServiceUnavailable,
	ResultSecretUnavailable:  http.StatusServiceUnavailable,
	ResultOverloaded:         http.StatusServiceUnavailable,
	ResultStoreUnavailable:   http.StatusServiceUnavailable,
	ResultMisconfigured:      http.StatusServiceUnavailable,
	ResultUpstreamFailed:     http.StatusBadGateway,
}

// retryAfter is what every 503 of the guard says: its troubles are short.
const retryAfter = "1"

// refusal is why a request goes no further. Its text reaches error pages and
// logs, so it never holds a secret, a signature or any of the body.
type refusal struct {
	result Result
	cause  error
}

func (r *refusal) Error() string { return string(r.result) + ": " + r.cause.Error() }
func (r *refusal) Unwrap() error { return r.cause }

func refuse(result Result, format string, args ...any) *refusal {
	return &refusal{result, fmt.Errorf(format, args...)}
}

// refuseVerdict turns an error of package signature into a refusal. Its reasons
// are results of the same name.
func refuseVerdict(err error) *refusal {
	var verdict *signature.Error
	if errors.As(err, &verdict) {
		if result := Result(verdict.Reason); statuses[result] != 0 {
			return &refusal{result, errors.New(verdict.Detail)}
		}
	}
	return refuse(ResultSignatureMalformed, "verifying: %w", err)
}

// answer writes the headers of a refusal and returns the error that Caddy
// answers with. It must be returned as it is: handle_errors looks for this type
// without unwrapping.
func (r *refusal) answer(w http.ResponseWriter, methods string) error {
	header := w.Header()
	setResult(header, r.result)
	switch status := statuses[r.result]; status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", methods)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	return caddyhttp.Error(statuses[r.result], r)
}

// setResult names the result in an answer's headers.
func setResult(header http.Header, result Result) {
	header.Set(headerResult, string(result))
}
