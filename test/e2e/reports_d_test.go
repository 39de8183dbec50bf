package e2e

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Secrets as strangers wrote, pasted and rotated them. The requests are signed here as
// the senders' documentation says, and not by the gateway's own code.

func hmac256(key, text string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// githubEvent is an event of GitHub's under a key.
func githubEvent(path, key, id string) reported {
	body := fmt.Sprintf(`{"action":"opened","n":%q}`, id)
	return reported{path, body, []string{"X-Hub-Signature-256", "sha256=" + hex.EncodeToString(hmac256(key, body)), "X-GitHub-Delivery", id, "X-GitHub-Event", "issues"}}
}

// standardEvent is an event of Standard Webhooks under the bytes of a key, with the
// signatures as they are to be joined. NAME stands for the signature that is right.
func standardEvent(path, key, id, signatures string) reported {
	body, stamp := fmt.Sprintf(`{"n":%q}`, id), fmt.Sprint(time.Now().Unix())
	signature := base64.StdEncoding.EncodeToString(hmac256(key, id+"."+stamp+"."+body))
	return reported{path, body, []string{"webhook-id", id, "webhook-timestamp", stamp, "webhook-signature", strings.ReplaceAll(signatures, "NAME", "v1,"+signature)}}
}

func wantResult(t *testing.T, what string, resp testbed.Response, status int, result string) {
	t.Helper()
	if resp.Status != status || resp.Guard != result {
		t.Errorf("%s: %d %s, want %d %s", what, resp.Status, resp.Guard, status, result)
	}
}

// What an environment variable or a file holds is a secret, and no configuration.
func TestSecretsMayHoldBraces(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	const braces = "s3cr{et}-{env.HOME}-{file./x}-{"
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(braces+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guard := func(path string, lines ...string) string {
		return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard github {\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n", path, strings.Join(lines, "\n\t\t\t"), proxy(app))
	}
	text := site{store: "memory", routes: "map {header.X-Tenant} {tenant} {tenant_secret} {\n\tone {env.SCOPE} {env.BRACES}\n}\n" +
		guard("/env", "secret {env.BRACES}", "scope env") +
		guard("/file", "secret {file."+file+"}", "scope file") +
		guard("/tenant", "secret {tenant_secret} per_request", "scope {tenant}") +
		guard("/scope", "secret {tenant_secret} per_request", "scope x-{tenant}")}.caddyfile()
	g := testbed.StartGateway(t, text, testbed.WithEnv("BRACES="+braces, "SCOPE=ten{ant"))
	for i, path := range []string{"/env", "/file", "/tenant", "/scope"} {
		event := githubEvent(path, braces, "braces")
		event.headers = append(event.headers, "X-Tenant", "one")
		wantResult(t, path, event.send(t, g), http.StatusOK, "forwarded")
		wantResult(t, path+" again", event.send(t, g), http.StatusOK, "duplicate")
		wantCalls(t, app, i+1)
	}
	if strings.Contains(g.Output(), "s3cr{") {
		t.Error("the secret is in the log")
	}
}

// What stands for a secret and is none is refused, wherever it comes from.
func TestSlipsInTheEnvironmentAreRefused(t *testing.T) {
	t.Parallel()
	for value, fix := range map[string]string{
		"$OTHER": "($NAME)", "${OTHER}": "${NAME}", "%OTHER%": "(%NAME%)", "env.OTHER": "without its braces", "{env.OTHER": "both braces",
		"{env.OTHER}": "both braces", "{{env.OTHER}}": "single braces", "{$OTHER}": "{$NAME}", "file./run/secrets/x": "name of a file",
	} {
		for _, line := range []string{"secret {env.SECRET}", "secret ok-ok-ok-ok-ok-ok\n\t\tsecret {env.SECRET} until 2120-01-01T00:00:00Z"} {
			out, err := validate(t, "Caddyfile", guarded("github", line), "SECRET="+value)
			if err == nil || !strings.Contains(out, fix) || !strings.Contains(out, "secret ") {
				t.Errorf("%s as %s: %v, %s", value, line, err, out)
			}
		}
	}
}

// A secret as a dashboard shows it, and signatures as a proxy joins them.
func TestSecretsAndSignaturesArePastedAsTheyAreShown(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	key, old := "the-bytes-of-a-key-in-base64", "the-bytes-of-another-key"
	shown := func(key string) string { return "v1,whsec_" + base64.StdEncoding.EncodeToString([]byte(key)) }
	guard := func(path, secret string) string {
		return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard standard-webhooks {\n\t\t\tsecret %q\n\t\t\tscope %s\n\t\t}\n\t\t%s\n\t}\n", path, secret, path[1:], proxy(app))
	}
	g := site{store: "memory", routes: guard("/one", shown(key)) + guard("/list", shown(old)+"|"+shown(key))}.start(t)
	const wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	for i, signatures := range []string{"NAME", wrong + ", NAME", "NAME, " + wrong, wrong + " NAME", wrong + ", v2,abc, NAME"} {
		for _, path := range []string{"/one", "/list"} {
			wantResult(t, path+" "+signatures, standardEvent(path, key, fmt.Sprint("e", i), signatures).send(t, g), http.StatusOK, "forwarded")
		}
	}
	wantResult(t, "the first of the list", standardEvent("/list", old, "f", "NAME").send(t, g), http.StatusOK, "forwarded")
	wantResult(t, "one of no list", standardEvent("/one", old, "g", "NAME").send(t, g), http.StatusUnauthorized, "signature_invalid")
}

// rotation is a secret in a file, and requests under what it holds.
type rotation struct {
	lines string // of the guard; FILE stands for the file
	texts []string
	send  func(t *testing.T, g *testbed.Gateway, version int, id string) testbed.Response
	wrong string // the result of a request under a secret that is not in force
}

// A secret that is rotated by its file is in force within two seconds, without a reload,
// and the old one is not any more.
func TestASecretIsRotatedByItsFile(t *testing.T) {
	t.Parallel()
	var public []string
	var private []ed25519.PrivateKey
	for range 3 {
		pub, priv, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, private = append(public, hex.EncodeToString(pub)), append(private, priv)
	}
	secrets := []string{"the-first-secret-0123456789", "the-second-secret-0123456789", "the-third-secret-0123456789"}
	for name, r := range map[string]rotation{
		"secret": {"webhook_guard github {\n\tsecret {file.FILE}\n}", secrets, func(t *testing.T, g *testbed.Gateway, version int, id string) testbed.Response {
			return githubEvent("/in", secrets[version], id).send(t, g)
		}, "signature_invalid"},
		"token": {"webhook_guard alerts {\n\tsecret {file.FILE}\n}", secrets, func(t *testing.T, g *testbed.Gateway, version int, id string) testbed.Response {
			return reported{"/in", fmt.Sprintf(`{"n":%q}`, id), []string{"Authorization", "Bearer " + secrets[version]}}.send(t, g)
		}, "token_invalid"},
		"public key": {"webhook_guard signs {\n\tpublic_key {file.FILE}\n}", public, func(t *testing.T, g *testbed.Gateway, version int, id string) testbed.Response {
			body := fmt.Sprintf(`{"n":%q}`, id)
			return reported{"/in", body, []string{"X-Sig", hex.EncodeToString(ed25519.Sign(private[version], []byte(body)))}}.send(t, g)
		}, "signature_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := testbed.StartApp(t, nil)
			// As Kubernetes mounts a secret: a link into a directory that is swapped.
			dir := t.TempDir()
			swap := func(version int) {
				data := filepath.Join(dir, fmt.Sprintf("..%d", version))
				must(t, os.Mkdir(data, 0o700))
				must(t, os.WriteFile(filepath.Join(data, "key"), []byte(r.texts[version]+"\n"), 0o600))
				must(t, os.Symlink(filepath.Base(data), filepath.Join(dir, "..tmp")))
				must(t, os.Rename(filepath.Join(dir, "..tmp"), filepath.Join(dir, "..data")))
			}
			swap(0)
			file := filepath.Join(dir, "key")
			must(t, os.Symlink("..data/key", file))
			g := site{store: "memory", guards: "provider alerts {\n\ttoken bearer\n}\nprovider signs {\n\tsignature X-Sig ed25519 hex\n\tsigned {body}\n}",
				routes: "handle /in {\n" + strings.ReplaceAll(r.lines, "FILE", file) + "\n" + proxy(app) + "\n}"}.start(t)
			wantResult(t, "before", r.send(t, g, 0, "a"), http.StatusOK, "forwarded")

			swap(1)
			n := 0
			testbed.Eventually(t, soon, func() bool { n++; return r.send(t, g, 1, fmt.Sprint("b", n)).Status == http.StatusOK }, "the new secret is not in force")
			wantResult(t, "the old one", r.send(t, g, 0, "c"), http.StatusUnauthorized, r.wrong)

			// The link leads nowhere, then to an empty file: nothing changes.
			must(t, os.Remove(file))
			time.Sleep(1100 * time.Millisecond)
			wantResult(t, "while it is gone", r.send(t, g, 1, "d"), http.StatusOK, "forwarded")
			must(t, os.WriteFile(file, nil, 0o600))
			time.Sleep(1100 * time.Millisecond)
			wantResult(t, "while it is empty", r.send(t, g, 1, "e"), http.StatusOK, "forwarded")
			g.WaitOutput("stays in force")

			must(t, os.WriteFile(file, []byte(r.texts[2]), 0o600))
			testbed.Eventually(t, soon, func() bool { n++; return r.send(t, g, 2, fmt.Sprint("f", n)).Status == http.StatusOK }, "the third secret is not in force")
			wantResult(t, "the second one", r.send(t, g, 1, "g"), http.StatusUnauthorized, r.wrong)
			for _, text := range r.texts {
				if strings.Contains(g.Output(), text) {
					t.Error("a secret is in the log")
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
