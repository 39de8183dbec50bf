package testbed

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// Gateway is a running Caddy. Its methods are for the test's own goroutine,
// apart from URL, AdminURL and Output.
type Gateway struct {
	*Process // the one that runs, or ran last

	tb     testing.TB
	dir    string
	env    []string
	port   int
	admin  int
	listen bool // whether something is to answer on the port
	caddy  func(testing.TB) string
	out    *output
	ended  bool // by the test, so that the exit status is the test's to judge
}

// Option changes how a gateway is started.
type Option func(*Gateway)

// WithEnv adds variables, each as NAME=value, to the gateway's environment.
func WithEnv(env ...string) Option {
	return func(g *Gateway) { g.env = append(g.env, env...) }
}

// WithPort has the gateway use a port of the caller's choice, for Caddyfiles
// that take it from somewhere else than {$PORT}.
func WithPort(port int) Option {
	return func(g *Gateway) { g.port, g.listen = port, true }
}

// WithoutRaceDetector has the gateway run as users run it, to measure it.
func WithoutRaceDetector() Option {
	return func(g *Gateway) { g.caddy = plainCaddy }
}

// StartGateway runs Caddy with the Caddyfile and waits until it serves. The
// text may use {$PORT} and {$ADMIN}, which are free ports; the admin API
// listens on the latter even if the text does not say so. The test fails if the
// gateway panics, races, or does not end properly.
func StartGateway(tb testing.TB, caddyfile string, opts ...Option) *Gateway {
	tb.Helper()
	g := &Gateway{
		tb:     tb,
		dir:    tb.TempDir(),
		port:   FreePort(tb),
		admin:  FreePort(tb),
		listen: strings.Contains(caddyfile, "{$PORT"),
		out:    newOutput(),
		caddy:  Caddy,
	}
	for _, opt := range opts {
		opt(g)
	}
	if err := os.WriteFile(g.configPath(), []byte(caddyfile), 0o600); err != nil {
		tb.Fatalf("writing the Caddyfile: %v", err)
	}
	tb.Cleanup(g.finish)
	g.Start()
	return g
}

// Start runs the gateway again after Kill or Stop: same ports, same home, and
// the Caddyfile it was started with first.
func (g *Gateway) Start() {
	g.tb.Helper()
	env := append(caddyEnv(g.dir),
		"PORT="+strconv.Itoa(g.port),
		"ADMIN="+strconv.Itoa(g.admin),
		// The admin address where the configuration names none.
		"CADDY_ADMIN="+loopback(g.admin),
	)
	proc, err := startProcess(g.tb, g.out, g.dir, append(env, g.env...),
		g.caddy(g.tb), "run", "--adapter", "caddyfile", "--config", g.configPath())
	if err != nil {
		g.tb.Fatalf("%v", err)
	}
	g.Process, g.ended = proc, false
	g.waitReady()
}

func (g *Gateway) configPath() string { return filepath.Join(g.dir, "Caddyfile") }

// waitReady waits for the admin API and then for the port: Caddy opens the
// former before it loads the configuration.
func (g *Gateway) waitReady() {
	g.tb.Helper()
	exited := false
	up := poll(waitLimit, func() bool {
		select {
		case <-g.Exited():
			exited = true
			return true
		default:
			return g.answers()
		}
	})
	switch {
	case exited:
		g.ended = true
		g.tb.Fatalf("the gateway did not start: %v\n%s", g.exitErr, g.Output())
	case !up:
		g.tb.Fatalf("the gateway does not answer after %v:\n%s", waitLimit, g.Output())
	}
}

func (g *Gateway) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.AdminURL()+"/config/", nil)
	if err != nil {
		return false
	}
	if resp, err := Try(req); err != nil || resp.Status != http.StatusOK {
		return false
	}
	if !g.listen {
		return true
	}
	conn, err := net.Dial("tcp", loopback(g.port))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// URL is the address of a path behind the gateway.
func (g *Gateway) URL(path string) string { return "http://" + loopback(g.port) + path }

// AdminURL is the base URL of the admin API.
func (g *Gateway) AdminURL() string { return "http://" + g.AdminAddr() }

// AdminAddr is the address of the admin API, as --address takes it.
func (g *Gateway) AdminAddr() string { return loopback(g.admin) }

// Output is everything the gateway has printed, over all its starts.
func (g *Gateway) Output() string { return g.out.String() }

// Kill ends the gateway as a crash would.
func (g *Gateway) Kill() {
	g.ended = true
	g.Process.Kill()
}

// Stop lets the gateway finish its work and end; the error states how it ended.
func (g *Gateway) Stop() error {
	g.ended = true
	return g.Process.Stop()
}

// Reload gives the running gateway another Caddyfile. The error is Caddy's own
// if it refuses it. The old configuration's requests may still be running, but new
// connections reach the new one.
func (g *Gateway) Reload(caddyfile string) error {
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.AdminURL()+"/load", strings.NewReader(caddyfile))
	if err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	req.Header.Set("Content-Type", "text/caddyfile")
	resp, err := Try(req)
	if err != nil {
		return fmt.Errorf("reloading: %w", err)
	}
	// One that is refused has opened listeners, too.
	over := WaitReloaded(g)
	if resp.Status != http.StatusOK {
		return fmt.Errorf("reloading: status %d: %s", resp.Status, resp.Body)
	}
	return over
}

// WaitReloaded returns when a reload that Caddy has answered is over. Caddy answers when
// the old listeners are about to be closed. Until they are, Linux gives them some of the
// new connections, and resets those that were not accepted.
func WaitReloaded(g *Gateway) error {
	if !poll(waitLimit, func() bool { return listeners(g.port) <= 1 && listeners(g.admin) <= 1 }) {
		return fmt.Errorf("reloading: the old listeners are still open after %v", waitLimit)
	}
	return nil
}

// disaster matches output that fails every test.
var disaster = regexp.MustCompile(`WARNING: DATA RACE|panic:|(?m:^fatal error: )`)

func (g *Gateway) finish() {
	if g.Process == nil {
		return
	}
	err := g.Process.Stop()
	printed := g.Output()
	switch {
	case disaster.MatchString(printed):
		g.tb.Errorf("the gateway printed %q:\n%s", disaster.FindString(printed), printed)
	case err != nil && !g.ended:
		g.tb.Errorf("the gateway ended badly: %v\n%s", err, printed)
	case g.tb.Failed():
		g.tb.Logf("the gateway printed:\n%s", printed)
	}
}
