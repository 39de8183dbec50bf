package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const root = "../.."

// documents are the files whose blocks a reader can paste.
func documents(t *testing.T) []string {
	t.Helper()
	docs := []string{filepath.Join(root, "README.md")}
	for _, dir := range []string{"docs", "docs/guides"} {
		found, err := filepath.Glob(filepath.Join(root, dir, "*.md"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no documents found in %s: %v", dir, err)
		}
		docs = append(docs, found...)
	}
	return docs
}

// block is a fenced block of a document.
type block struct {
	language, text string
	line           int
}

func blocks(t *testing.T, file string) []block {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var found []block
	var open *block
	for i, line := range strings.Split(string(text), "\n") {
		language, fence := strings.CutPrefix(line, "```")
		switch {
		case fence && open == nil:
			open = &block{language: language, line: i + 1}
		case fence:
			found = append(found, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Fatalf("%s:%d: a block does not end", file, open.line)
	}
	return found
}

// Every Caddyfile and every group of lines in the documentation loads.
func TestDocumentedCaddyfilesLoad(t *testing.T) {
	t.Parallel()
	files := documentedFiles(t)
	var env []string
	for _, name := range []string{
		"STRIPE_WEBHOOK_SECRET", "STRIPE_SECRET", "STRIPE_SECRET_NEW", "STRIPE_SECRET_OLD", "STRUKTR_SECRET",
		"ACME_SECRET", "TENANT_A_SECRET", "TENANT_B_SECRET", "WALMART_SECRET", "META_APP_SECRET", "META_VERIFY_TOKEN",
		"NOTION_SECRET", "DROPBOX_SECRET", "GITHUB_WEBHOOK_SECRET", "TWILIO_AUTH_TOKEN",
	} {
		env = append(env, name+"=test-secret-of-a-document")
	}
	env = append(env, "REDIS_URL=redis://127.0.0.1:6379", "OKRAPDF_TOKEN=test-token", "INBOX_KEY="+strings.Repeat("6b", 32))
	for _, name := range []string{"ALICE_PASSWORD_HASH", "SUPPORT_PASSWORD_HASH"} {
		env = append(env, name+"=$2a$04$"+strings.Repeat("a", 53))
	}
	tried := 0
	for _, doc := range documents(t) {
		for _, b := range blocks(t, doc) {
			if b.language != "caddyfile" {
				continue
			}
			tried++
			t.Run(filepath.Base(doc)+":"+strconv.Itoa(b.line), func(t *testing.T) {
				t.Parallel()
				if provider, err := config.ParseLines(doc, []byte(b.text)); err == nil {
					if _, err := provider.Resolve(); err != nil {
						t.Error(err)
					}
					return
				}
				if strings.HasPrefix(b.text, "provider ") {
					b.text = "{\nwebhook_guard {\n" + b.text + "}\n}\n"
				}
				file := filepath.Join(t.TempDir(), "Caddyfile")
				text := strings.NewReplacer("/etc/caddy/", files+"/", "/run/secrets/", files+"/").Replace(b.text)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if out, err := testbed.RunCaddy(t, env, "validate", "--adapter", "caddyfile", "--config", file); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
	if tried < 10 {
		t.Errorf("%d Caddyfiles found in the documentation: the search for them is broken", tried)
	}
}

// documentedFiles stands in for /etc/caddy and /run/secrets.
func documentedFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"secrets/stripe":     "whsec_the-new-one-0123456789\n",
		"secrets/stripe-old": "whsec_the-old-one-0123456789\n",
		"acme.secret":        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		"redis.password":     "secret\n",
		"stripe":             "whsec_the-new-one-0123456789\n",
		"stripe-old":         "whsec_the-old-one-0123456789\n",
		"tenant-a":           "the-secret-of-tenant-a\n",
		"tenant-a-old":       "the-old-secret-of-tenant-a\n",
		"tenant-b":           "the-secret-of-tenant-b\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authority := testbed.NewAuthority(t)
	cert, key := authority.Issue("gateway")
	for name, file := range map[string]string{"redis-ca.pem": authority.File, "staff-ca.pem": authority.File, "gateway.pem": cert, "gateway.key": key} {
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

var (
	export   = regexp.MustCompile(`(?m)^export ([A-Z_]+)=(\S+)$`)
	send     = regexp.MustCompile(`(?m)^bin/caddy (webhook-guard send .*)$`)
	randomID = regexp.MustCompile(`[0-9a-f]{16}\b`)
)

// The README's first ten minutes: its commands against the shipped Caddyfile,
// with the secrets that `make run` sets, print what the README says.
func TestTheReadmesCommandsPrintItsOutput(t *testing.T) {
	t.Parallel()
	caddyfile := shippedCaddyfile(t)
	receiver := strconv.Itoa(testbed.FreePort(t))
	gateway := testbed.StartGateway(t, caddyfile, testbed.WithEnv(append(demoSecrets(t), "RECEIVER_PORT="+receiver, "PAGE_PORT="+strconv.Itoa(testbed.FreePort(t)))...))

	var env []string
	var printed string // by the commands since the last block of output
	var first bool     // whether they are those of the first screen
	compared := 0
	for _, b := range blocks(t, filepath.Join(root, "README.md")) {
		switch b.language {
		case "sh":
			// What follows `make event` is the business of test/guides.
			first = strings.HasPrefix(b.text, "make event")
			for _, v := range export.FindAllStringSubmatch(b.text, -1) {
				env = append(env, v[1]+"="+v[2])
			}
			for _, command := range send.FindAllStringSubmatch(b.text, -1) {
				args := strings.Fields(strings.ReplaceAll(command[1], "http://localhost:8080", gateway.URL("")))
				out, err := testbed.RunCaddy(t, env, args...)
				if err != nil {
					t.Fatalf("%s: %v\n%s", command[0], err, out)
				}
				printed += out
			}
		case "text":
			if first {
				continue
			}
			got, want := randomID.ReplaceAllString(printed, "<id>"), randomID.ReplaceAllString(b.text, "<id>")
			if got != want {
				t.Errorf("README.md:%d says\n%s\nbut the commands print\n%s", b.line, want, got)
			}
			printed, compared = "", compared+1
		}
	}
	if compared < 2 {
		t.Errorf("%d blocks of output compared: the search for them is broken", compared)
	}
}

var demo = regexp.MustCompile(`(?m)^([A-Z_]+)=(\S+)$`)

// shippedCaddyfile is what `make run` starts.
func shippedCaddyfile(t *testing.T) string {
	t.Helper()
	caddyfile, err := os.ReadFile(filepath.Join(root, "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	return string(caddyfile)
}

// demoSecrets reads what `make run` puts into the environment.
func demoSecrets(t *testing.T) []string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(root, "examples", "demo.env"))
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, v := range demo.FindAllStringSubmatch(string(file), -1) {
		env = append(env, v[1]+"="+v[2])
	}
	if len(env) != len(testbed.Senders()) {
		t.Fatalf("demo.env has %d demo secrets for %d senders", len(env), len(testbed.Senders()))
	}
	return env
}
