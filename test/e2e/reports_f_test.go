package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// cli is one call of the command line.
type cli struct {
	env   []string
	stdin string
}

// run returns what is printed, and the exit status.
func (c cli) run(t *testing.T, args ...string) (out string, status int) {
	t.Helper()
	cmd := testbed.Command(t, append([]string{"webhook-guard"}, args...)...)
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// wantRun fails unless the call exits with a status and prints a text.
func (c cli) wantRun(t *testing.T, status int, says string, args ...string) string {
	t.Helper()
	out, got := c.run(t, args...)
	if got != status || !strings.Contains(out, says) {
		t.Errorf("%q exits with %d, want %d and something of %q:\n%s", args, got, status, says, out)
	}
	return out
}

// tenants is a configuration with a provider of its own and two guards of it.
const tenants = `
{
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store memory
		provider acme {
			signature X-Acme-Signature sha256 hex sha256={signature}
			signed    {timestamp}.{body}
			timestamp header X-Acme-Timestamp unix
			id        body event.id
			event     body event.type
		}
		provider ding {
			token header X-Ding-Token
			id    body id
		}
	}
}
http://:{$PORT} {
	handle /one {
		webhook_guard acme {
			secret {env.ACME_OLD} until 2020-01-01T00:00:00Z
			secret {env.ACME_ONE}
			scope  acme-one
		}
		respond one
	}
	handle /two {
		webhook_guard acme {
			secret    {file.SECRET_FILE}
			signature X-Acme-Other sha256 base64
			scope     acme-two
		}
		respond two
	}
	handle /ding {
		webhook_guard ding {
			secret {env.DING_TOKEN}
		}
		respond ding
	}
	handle /stripe {
		webhook_guard stripe {
			secret  {env.STRIPE}
			max_age 1h
		}
		respond stripe
	}
}
`

// Every verb that takes a provider takes a configuration, and then signs with the lines
// and the secret of the guard that it describes.
func TestTheConfigurationSaysWhatToSign(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	caddyfile := filepath.Join(dir, "Caddyfile")
	text := strings.ReplaceAll(tenants, "SECRET_FILE", secret)
	for file, content := range map[string]string{secret: "canary-file-secret-22\n", caddyfile: text} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"ACME_OLD=canary-old-secret-000", "ACME_ONE=canary-secret-of-one-1", "DING_TOKEN=canary-token-of-ding-1", "STRIPE=whsec_canary-stripe-1"}
	g := testbed.StartGateway(t, text, testbed.WithEnv(env...))
	c := cli{env: append(env, "PORT=1", "ADMIN=2")}
	config := func(args ...string) []string { return append(args, "--config", caddyfile) }
	var printed string
	want := func(status int, says string, args ...string) {
		t.Helper()
		printed += c.wantRun(t, status, says, args...)
	}

	want(0, "200 forwarded  one", config("send", "acme", g.URL("/one"), "--scope", "acme-one")...)
	want(0, "200 forwarded  two", config("send", "acme", g.URL("/two"), "--scope", "acme-two", "--repeat", "2")...)
	want(0, "200 forwarded  ding", config("send", "ding", g.URL("/ding"), "--repeat", "2")...)
	want(0, "401 token_invalid", config("send", "ding", g.URL("/ding"), "--forge")...)
	want(0, "200 forwarded", config("send", "stripe", g.URL("/stripe"), "--age", "30m")...) // within the block's max_age
	want(0, "403 timestamp_stale", config("send", "stripe", g.URL("/stripe"), "--age", "2h")...)
	want(1, "401 signature_invalid", config("send", "acme", g.URL("/one"), "--scope", "acme-one", "--secret-env", "STRIPE")...)
	want(2, "acme-one, acme-two", config("send", "acme", g.URL("/one"))...)
	want(2, "did you mean acme-one", config("send", "acme", g.URL("/one"), "--scope", "acme-on")...)
	want(2, "did you mean acme", config("send", "acne", g.URL("/one"))...)
	want(2, "unknown provider", "send", "acme", g.URL("/one"))

	c.stdin = `{"event":{"id":"e1","type":"paid"}}`
	want(0, "X-Acme-Signature: sha256=", config("sign", "acme", "--scope", "acme-one")...)
	want(0, "X-Acme-Other: ", config("sign", "acme", "--scope", "acme-two")...)

	mac := hmac.New(sha256.New, []byte("canary-secret-of-one-1"))
	mac.Write([]byte("1764000000." + c.stdin))
	c.stdin = "POST /one HTTP/1.1\r\nHost: a\r\nX-Acme-Timestamp: 1764000000\r\nX-Acme-Signature: sha256=" + hex.EncodeToString(mac.Sum(nil)) + "\r\n\r\n" + c.stdin
	want(0, "verifies", config("explain", "acme", "--scope", "acme-one", "--now", "1764000000", "-")...)
	want(1, "does not verify", config("explain", "acme", "--scope", "acme-two", "--now", "1764000000", "-")...)

	want(0, "signature X-Acme-Other sha256 base64", config("providers", "acme", "--scope", "acme-two")...)
	want(0, "\nacme ", config("providers")...)
	if strings.Contains(printed, "canary") {
		t.Errorf("a secret is printed:\n%s", printed)
	}
}

