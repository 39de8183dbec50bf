package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// sending is a long run of `send`, with its output.
func sending(t *testing.T) (cmd *exec.Cmd, lines *bufio.Reader, output io.Closer, complaints *bytes.Buffer) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	g := setup{store: "memory", app: app}.start(t)
	s := testbed.DocRouter()
	cmd = testbed.Command(t, "webhook-guard", "send", s.Name, g.URL("/webhooks/docrouter"), "--secret-env", "GUARD_SECRET", "--count", "1000000")
	cmd.Env = append(cmd.Env, "GUARD_SECRET="+s.Secret)
	complaints = new(bytes.Buffer)
	cmd.Stderr = complaints
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines = bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "200 forwarded\n" {
		t.Fatalf("the first line is %q, %v: %s", line, err, complaints)
	}
	return cmd, lines, out, complaints
}

// Ctrl-C in a long run ends it with the summary of what was sent, and the status of a run
// that is not as wanted.
func TestCtrlCEndsSendWithItsSummary(t *testing.T) {
	t.Parallel()
	cmd, lines, _, complaints := sending(t)
	must(t, cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(lines)
	must(t, err)
	err = cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("it ended with %v, want status 1", err)
	}
	printed := strings.Split(strings.TrimSpace(string(rest)), "\n")
	if summary := printed[len(printed)-1]; !strings.Contains(summary, " requests: ") || !strings.Contains(summary, " forwarded; median ") {
		t.Errorf("the last line is %q", summary)
	}
	if text := complaints.String(); !strings.HasPrefix(text, "Error: interrupted: ") || !strings.Contains(text, " of 1000000 requests were sent") {
		t.Errorf("it says %q", text)
	}
}

// Whoever reads only the beginning of the output, as head does, ends the command, which has
// nothing to say about it.
func TestSendEndsWithItsReader(t *testing.T) {
	t.Parallel()
	cmd, _, output, complaints := sending(t)
	must(t, output.Close())
	err := cmd.Wait()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE {
		t.Errorf("it ended with %v, want a broken pipe", err)
	}
	if complaints.Len() > 0 {
		t.Errorf("it complains: %s", complaints)
	}
}
