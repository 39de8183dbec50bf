//go:build linux

package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// machine describes what the figures were measured on.
func machine(tb testing.TB) []string {
	lines := []string{
		fmt.Sprintf("%s; %s, %d CPUs, %s of memory, `store disk` on %s, Linux %s", time.Now().UTC().Format(time.DateOnly),
			field("/proc/cpuinfo", "model name"), runtime.NumCPU(), field("/proc/meminfo", "MemTotal"), fileSystem(), kernel()),
		fmt.Sprintf("%s, Caddy %s, the guard at %s", runtime.Version(), caddyVersion(tb), commit()),
	}
	var others []string
	for _, tool := range [][]string{
		{"redis-server", "--version"}, {"node", "--version"}, {"nginx", "-v"}, {"webhook", "-version"},
		{"/usr/bin/python3", "-c", "import flask, gunicorn, redis, sys; print('Python', sys.version.split()[0], 'Flask', flask.__version__, 'gunicorn', gunicorn.__version__, 'redis-py', redis.__version__)"},
	} {
		out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput()
		if err != nil {
			continue
		}
		text, _, _ := strings.Cut(strings.TrimSpace(string(out)), " sha=")
		if tool[0] == "node" {
			text = "Node.js " + text
		}
		others = append(others, strings.TrimPrefix(text, "nginx version: "))
	}
	return append(lines, strings.Join(others, "; "))
}

// fileSystem is the file system of temporary files, where each run's disk store is.
func fileSystem() string {
	out, err := exec.Command("stat", "--file-system", "--format=%T", os.TempDir()).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

// field is the first value of a name in a file of /proc.
func field(path, name string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

// caddyVersion is the version of the measured Caddy.
func caddyVersion(tb testing.TB) string {
	tb.Helper()
	info, err := buildinfo.ReadFile(testbed.Caddy(tb))
	if err != nil {
		tb.Fatalf("reading what the gateway was built of: %v", err)
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/caddyserver/caddy/v2" {
			return dep.Version
		}
	}
	return "unknown"
}

func commit() string {
	if os.Getenv("WEBHOOK_GUARD_CADDY") != "" {
		return "another binary's, by WEBHOOK_GUARD_CADDY"
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty", "--exclude=*").Output()
	if err != nil {
		return "unknown"
	}
	return "commit " + strings.TrimSpace(string(out))
}
