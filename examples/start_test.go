package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The app takes its time to start. What stands in for the gateway looks whether it is there.
const (
	slowApp = `import os, socket, time
time.sleep(0.5)
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    listener.accept()
`
	lookingGateway = `#!/bin/bash
(: <"/dev/tcp/127.0.0.1/$APP_PORT") 2>/dev/null && echo the app is there
`
)

// The gateway of `make flask` starts when the app is there, so that the first event is not
// a 502, and not at all where the app fails.
func TestTheGatewayStartsAfterTheApp(t *testing.T) {
	script, err := os.ReadFile("start")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ app, says string }{
		"a slow app":    {slowApp, "the app is there\n"},
		"an app's fall": {"raise SystemExit(3)\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range map[string]string{"examples/start": string(script), "examples/flask/app.py": c.app, "bin/caddy": lookingGateway} {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil { //nolint:gosec // they are run
					t.Fatal(err)
				}
			}
			start := exec.CommandContext(t.Context(), filepath.Join(dir, "examples", "start"), "flask")
			start.Env = append(os.Environ(), "APP_PORT="+strconv.Itoa(testbed.FreePort(t)))
			out, err := start.Output()
			if string(out) != c.says || (err != nil) != (c.says == "") {
				t.Errorf("it printed %q, want %q: %v", strings.TrimSpace(string(out)), c.says, err)
			}
		})
	}
}
