package testbed

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a child of the test: its output is captured, and it is gone when
// the test ends, however the test ends.
type Process struct {
	tb      testing.TB
	name    string
	cmd     *exec.Cmd
	out     *output
	exited  chan struct{} // closed when the process is gone and its output complete
	exitErr error         // set before exited is closed
}

// StartProcess runs a program in dir (the test's own when empty) with env added
// to the test's environment. It does not wait until the program is ready.
func StartProcess(tb testing.TB, dir string, env []string, name string, args ...string) *Process {
	tb.Helper()
	p, err := startProcess(tb, newOutput(), dir, env, name, args...)
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return p
}

func startProcess(tb testing.TB, out *output, dir string, env []string, name string, args ...string) (*Process, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...) // of two values for one name, the last counts
	cmd.Stdout, cmd.Stderr = out, out
	// A grandchild that keeps the pipe open must not hold up Wait.
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = dieWithParent()
	if err := spawn(cmd.Start); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{tb: tb, name: name, cmd: cmd, out: out, exited: make(chan struct{})}
	go func() {
		p.exitErr = cmd.Wait()
		close(p.exited)
	}()
	tb.Cleanup(func() { _ = p.Stop() })
	return p, nil
}

// The kernel's "parent" of Pdeathsig is the thread that started the child, and
// Go ends threads as it likes. So all children start from one goroutine that
// owns its thread and never returns: that thread ends with the process.
var (
	spawnOnce  sync.Once
	spawnQueue = make(chan func())
)

func spawn(start func() error) error {
	spawnOnce.Do(func() {
		go func() {
			runtime.LockOSThread()
			for f := range spawnQueue {
				f()
			}
		}()
	})
	result := make(chan error, 1)
	spawnQueue <- func() { result <- start() }
	return <-result
}

// Output returns what the process has printed so far, on both its streams.
func (p *Process) Output() string { return p.out.String() }

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Exited is closed once the process is gone and Output complete.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// WaitOutput waits until the process has printed the text.
func (p *Process) WaitOutput(text string) {
	p.tb.Helper()
	p.waitFor(fmt.Sprintf("%q in the output", text), func(printed string) bool {
		return strings.Contains(printed, text)
	})
}

// waitFor waits for a condition on the output, and fails the test when it does
// not come true or the process ends first.
func (p *Process) waitFor(what string, ok func(printed string) bool) {
	p.tb.Helper()
	deadline := time.NewTimer(waitLimit)
	defer deadline.Stop()
	for exited := false; ; {
		printed, more := p.out.snapshot()
		if ok(printed) {
			return
		}
		if exited {
			p.tb.Fatalf("%s ended (%v) without %s; it printed:\n%s", p.name, p.exitErr, what, printed)
		}
		select {
		case <-more:
		case <-p.exited:
			exited = true // one more look: the last words may have come just now
		case <-deadline.C:
			p.tb.Fatalf("%s: no %s after %v; it printed:\n%s", p.name, what, waitLimit, printed)
		}
	}
}

// Kill ends the process at once, as a crash would, and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// Stop asks the process to end and waits until it has. The error states how it ended;
// nil means exit status 0. A process that does not end is killed.
func (p *Process) Stop() error {
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT) // a frozen process would not see the other one
	return p.wait()
}

func (p *Process) wait() error {
	select {
	case <-p.exited:
		return p.exitErr
	case <-time.After(waitLimit):
		p.Kill()
		return fmt.Errorf("%s did not end within %v of SIGTERM and was killed", p.name, waitLimit)
	}
}

// Freeze stops the process where it is, as a stalled machine would: its sockets
// stay open and nothing answers. When it returns, every thread stands still.
func (p *Process) Freeze() {
	p.tb.Helper()
	p.signal(syscall.SIGSTOP)
	if err := awaitStop(p.Pid()); err != nil {
		p.tb.Errorf("freezing %s: %v", p.name, err)
	}
}

// Thaw resumes a frozen process.
func (p *Process) Thaw() { p.signal(syscall.SIGCONT) }

func (p *Process) signal(sig syscall.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tb.Errorf("sending %v to %s: %v", sig, p.name, err)
	}
}
