package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// Caddy returns the path of a Caddy built from this tree, with the race
// detector when the test has it too. WEBHOOK_GUARD_CADDY names another one.
func Caddy(tb testing.TB) string {
	tb.Helper()
	return built(tb, buildCaddy)
}

// BuildCaddy builds what Caddy returns, for a TestMain whose tests make stamps before they
// start a gateway: to build one may take longer than a stamp is fresh.
func BuildCaddy() error {
	_, err := buildCaddy()
	return err
}

// plainCaddy is Caddy without the race detector: for measurements, and for subcommands
// that end at once.
func plainCaddy(tb testing.TB) string {
	tb.Helper()
	return built(tb, buildPlainCaddy)
}

func built(tb testing.TB, build func() (string, error)) string {
	tb.Helper()
	path, err := build()
	if err != nil {
		tb.Fatalf("%v", err)
	}
	return path
}

// Each of them builds once per test process. The binary stands in bin/, which is
// not under version control, so that the test processes of one `go test ./...`
// share it: linking Caddy takes far longer than finding it up to date.
var (
	buildCaddy      = sync.OnceValues(func() (string, error) { return build(raceDetector) })
	buildPlainCaddy = sync.OnceValues(func() (string, error) { return build(false) })
)

func build(race bool) (string, error) {
	if path := os.Getenv("WEBHOOK_GUARD_CADDY"); path != "" {
		return path, nil
	}
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "bin", "testbed")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making a directory for the gateway: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()

	path := filepath.Join(dir, "caddy")
	args := []string{"build", "-buildvcs=false", "-ldflags=-w"} // without the debugger's tables, which take long to link
	if race {
		path += "-race"
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "-o", path, "./cmd/caddy")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, out)
	}
	return path, nil
}

// lock waits until no other process holds the file.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the build lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("locking the build: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing releases it
}

// moduleRoot finds the directory of cmd/caddy upwards from this file, so that it does
// not matter which directory a test runs in; with -trimpath, upwards from that directory.
// Some directories below it are modules of their own, so it does not look for go.mod.
func moduleRoot() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if !filepath.IsAbs(dir) {
		var err error
		if dir, err = os.Getwd(); err != nil {
			return "", fmt.Errorf("looking for the module: %w", err)
		}
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "cmd", "caddy", "main.go")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no cmd/caddy above %s", file)
		}
	}
}

// Command returns a short-lived run of Caddy in a home of its own, for its
// subcommands. It ends with the test's context; the rest is the caller's. It has no
// race detector, which would take most of its time to start.
func Command(tb testing.TB, args ...string) *exec.Cmd {
	tb.Helper()
	caddy := plainCaddy(tb) // which may take longer to build than the command may run
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	tb.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, caddy, args...)
	cmd.Dir = tb.TempDir()
	cmd.Env = append(os.Environ(), caddyEnv(cmd.Dir)...)
	return cmd
}

// RunCaddy runs a subcommand of Caddy to its end, with env added, and returns
// what it printed on both streams and how it ended.
func RunCaddy(tb testing.TB, env []string, args ...string) (string, error) {
	tb.Helper()
	cmd := Command(tb, args...)
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// caddyEnv keeps Caddy's data and autosaved configuration out of the user's own. A
// process with the race detector sleeps for a second before it exits, for reports that
// are still being written; a tenth of it is enough.
func caddyEnv(dir string) []string {
	env := []string{
		"HOME=" + dir,
		"XDG_DATA_HOME=" + filepath.Join(dir, "data"),
		"XDG_CONFIG_HOME=" + filepath.Join(dir, "config"),
	}
	if os.Getenv("GORACE") == "" {
		env = append(env, "GORACE=atexit_sleep_ms=100")
	}
	return env
}
