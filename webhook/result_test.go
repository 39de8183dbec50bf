package webhook

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A result without a status would be answered as a success, or not at all.
func TestEveryResultButTheAppsOwnHasAStatus(t *testing.T) {
	file, err := parser.ParseFile(gotoken.NewFileSet(), "result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	successes := []Result{Forwarded, Duplicate, Accepted, Queued, Revived, HandshakeAnswered}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != 1 || spec.Type == nil {
			return true
		}
		kind, ok := spec.Type.(*ast.Ident)
		if !ok || kind.Name != "Result" {
			return true
		}
		found++
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		result := Result(text)
		if own := slices.Contains(successes, result); own == (statuses[result] != 0) {
			t.Errorf("%s has the status %d", result, statuses[result])
		}
		return true
	})
	if found != len(statuses)+len(successes) {
		t.Errorf("found %d results, %d have a status", found, len(statuses))
	}
}

func TestEveryReasonOfAVerdictIsAResult(t *testing.T) {
	for _, reason := range []signature.Reason{
		signature.SignatureMissing, signature.SignatureMalformed, signature.SignatureInvalid, signature.TimestampMissing,
		signature.TimestampMalformed, signature.TimestampStale, signature.TimestampFuture, signature.EventExpired,
	} {
		err := fmt.Errorf("wrapped: %w", &signature.Error{Reason: reason, Detail: "why"})
		if got := refuseVerdict(err); got.Result != Result(reason) || got.Cause.Error() != "why" {
			t.Errorf("%s became %v", reason, got)
		}
	}
	for _, err := range []error{errors.New("other"), &signature.Error{Reason: "unheard_of"}, &signature.Error{Reason: "forwarded"}} {
		if got := refuseVerdict(err); statuses[got.Result] != http.StatusUnauthorized {
			t.Errorf("%v became %v", err, got)
		}
	}
}
