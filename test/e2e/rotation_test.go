package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The secrets before and after a rotation.
const (
	firstSecret  = "whsec_the-first-one-0123456789"
	secondSecret = "whsec_the-second-one-0123456789"
)

// stripeEvent is an event of Stripe's under a secret.
func stripeEvent(path, secret, id string) reported {
	body, stamp := fmt.Sprintf(`{"id":%q,"type":"invoice.paid"}`, id), fmt.Sprint(time.Now().Unix())
	return reported{path, body, []string{"Stripe-Signature", "t=" + stamp + ",v1=" + hex.EncodeToString(hmac256(secret, stamp+"."+body))}}
}

// sectionBlocks returns the blocks of a section of a document, each without its indent.
func sectionBlocks(t *testing.T, file, heading, language string) (texts []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", file))
	must(t, err)
	_, section, found := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, b := range regexp.MustCompile("(?s)\n( *)```"+language+"\n(.*?)\n *```").FindAllStringSubmatch(section, -1) {
		texts = append(texts, strings.ReplaceAll("\n"+b[2], "\n"+b[1], "\n"))
	}
	if !found || len(texts) == 0 {
		t.Fatalf("%s has no block of %s under %q", file, language, heading)
	}
	return texts
}

// The commands that the guide gives for a rotation change the secret of a running gateway, and no
// event is refused meanwhile.
func TestTheDocumentedRotationReachesARunningProcess(t *testing.T) {
	t.Parallel()
	app, dir := testbed.StartApp(t, nil), t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "stripe"), []byte(firstSecret+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "stripe-old"), []byte("whsec_the-one-before-0123456789\n"), 0o600))
	here := strings.NewReplacer("/etc/caddy/secrets", dir, ":8080", "http://:{$PORT}", "reverse_proxy 127.0.0.1:5000", proxy(app))
	const guide, steps = "guides/rotate.md", "The steps"
	const global = "{\n\tadmin 127.0.0.1:{$ADMIN}\n\tmetrics\n}\n"
	config := global + here.Replace(sectionBlocks(t, guide, steps, "caddyfile")[0])
	g := testbed.StartGateway(t, config)
	n := 0
	send := func(secret string) testbed.Response {
		n++
		return stripeEvent("/webhooks/stripe", secret, fmt.Sprint("evt_", n)).send(t, g)
	}
	wantResult(t, "before", send(firstSecret), 200, "forwarded")
	wantResult(t, "the new one, before", send(secondSecret), 401, "signature_invalid")

	shell := exec.Command("sh", "-e", "-c", here.Replace(sectionBlocks(t, guide, steps, "sh")[0]))
	shell.Stdin = strings.NewReader(secondSecret + "\n")
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the documented commands: %v\n%s", err, out)
	}
	testbed.Eventually(t, soon, func() bool {
		wantResult(t, "the old one, meanwhile", send(firstSecret), 200, "forwarded")
		return send(secondSecret).Status == http.StatusOK
	}, "the new secret is not in force")
	wantResult(t, "the old one, still", send(firstSecret), 200, "forwarded")
	if matches, _ := g.Metric("webhook_guard_secret_matches_total", "secret", "1"); matches < 1 {
		t.Errorf("the metric says that the old secret has matched %v times", matches)
	}
	for _, name := range []string{"stripe", "stripe-old"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm()&0o037 != 0 { // the group that Caddy runs as may read them
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}

	// Without the old line, it is over.
	must(t, g.Reload(regexp.MustCompile(`(?m)^.*stripe-old.*\n`).ReplaceAllString(config, "")))
	wantResult(t, "the new one, after", send(secondSecret), 200, "forwarded")
	wantResult(t, "the old one, after", send(firstSecret), 401, "signature_invalid")
}