// Every verb exits with 2 where it is used wrongly.
func TestWrongUsageExitsWithTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"provders"}, {"providers", "nobody"}, {"providers", "a", "b"}, {"providers", "--nonsense"},
		{"sign"}, {"sign", "github"}, {"sign", "github", "--secret-env", "UNSET"},
		{"sign", "github", "--secret-env", "A", "--secret-file", "B"},
		{"send", "github"}, {"send", "github", "localhost:8080"}, {"send", "github", "http://127.0.0.1:1"}, {"send", "github", "http://127.0.0.1:1", "--count", "0"},
		{"explain"}, {"lookup", "github"}, {"forget", "github"}, {"lookup", "github", "x", "--nonsense"}, {"forget", "--config", "/nonexistent", "a", "b"},
	} {
		(cli{}).wantRun(t, 2, "Error: ", args...)
	}
	(cli{}).wantRun(t, 2, "did you mean providers?", "provders")
	(cli{}).wantRun(t, 1, "refused", "lookup", "--address", "127.0.0.1:1", "github", "x")
	(cli{env: []string{"S=x"}}).wantRun(t, 1, "refused", "send", "github", "http://127.0.0.1:1", "--secret-env", "S")
}

func TestShellsCompleteProvidersAndEvents(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"struktr\n":         {"send", "stru"},
		"stripe\n":          {"explain", "strip"},
		"document.failed\n": {"send", "struktr", "--event", "document.f"},
	} {
		out, err := testbed.RunCaddy(t, nil, append([]string{"__complete", "webhook-guard"}, args...)...)
		if err != nil || !strings.Contains(out, says) {
			t.Errorf("%q completes to\n%s(%v)", args, out, err)
		}
	}
}

// The command fails where the app does, where the token is another one, and where there is
// no gateway. The token is not printed.
func TestSendFailsWhereTheAppDoes(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Status: http.StatusInternalServerError} })
	g := setup{store: "memory", app: app}.start(t)
	c := cli{env: []string{"STRUKTR=" + testbed.Struktr().Secret}}
	c.wantRun(t, 1, "500 upstream_failed", "send", "struktr", g.URL("/webhooks/struktr"), "--secret-env", "STRUKTR")
	out := c.wantRun(t, 1, "401 token_invalid", "send", "okrapdf", g.URL("/webhooks/okrapdf?token=canary-wrong-token"))
	out += c.wantRun(t, 1, "no such host", "send", "okrapdf", "http://nobody.invalid/okrapdf?token=canary-wrong-token")
	if strings.Contains(out, "canary") {
		t.Errorf("the token is printed:\n%s", out)
	}
}
