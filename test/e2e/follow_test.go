package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// What operations.md says: one ID leads from the sender's list through the logs, the store and
// the inbox to a real app.
func TestTheDocumentedWayToFollowAnEvent(t *testing.T) {
	t.Parallel()
	const section, id = "Follow one event", "evt_1PbX"
	app, logs, bin := testbed.StartFlask(t), t.TempDir(), t.TempDir()
	here := strings.NewReplacer("/var/log/caddy", logs, "hooks.example.com", "http://:{$PORT}", "127.0.0.1:5000", app.Addr(), "{\n\tlog {", "{\n\tadmin 127.0.0.1:{$ADMIN}\n\tlog {")
	config := sectionBlocks(t, "operations.md", section, "caddyfile")[0]
	global, sites, found := strings.Cut(config, "\n}\n")
	if !found {
		t.Fatalf("no global options in\n%s", config)
	}
	config = here.Replace(global) + "\n}\n" + strings.NewReplacer("/var/log/caddy", logs, "hooks.example.com", "http://:{$PORT}", "127.0.0.1:5000", app.Addr()).Replace(sites)
	g := testbed.StartGateway(t, config, testbed.WithEnv("STRIPE_SECRET="+firstSecret))

	event := stripeEvent("/webhooks/stripe", firstSecret, id)
	wantResult(t, "the event", event.send(t, g), 200, "accepted")
	app.WaitHandled(1)
	forged := stripeEvent("/webhooks/stripe", secondSecret, id)
	wantResult(t, "a forgery under its ID", forged.send(t, g), 401, "signature_invalid")
	if got := app.Handled(); len(got) != 1 || !strings.Contains(got[0], "stripe invoice.paid "+id) {
		t.Errorf("the app printed %q", got)
	}

	// `caddy` as the reader has it, on the path, with the admin API at its usual address.
	script := "#!/bin/sh\nexec '" + testbed.Caddy(t) + "' \"$@\" --address " + g.AdminAddr() + "\n"
	must(t, os.WriteFile(filepath.Join(bin, "caddy"), []byte(script), 0o700))
	var out string
	run := func() bool {
		shell := exec.Command("sh", "-e", "-c", here.Replace(sectionBlocks(t, "operations.md", section, "sh")[0]))
		shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+logs)
		printed, err := shell.CombinedOutput()
		out = string(printed)
		return err == nil && strings.Contains(out, `"msg":"delivered"`)
	}
	testbed.Eventually(t, soon, run, "the commands to show the delivery")
	for _, text := range []string{
		`"webhook_guard":{"result":"accepted","provider":"stripe","scope":"stripe","id":"evt_1PbX"`, // the access log
		`"inbox":"payments"`, `"attempt":1`, `"status":204`, // the inbox's line
		"done", "204", // what lookup and inbox show say
	} {
		if !strings.Contains(out, text) {
			t.Errorf("the commands print no %s:\n%s", text, out)
		}
	}
	if strings.Contains(out, "signature_invalid") {
		t.Errorf("a forgery is shown as the event:\n%s", out)
	}
}
