package guides

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// patience is how long a program may take to listen, or to print what the page says: some
// are built first.
const patience = 10 * time.Minute

// reader follows one page.
type reader struct {
	t       *testing.T
	file    string
	dir     string
	env     []string
	exports []string // of the terminal in which commands are run
	ports   *strings.Replacer
	back    *strings.Replacer
	started map[string]*testbed.Process // by the page's port
	printed string                      // by the last commands
}

var (
	export = regexp.MustCompile(`(?m)^export (.+)$`)
	assign = regexp.MustCompile(`(\w+)=(\S+)`)
)

// follow does all that a page says.
func follow(t *testing.T, file string, p page) {
	t.Helper()
	r := &reader{t: t, file: file, dir: t.TempDir(), started: make(map[string]*testbed.Process)}
	var pairs, back []string
	for _, port := range p.ports {
		free := strconv.Itoa(testbed.FreePort(t))
		pairs, back = append(pairs, port, free), append(back, free, port)
	}
	// What the pages have in the system's directories is in the reader's own.
	pairs, back = append(pairs, "/etc/caddy", r.dir, "/var/log/caddy", r.dir), append(back, r.dir, "/etc/caddy")
	r.ports, r.back = strings.NewReplacer(pairs...), strings.NewReplacer(back...)
	r.env = environment(t, p.python, r.ports.Replace("2019"))
	for _, s := range p.steps {
		r.do(s)
	}
}

// environment has the programs of the guides on its path, and keeps Caddy's data, its admin
// address and what other tools write away from the user's own.
func environment(t *testing.T, modules []string, admin string) []string {
	t.Helper()
	if admin == "2019" { // the page does not name it
		admin = strconv.Itoa(testbed.FreePort(t))
	}
	bin, home := t.TempDir(), t.TempDir()
	wrap(t, bin, "caddy", testbed.Command(t).Path)
	if len(modules) > 0 {
		wrap(t, bin, "python3", testbed.PythonWith(t, modules...))
	}
	for name, pattern := range map[string]string{"php-fpm": "/usr/sbin/php-fpm*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			wrap(t, bin, name, found[0])
		}
	}
	return []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_CONFIG_HOME=" + home,
		"CADDY_ADMIN=127.0.0.1:" + admin, "PYTHONDONTWRITEBYTECODE=1", "LC_ALL=C.UTF-8",
		"NEXT_TELEMETRY_DISABLED=1", "GUIDES_EXPRESS=" + packages(t, "examples/express"), "GUIDES_NEXT=" + packages(t, "test/guides/next"),
	}
}

// packages is where `make deps` has put a directory's packages.
func packages(t *testing.T, dir string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, dir, "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// wrap puts a program into a directory under another name.
func wrap(t *testing.T, dir, name, program string) {
	t.Helper()
	script := "#!/bin/sh\nexec '" + program + "' \"$@\"\n"
	if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) do(s step) {
	r.t.Helper()
	at := fmt.Sprintf("%s:%d", r.file, s.line)
	text := r.ports.Replace(s.text)
	switch s.kind {
	case "file":
		r.write(s.arg, text)
	case "start":
		r.start(at, s.arg, text)
	case "prints":
		r.wait(at, s.arg, s.text)
	case "exit":
		r.run(at, s.arg, text)
	case "text":
		if !expected(s.text).MatchString(r.printed) {
			r.t.Fatalf("%s says\n%s\nbut the commands print\n%s", at, s.text, r.printed)
		}
	}
}

func (r *reader) write(name, text string) {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start starts commands in a terminal of their own, of which the last one goes on.
func (r *reader) start(at, port, text string) {
	r.t.Helper()
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	last := len(lines) - 1
	lines[last] = "exec " + lines[last]
	process := testbed.StartProcess(r.t, r.dir, r.env, "bash", "-ec", strings.Join(lines, "\n"))
	r.started[port] = process
	listens(r.t, at, process, r.ports.Replace(port))
}

// listens waits until something that a process has started listens on a port.
func listens(t *testing.T, what string, process *testbed.Process, port string) {
	t.Helper()
	testbed.Eventually(t, patience, func() bool {
		select {
		case <-process.Exited():
			t.Fatalf("%s: the program ended; it printed:\n%s", what, process.Output())
		default:
		}
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	}, what+": to listen on port "+port)
}

// run runs commands to their end.
func (r *reader) run(at, status, text string) {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), "bash", "-ec", text)
	cmd.Dir, cmd.Env = r.dir, append(append(os.Environ(), r.env...), r.exports...)
	out, err := cmd.CombinedOutput()
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != status {
		r.t.Fatalf("%s: exit status %s, want %s (%v); it printed:\n%s", at, got, status, err, out)
	}
	r.printed = r.back.Replace(string(out))
	for _, line := range export.FindAllStringSubmatch(text, -1) {
		for _, v := range assign.FindAllStringSubmatch(line[1], -1) {
			r.exports = append(r.exports, v[1]+"="+v[2])
		}
	}
}

// wait waits until what was started on a port has printed each of some lines.
func (r *reader) wait(at, port, text string) {
	r.t.Helper()
	process := r.started[port]
	if process == nil {
		r.t.Fatalf("%s: nothing was started on port %s", at, port)
	}
	for line := range strings.Lines(text) {
		want := expected(line)
		testbed.Eventually(r.t, patience, func() bool {
			for printed := range strings.Lines(r.back.Replace(process.Output())) {
				if want.MatchString(printed) {
					return true
				}
			}
			return false
		}, fmt.Sprintf("%s: %q from port %s", at, strings.TrimSpace(line), port))
	}
}
