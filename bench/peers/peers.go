// Package peers starts alternatives to Webhook Guard: programs that do the same job,
// written for this comparison as their users would write them. The top of each file
// states what it does and does not do in comparison.
package peers

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Peer is one such program.
type Peer struct {
	Name string
	// Sender is the sender of the events that it takes, at /webhooks/<its name>.
	Sender testbed.Sender
	// Forwards: the app is another process, as with a gateway.
	Forwards bool
	// VerifiesOnly: it checks neither freshness nor for duplicates.
	VerifiesOnly bool

	command func(tb testing.TB, s site) *testbed.Process
}

// site holds a peer's addresses and files.
type site struct {
	port int
	env  []string
	// host:port
	redis, app string
}

// Server is a peer that runs. It ends with the test.
type Server struct {
	Addr string // host:port
	*testbed.Process
}

// All returns the peers.
func All() []Peer {
	return []Peer{
		{Name: "express", Sender: testbed.Stripe(), command: express},
		{Name: "flask", Sender: testbed.Stripe(), command: flask},
		{Name: "nginx-lua", Sender: testbed.Stripe(), Forwards: true, command: nginx},
		{Name: "webhook", Sender: testbed.GitHub(), VerifiesOnly: true, command: webhook},
	}
}

// Start starts the peer and waits until it answers. It uses the Redis and, if it
// forwards, the app, both given as host:port.
func (p Peer) Start(tb testing.TB, redis, app string) *Server {
	tb.Helper()
	port := testbed.FreePort(tb)
	s := site{port: port, redis: redis, app: app, env: []string{
		"PORT=" + strconv.Itoa(port),
		"REDIS_URL=redis://" + redis,
		strings.ToUpper(p.Sender.Name) + "_SECRET=" + p.Sender.Secret,
	}}
	addr := "127.0.0.1:" + strconv.Itoa(port)
	server := &Server{Addr: addr, Process: p.command(tb, s)}
	testbed.Eventually(tb, 3*time.Minute, func() bool {
		select {
		case <-server.Exited():
			tb.Fatalf("%s ended at once; it printed:\n%s\nIs all installed? Run `.ci/deps bench`", p.Name, server.Output())
		default:
		}
		return answers(addr)
	}, p.Name+" does not answer")
	return server
}

// answers reports whether a server there answers HTTP, with any status.
func answers(addr string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return false
	}
	_, err = testbed.Try(req)
	return err == nil
}

func express(tb testing.TB, s site) *testbed.Process {
	tb.Helper()
	return testbed.StartProcess(tb, dir("express"), append(s.env, "NODE_ENV=production"), "node", "app.js")
}

// flask runs gunicorn with threads: its default workers close every connection
// after one answer. Of 2, 4 and 8 threads per worker and one to two and a half
// workers per CPU, this was the fastest here.
func flask(tb testing.TB, s site) *testbed.Process {
	tb.Helper()
	return testbed.StartProcess(tb, dir("flask"), append(s.env, "PYTHONDONTWRITEBYTECODE=1"), python(tb, "flask", "redis", "gunicorn"),
		"-m", "gunicorn", "--bind", "127.0.0.1:"+strconv.Itoa(s.port), "--worker-class", "gthread",
		"--workers", strconv.Itoa(runtime.NumCPU()), "--threads", "2", "--keep-alive", "600",
		"--worker-connections", "4096", "--backlog", "4096", "--log-level", "warning", "app:app")
}

func nginx(tb testing.TB, s site) *testbed.Process {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir("nginx"), "nginx.conf"))
	if err != nil {
		tb.Fatal(err)
	}
	// Only root may, and must, say as whom the workers run: nobody else reads the test's files.
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	host, port, _ := strings.Cut(s.redis, ":")
	conf := strings.NewReplacer("USER_LINE", user, "LUA_DIR", dir("nginx"), "REDIS_HOST", host, "REDIS_PORT", port,
		"APP_ADDR", s.app, "127.0.0.1:PORT", "127.0.0.1:"+strconv.Itoa(s.port)).Replace(string(text))
	home := tb.TempDir()
	path := filepath.Join(home, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		tb.Fatal(err)
	}
	return testbed.StartProcess(tb, home, s.env, "nginx", "-p", home, "-c", path)
}

// webhook starts a program for every genuine request, which cannot be turned off. So
// the price of its verification is measured with forgeries, which start none. It knows
// neither stamps nor duplicates. The `or` of one rule in its configuration is what
// makes a forgery a 401: by itself it would be a 500.
func webhook(tb testing.TB, s site) *testbed.Process {
	tb.Helper()
	return testbed.StartProcess(tb, dir("webhook"), s.env, "webhook", "-ip", "127.0.0.1", "-port", strconv.Itoa(s.port),
		"-hooks", "hooks.json", "-template", "-urlprefix", "webhooks")
}

// python finds one that has the modules: the first in the path may not be the
// system's, for which they are packaged.
func python(tb testing.TB, modules ...string) string {
	tb.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(name, "-c", "import "+strings.Join(modules, ", ")).Run() == nil {
			return name
		}
	}
	tb.Fatalf("no python3 has %s: run `.ci/deps bench`", strings.Join(modules, ", "))
	return ""
}

// dir is beside this file.
func dir(name string) string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), name)
}
