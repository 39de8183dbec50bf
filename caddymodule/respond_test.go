package caddymodule

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// wantRefusal fails unless a request was answered with a result.
func wantRefusal(t *testing.T, w *httptest.ResponseRecorder, err error, result webhook.Result, status int) {
	t.Helper()
	// handle_errors looks for this type without unwrapping.
	handlerError, ok := err.(caddyhttp.HandlerError) //nolint:errorlint // as Caddy does it
	if !ok {
		t.Fatalf("the error is a %T, %v", err, err)
	}
	if got := w.Header().Get(headerResult); got != string(result) || handlerError.StatusCode != status {
		t.Errorf("%s with %d, want %s with %d: %v", got, handlerError.StatusCode, result, status, err)
	}
	if w.Body.Len() > 0 {
		t.Errorf("wrote %q past Caddy's error handling", w.Body)
	}
}

func TestARefusalIsAnsweredAsTheContractSays(t *testing.T) {
	want := map[webhook.Result]int{
		webhook.InFlight: 503, webhook.MethodNotAllowed: 405,
		webhook.SignatureMissing: 401, webhook.SignatureMalformed: 401, webhook.SignatureInvalid: 401, webhook.TokenMissing: 401, webhook.TokenInvalid: 401,
		webhook.TimestampMissing: 403, webhook.TimestampMalformed: 403, webhook.TimestampStale: 403, webhook.TimestampFuture: 403, webhook.EventExpired: 403,
		webhook.BodyTooLarge: 413, webhook.IDMalformed: 400,
		webhook.BodyTimeout: 503, webhook.BodyUnreadable: 503, webhook.SecretUnavailable: 503, webhook.Overloaded: 503, webhook.StoreUnavailable: 503,
		webhook.Misconfigured: 503, webhook.UpstreamFailed: 502,
	}
	for result, status := range want {
		cause := errors.New("the cause")
		w := httptest.NewRecorder()
		err := refusalError(w, &webhook.Refusal{Result: result, Cause: cause}, "POST, PUT")
		wantRefusal(t, w, err, result, status)
		if !errors.Is(err, cause) {
			t.Errorf("%s: the cause is gone", result)
		}
		allow, retry := "", ""
		switch status {
		case 405:
			allow = "POST, PUT"
		case 503:
			retry = "1"
		}
		if h := w.Header(); h.Get("Allow") != allow || h.Get("Retry-After") != retry {
			t.Errorf("%s: Allow %q, Retry-After %q", result, h.Get("Allow"), h.Get("Retry-After"))
		}
	}
}
