package testbed

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestProcessOutputAndExit(t *testing.T) {
	t.Parallel()
	p := StartProcess(t, t.TempDir(), []string{"WORD=hello"}, "sh", "-c", `echo "$WORD"; pwd >&2; exit 3`)
	p.WaitOutput("hello\n")
	<-p.Exited()
	var exit *exec.ExitError
	if err := p.Stop(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Fatalf("ended with %v, want status 3", err)
	}
	if lines := strings.Count(p.Output(), "\n"); lines != 2 {
		t.Fatalf("%d lines, want both streams':\n%s", lines, p.Output())
	}
}

func TestProcessStopsFrozen(t *testing.T) {
	t.Parallel()
	p := StartProcess(t, "", nil, "sh", "-c", `trap 'echo bye; exit 0' TERM; echo ready; while :; do read -r _ <&3; done 3<>`+fifo(t))
	p.WaitOutput("ready")
	p.Freeze()
	if err := p.Stop(); err != nil {
		t.Fatalf("stopped with %v", err)
	}
	p.WaitOutput("bye")
}

func TestProcessKill(t *testing.T) {
	t.Parallel()
	p := StartProcess(t, "", nil, "sleep", "600")
	p.Kill()
	if err := syscall.Kill(p.Pid(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("still there: %v", err)
	}
}

// fifo is a file whose reader blocks for ever.
func fifo(t *testing.T) string {
	t.Helper()
	path := t.TempDir() + "/fifo"
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// childOfDead names the variable that turns TestProcessDiesWithItsTest into the
// test process that gets killed.
const childOfDead = "TESTBED_START_A_CHILD"

func TestProcessDiesWithItsTest(t *testing.T) {
	if os.Getenv(childOfDead) != "" {
		p := StartProcess(t, "", nil, "sleep", "600")
		_, _ = os.Stdout.WriteString("child " + strconv.Itoa(p.Pid()) + "\n")
		<-p.Exited()
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProcessDiesWithItsTest$")
	cmd.Env = append(os.Environ(), childOfDead+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	for lines := bufio.NewScanner(stdout); child == 0 && lines.Scan(); {
		if pid, ok := strings.CutPrefix(lines.Text(), "child "); ok {
			child, err = strconv.Atoi(pid)
		}
	}
	if child == 0 || err != nil {
		t.Fatalf("no child: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
	Eventually(t, waitLimit, func() bool { return !running(child) }, "the child's end after its test was killed")
}

// running reports whether a process lives: one that is gone or still waits to be reaped
// by init does not.
func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	// The state follows the command's name, which is in parentheses.
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

// The port of a stopped server stays free for it, whatever other packages' tests do
// meanwhile.
func TestFreePortIsKeptFromOtherProcesses(t *testing.T) {
	t.Parallel()
	port := FreePort(t)
	if reserve(port) {
		t.Errorf("port %d would be given out again by the next process", port)
	}
}
