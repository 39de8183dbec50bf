package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Scripts read the exit status of `explain`: 0 verified, 1 not, 2 not judged.
func TestExplainExitStatus(t *testing.T) {
	t.Parallel()
	const secret = "e2e-explain-secret"
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"event":"paid"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	sign := testbed.Command(t, "webhook-guard", "sign", "struktr", "--secret-env", "EXPLAIN_SECRET", "--body", body)
	sign.Env = append(sign.Env, "EXPLAIN_SECRET="+secret)
	headers, err := sign.Output()
	if err != nil {
		t.Fatal(err)
	}
	captured := "POST /in HTTP/1.1\nHost: hooks.example.com\n" + string(headers) + "\n" + `{"event":"paid"}`
	for _, c := range []struct {
		name, capture, secret string
		args                  []string
		status                int
		says                  string
	}{
		{"verified", captured, secret, []string{"struktr", "-"}, 0, "The request verifies."},
		{"a newline on the secret", captured, secret + "\n", []string{"struktr", "-"}, 1, "secret_space:"},
		{"a newline in the body", strings.Replace(captured, `"paid"}`, "\"paid\"}\n", 1), secret, []string{"struktr", "-"}, 1, "body_newline_added:"},
		{"another provider", captured, secret, []string{"nobody", "-"}, 2, "unknown provider"},
		{"no file", captured, secret, []string{"struktr", "/nonexistent/captured.http"}, 2, "no such file"},
		{"no arguments", captured, secret, nil, 2, "accepts 2 arg"},
		{"an unknown flag", captured, secret, []string{"--nonsense", "struktr", "-"}, 2, "unknown flag"},
	} {
		t.Run(c.name, func(t *testing.T) { // at once: what is signed grows old
			cmd := testbed.Command(t, append([]string{"webhook-guard", "explain", "--secret-env", "EXPLAIN_SECRET"}, c.args...)...)
			cmd.Env = append(cmd.Env, "EXPLAIN_SECRET="+c.secret)
			cmd.Stdin = strings.NewReader(c.capture)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != c.status || !strings.Contains(string(out), c.says) {
				t.Errorf("status %d, want %d and something of %q:\n%s", got, c.status, c.says, out)
			}
			if strings.Contains(string(out), secret) {
				t.Errorf("the output holds the secret:\n%s", out)
			}
		})
	}
}