// reload runs `caddy reload` as a shell with these variables does.
func reload(t *testing.T, g *testbed.Gateway, text string, env []string, flags ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "Caddyfile")
	must(t, os.WriteFile(file, []byte(text), 0o600))
	port, admin := g.URL("")[strings.LastIndex(g.URL(""), ":")+1:], g.AdminAddr()
	env = append(env, "PORT="+port, "ADMIN="+admin[strings.LastIndex(admin, ":")+1:])
	out, err := testbed.RunCaddy(t, env, append([]string{"reload", "--config", file, "--address", admin}, flags...)...)
	if err != nil {
		t.Fatalf("caddy reload %s: %v\n%s", flags, err, out)
	}
	must(t, testbed.WaitReloaded(g))
}

// A new environment variable does not reach a running process, however it is reloaded;
// one that the Caddyfile takes from the shell does.
func TestANewEnvironmentVariableNeedsARestart(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	guard := func(path, secret string) string {
		return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard stripe {\n\t\t\tsecret %s\n\t\t\tscope %s\n\t\t}\n\t\t%s\n\t}\n", path, secret, path[1:], proxy(app))
	}
	text := site{store: "disk", routes: guard("/process", "{env.HOOK_SECRET}") + guard("/shell", "{$HOOK_SECRET}")}.caddyfile()
	g := testbed.StartGateway(t, text, testbed.WithEnv("HOOK_SECRET="+firstSecret))
	n := 0
	check := func(when, path, right, wrong string) {
		t.Helper()
		n++
		wantResult(t, when+" "+path, stripeEvent(path, right, fmt.Sprint("evt_", n)).send(t, g), 200, "forwarded")
		wantResult(t, when+" "+path+", the other one", stripeEvent(path, wrong, fmt.Sprint("evt_", n)).send(t, g), 401, "signature_invalid")
	}
	check("at first", "/process", firstSecret, secondSecret)
	check("at first", "/shell", firstSecret, secondSecret)
	for _, flags := range [][]string{nil, {"--force"}} {
		reload(t, g, text, []string{"HOOK_SECRET=" + secondSecret}, flags...)
		check(fmt.Sprint("after reload ", flags), "/process", firstSecret, secondSecret)
		check(fmt.Sprint("after reload ", flags), "/shell", secondSecret, firstSecret)
	}
	g = testbed.StartGateway(t, text, testbed.WithEnv("HOOK_SECRET="+secondSecret))
	check("after a restart", "/process", secondSecret, firstSecret)
}

// A file that another line names is read when the configuration loads, which takes
// --force where its text is the same.
func TestTheFileOfAnotherLineNeedsAForcedReload(t *testing.T) {
	t.Parallel()
	app, file := testbed.StartApp(t, nil), filepath.Join(t.TempDir(), "url")
	text := site{store: "disk", routes: fmt.Sprintf(
		"\thandle /in {\n\t\twebhook_guard square {\n\t\t\tsecret %s\n\t\t\tpublic_url {file.%s}\n\t\t}\n\t\t%s\n\t}\n", reportSecret, file, proxy(app))}.caddyfile()
	must(t, os.WriteFile(file, []byte("https://old.example/in\n"), 0o600))
	g := testbed.StartGateway(t, text)
	n := 0
	check := func(when, right, wrong string) {
		t.Helper()
		n++
		wantResult(t, when, squareEvent(right, fmt.Sprint("e", n)).at("/in", "", "").send(t, g), 200, "forwarded")
		wantResult(t, when+", the other one", squareEvent(wrong, fmt.Sprint("e", n)).at("/in", "", "").send(t, g), 401, "signature_invalid")
	}
	check("at first", "https://old.example/in", "https://new.example/in")
	must(t, os.WriteFile(file, []byte("https://new.example/in\n"), 0o600))
	reload(t, g, text, nil)
	check("after a reload", "https://old.example/in", "https://new.example/in")
	reload(t, g, text, nil, "--force")
	check("after a forced reload", "https://new.example/in", "https://old.example/in")
}
