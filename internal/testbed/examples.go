package testbed

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Example is one of the apps in examples/, running on a free port.
type Example struct {
	*Process
	dir     string
	env     []string
	port    int
	command []string
}

// StartFlask runs examples/flask, with env added to its environment, and waits
// until it listens.
func StartFlask(tb testing.TB, env ...string) *Example {
	tb.Helper()
	return startExample(tb, "flask", env, PythonWithFlask(tb), "app.py")
}

// StartExpress runs examples/express, with env added to its environment, and
// waits until it listens.
func StartExpress(tb testing.TB, env ...string) *Example {
	tb.Helper()
	if _, err := exec.LookPath("node"); err != nil {
		tb.Fatalf("node is not installed: run `make deps`")
	}
	return startExample(tb, "express", env, "node", "app.js")
}

// StartSlowFlask runs examples/inbox, with env added to its environment, and waits until it
// listens.
func StartSlowFlask(tb testing.TB, env ...string) *Example {
	tb.Helper()
	return startExample(tb, "inbox", env, PythonWithFlask(tb), "app.py")
}

func startExample(tb testing.TB, name string, env []string, command ...string) *Example {
	tb.Helper()
	port := FreePort(tb)
	e := &Example{dir: ExampleDir(tb, name), port: port, command: command}
	e.env = append([]string{"PORT=" + strconv.Itoa(port), "PYTHONDONTWRITEBYTECODE=1"}, env...)
	e.start(tb, newOutput())
	return e
}

// Start runs the app again after Kill or Stop, on its port. What it prints is added to what
// it has printed.
func (e *Example) Start() {
	e.tb.Helper()
	e.start(e.tb, e.out)
}

func (e *Example) start(tb testing.TB, out *output) {
	tb.Helper()
	var err error
	if e.Process, err = startProcess(tb, out, e.dir, e.env, e.command[0], e.command[1:]...); err != nil {
		tb.Fatal(err)
	}
	exited := false
	up := poll(waitLimit, func() bool {
		select {
		case <-e.Exited():
			exited = true
			return true
		default:
		}
		conn, err := net.Dial("tcp", e.Addr())
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
	if exited || !up {
		tb.Fatalf("%s does not listen; if a package is missing, run `make deps`. It printed:\n%s", e.dir, e.Output())
	}
}

// ExampleDir is the directory of an example, with its Caddyfile.
func ExampleDir(tb testing.TB, name string) string {
	tb.Helper()
	root, err := moduleRoot()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return filepath.Join(root, "examples", name)
}

// Addr is the app's host and port.
func (e *Example) Addr() string { return loopback(e.port) }

// Port is the app's port, which the example's Caddyfile takes as APP_PORT.
func (e *Example) Port() int { return e.port }

// URL is the address of a path of the app, past any gateway.
func (e *Example) URL(path string) string { return "http://" + e.Addr() + path }

// Handled returns the lines that the app has printed for its deliveries:
// "handled <provider> <event> <id>".
func (e *Example) Handled() []string { return e.out.linesWith("handled ") }

// WaitHandled waits until the app has handled at least n deliveries.
func (e *Example) WaitHandled(n int) {
	e.tb.Helper()
	e.waitFor(fmt.Sprintf("%d handled deliveries", n), func(string) bool { return len(e.Handled()) >= n })
}

// PythonWithFlask is [PythonWith] for Flask.
func PythonWithFlask(tb testing.TB) string {
	tb.Helper()
	return PythonWith(tb, "flask")
}

// PythonWith finds an interpreter that has all the modules: the first python3 on the path
// may be one of the developer's own, while the system's has the packages.
func PythonWith(tb testing.TB, modules ...string) string {
	tb.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		// The interpreter itself, not a launcher in front of it.
		out, err := exec.Command(python, "-c", "import sys, "+strings.Join(modules, ", ")+"; print(sys.executable)").Output()
		if err == nil {
			return strings.TrimSpace(string(out))
		}
	}
	tb.Fatalf("no python3 here can import %s: run `make deps`", strings.Join(modules, ", "))
	return ""
}
