//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine says what the figures are from.
func machine() []string {
	lines := []string{
		fmt.Sprintf("%s; %s, %d CPUs, %s of memory, Linux %s", time.Now().UTC().Format(time.DateOnly),
			field("/proc/cpuinfo", "model name"), runtime.NumCPU(), field("/proc/meminfo", "MemTotal"), kernel()),
		fmt.Sprintf("%s, Caddy %s", runtime.Version(), moduleVersion("github.com/caddyserver/caddy/v2")),
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

func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == path {
			return dep.Version
		}
	}
	return "unknown"
}
