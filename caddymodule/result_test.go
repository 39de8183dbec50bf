package caddymodule

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// wantRefusal fails unless a request was answered with a result.
func wantRefusal(t *testing.T, w *httptest.ResponseRecorder, err error, result Result, status int) {
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
	want := map[Result]int{
		ResultInFlight: 503, ResultMethodNotAllowed: 405,
		ResultSignatureMissing: 401, ResultSignatureMalformed: 401, ResultSignatureInvalid: 401, ResultTokenMissing: 401, ResultTokenInvalid: 401,
		ResultTimestampMissing: 403, ResultTimestampMalformed: 403, ResultTimestampStale: 403, ResultTimestampFuture: 403, ResultEventExpired: 403,
		ResultBodyTooLarge: 413, ResultIDMalformed: 400,
		ResultBodyTimeout: 503, ResultBodyUnreadable: 503, ResultSecretUnavailable: 503, ResultOverloaded: 503, ResultStoreUnavailable: 503,
		ResultMisconfigured: 503, ResultUpstreamFailed: 502,
	}
	for result, status := range want {
		cause := errors.New("the cause")
		w := httptest.NewRecorder()
		err := (&refusal{result, cause}).answer(w, "POST, PUT")
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
	if len(statuses) != len(want) {
		t.Errorf("%d results have a status, %d are in the contract", len(statuses), len(want))
	}
}

// A result without a status would be answered as a success, or not at all.
func TestEveryResultButTheAppsOwnHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Result") {
			return true
		}
		found++
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		result := Result(text)
		if own := result == ResultForwarded || result == ResultDuplicate || result == ResultHandshake; own == (statuses[result] != 0) {
			t.Errorf("%s has the status %d", result, statuses[result])
		}
		return true
	})
	if found < 20 {
		t.Errorf("found only %d results", found)
	}
}

func TestEveryReasonOfAVerdictIsAResult(t *testing.T) {
	for _, reason := range []signature.Reason{
		signature.SignatureMissing, signature.SignatureMalformed, signature.SignatureInvalid, signature.TimestampMissing,
		signature.TimestampMalformed, signature.TimestampStale, signature.TimestampFuture, signature.EventExpired,
	} {
		err := fmt.Errorf("wrapped: %w", &signature.Error{Reason: reason, Detail: "why"})
		if got := refuseVerdict(err); got.result != Result(reason) || got.cause.Error() != "why" {
			t.Errorf("%s became %v", reason, got)
		}
	}
	for _, err := range []error{errors.New("other"), &signature.Error{Reason: "unheard_of"}, &signature.Error{Reason: "forwarded"}} {
		if got := refuseVerdict(err); statuses[got.result] != http.StatusUnauthorized {
			t.Errorf("%v became %v", err, got)
		}
	}
}
