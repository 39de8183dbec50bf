package testbed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Redis is a redis-server of one test's own. Its methods are not for concurrent use.
type Redis struct {
	tb   testing.TB
	addr string
	dir  string
	args []string
	proc *Process // nil while stopped
}

// StartRedis starts redis-server on a free port, in a temporary directory and without
// persistence, and waits until it answers. Args come after those settings and win over
// them: "--appendonly", "yes". The server is killed when the test ends. Without
// redis-server the test fails.
func StartRedis(tb testing.TB, args ...string) *Redis {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatalf("redis-server is not installed: run `make deps`")
	}
	port := FreePort(tb)
	r := &Redis{tb: tb, addr: loopback(port), dir: tb.TempDir()}
	host, _, err := net.SplitHostPort(r.addr)
	if err != nil {
		tb.Fatalf("splitting %s: %v", r.addr, err)
	}
	r.args = append([]string{
		"--bind", host, "--port", strconv.Itoa(port), "--dir", r.dir, "--save", "", "--appendonly", "no",
	}, args...)
	r.Start()
	tb.Cleanup(r.Stop)
	return r
}

// Addr returns host:port.
func (r *Redis) Addr() string { return r.addr }

// URL returns redis://host:port.
func (r *Redis) URL() string { return "redis://" + r.addr }

// Freeze stops the server where it is: connections stay open and nothing answers.
func (r *Redis) Freeze() {
	r.tb.Helper()
	r.running().Freeze()
}

// Thaw ends a Freeze.
func (r *Redis) Thaw() {
	r.tb.Helper()
	r.running().Thaw()
}

// Stop kills the server, frozen or not, and waits for its end. It may be called twice.
func (r *Redis) Stop() {
	if r.proc != nil {
		r.proc.Kill()
		r.proc = nil
	}
}

// Start starts a stopped server again, on the same port. Its data is gone, unless the
// args of StartRedis say otherwise.
func (r *Redis) Start() {
	r.tb.Helper()
	if r.proc != nil {
		r.tb.Fatal("redis-server is running already: Stop it first")
	}
	r.proc = StartProcess(r.tb, r.dir, nil, "redis-server", r.args...)
	up := poll(patience, func() bool {
		select {
		case <-r.proc.Exited():
			return true
		default:
		}
		_, err := r.Do("PING")
		// To be asked for a password is an answer too. To be told of loading is not.
		return err == nil || strings.HasPrefix(err.Error(), "NOAUTH")
	})
	select {
	case <-r.proc.Exited(): // whatever answered on this port was another process
		r.tb.Fatalf("redis-server ended at once; it printed:\n%s", r.proc.Output())
	default:
	}
	if !up {
		r.tb.Fatalf("redis-server did not answer within %v; it printed:\n%s", patience, r.proc.Output())
	}
}

// Do sends one command on a connection of its own and returns the first line of the
// reply as it travels. It needs no client library, and answers within a second.
func (r *Redis) Do(args ...string) (string, error) {
	conn, err := net.DialTimeout("tcp", r.addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	var req strings.Builder
	fmt.Fprintf(&req, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&req, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := io.WriteString(conn, req.String()); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	line = strings.TrimSpace(line)
	if refusal, ok := strings.CutPrefix(line, "-"); ok && err == nil {
		err = errors.New(refusal)
	}
	return line, err
}

func (r *Redis) running() *Process {
	r.tb.Helper()
	if r.proc == nil {
		r.tb.Fatal("redis-server is not running: Start it first")
	}
	return r.proc
}
