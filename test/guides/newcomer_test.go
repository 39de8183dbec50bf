package guides

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var makes = regexp.MustCompile(`(?m)^make (\w+)`)

// The first screen of the README, in a fresh copy of the repository: two commands, and the
// first verified event of Stripe's is in Flask.
func TestTheFirstEventTakesTwoCommands(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := makes.FindAllStringSubmatch(string(readme), 2)
	if len(commands) != 2 || commands[0][1] != "flask" || commands[1][1] != "event" {
		t.Fatalf("the README begins with %v", commands)
	}
	dir := freshCopy(t)
	port, appPort := strconv.Itoa(testbed.FreePort(t)), strconv.Itoa(testbed.FreePort(t))
	env := append(environment(t, nil, "2019"), "PORT="+port, "APP_PORT="+appPort,
		"HOME="+os.Getenv("HOME"), "BUILDFLAGS=", "GOWORK=", "MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=") // with what Go has fetched and built: the test is not one of the network
	gateway := testbed.StartProcess(t, dir, env, "make", commands[0][1])
	listens(t, "the gateway", gateway, port)
	cmd := exec.CommandContext(t.Context(), "make", commands[1][1])
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("make %s: %v\n%s\nthe gateway printed:\n%s", commands[1][1], err, out, gateway.Output())
	}
	_, rest, _ := strings.Cut(string(readme), "make "+commands[1][1])
	_, rest, _ = strings.Cut(rest, "```text\n")
	says, _, _ := strings.Cut(rest, "```")
	if !expected(says).Match(out) {
		t.Errorf("the README says\n%s\nbut it prints\n%s", says, out)
	}
	gateway.WaitOutput("handled stripe payment_intent.succeeded evt_")
}

// freshCopy is what a clone of the working tree would be, without what was built in it.
func freshCopy(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range bytes.SplitSeq(bytes.TrimSuffix(names, []byte{0}), []byte{0}) {
		from, to := filepath.Join(root, string(name)), filepath.Join(dir, string(name))
		info, err := os.Stat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, text, info.Mode().Perm()); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
