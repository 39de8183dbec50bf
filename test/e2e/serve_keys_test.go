package e2e

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// servedKeys are the lines with which a guard of a sender fetches its keys from a URL, for
// each sender whose keys are fetched. A certificate is the given key's.
func servedKeys(t *testing.T, key pair) map[string]func(url string) []string {
	t.Helper()
	set := func(url string) []string { return []string{"keys jwks " + url} }
	lines := map[string]func(string) []string{"azure-event-grid-entra": set, "fusionauth": set, "kinde": set, "neon-auth": set} // whose users name the URL
	for _, sender := range apiSenders {
		lines[sender.name] = func(url string) []string {
			return append(sender.lines(url), "keys_secret "+strings.Join(sender.credentials, " "))
		}
	}
	for _, name := range config.Builtin().Names() {
		switch keys := config.Builtin()[name].Keys; {
		case keys == nil, lines[name] != nil:
		case keys.JWKS != "":
			lines[name] = set
		case keys.In != nil:
			lines[name] = func(url string) []string {
				return []string{strings.Join([]string{"keys list", url, keys.In.List, keys.In.ID, keys.In.Key}, " ")}
			}
		case keys.X509 != nil:
			lines[name] = func(url string) []string {
				roots := ownCertificate(t, key, keys.X509.Names[0])
				return []string{"keys x509 " + keys.X509.URL.String() + " " + url + "/*.pem name " + keys.X509.Names[0] + " roots " + roots}
			}
		case keys.X5C != nil: // nothing is fetched: each token brings its certificates along
		default:
			t.Errorf("%s: `send --serve-keys` is not tried with %+v", name, keys)
		}
	}
	for name, more := range map[string][]string{
		"aws-sns":                {"allow body TopicArn " + snsTopic},
		"azure-event-grid-entra": {"param tenant 72f988bf", "param audience api://hooks.example.com", "param application 4962773b"},
		"google-gemini-dynamic":  {"param audience my-project"},
		"google-pubsub":          {"param audience " + pushAudience, "param service_account " + pushAccount},
		"paypal":                 {"param webhook_id 4JH86294D6297924G"},
	} {
		base := lines[name]
		lines[name] = func(url string) []string { return append(base(url), more...) }
	}
	return lines
}

// ownCertificate makes a certificate of the key that it vouches for itself.
func ownCertificate(t *testing.T, key pair, name string) (file string) {
	t.Helper()
	own := &authority{certificate: &x509.Certificate{}, key: key.private.(*rsa.PrivateKey)}
	file = filepath.Join(t.TempDir(), "own.pem")
	certificate := own.signing(t, key, name, func(template *x509.Certificate) { *own.certificate = *template })
	if err := os.WriteFile(file, inPEM(certificate), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Whoever has no account with a sender tries a guard with keys that `send` makes and serves.
func TestSendServesTheKeysThatAGuardFetches(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	var routes strings.Builder
	key := newRSA(t, "", 2048)
	der, err := x509.MarshalPKCS8PrivateKey(key.private)
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	senders := servedKeys(t, key)
	for name, lines := range senders {
		url := fmt.Sprintf("http://127.0.0.1:%d/%s/keys", testbed.FreePort(t), name)
		routes.WriteString(route("", name, proxy(app), lines(url)...))
	}
	g := site{store: "memory", routes: routes.String()}.start(t)
	file := filepath.Join(t.TempDir(), "Caddyfile")
	if err := os.WriteFile(file, []byte(":80 {\n"+routes.String()+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("senders", func(t *testing.T) {
		for name := range senders {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				send := func(want string, flags ...string) {
					t.Helper()
					if keys := config.Builtin()[name].Keys; keys != nil && keys.X509 != nil {
						flags = append(flags, "--secret-file", private)
					}
					args := append([]string{"webhook-guard", "send", name, g.URL("/webhooks/" + name), "--config", file, "--serve-keys"}, flags...)
					out, err := testbed.RunCaddy(t, nil, args...)
					if err != nil || !strings.HasSuffix(out, want) {
						t.Errorf("send %v: %v, it printed\n%s", flags, err, out)
					}
				}
				send("200 forwarded\n200 duplicate\n", "--repeat", "2")
				send("", "--forge") // of another pair, which the guard fetches as well
			})
		}
	})
	wantCalls(t, app, len(senders))
}

// A sender whose tokens bring their certificates along is played with a root of one's own,
// made as the documentation says.
func TestSendIssuesTheCertificatesThatTokensBring(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	dir := t.TempDir()
	for _, name := range []string{"root", "other"} {
		//nolint:gosec // a command of the documentation
		made := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
			"-keyout", name+".key", "-out", name+".pem", "-subj", "/CN=root of a test")
		made.Dir = dir
		if out, err := made.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	roots := "keys roots " + filepath.Join(dir, "root.pem")
	senders := map[string][]string{
		"apple-app-store":         {"param bundle_id com.example", "param app_apple_id 41234", roots},
		"apple-app-store-sandbox": {"param bundle_id com.example", roots},
	}
	routes := ""
	for name, lines := range senders {
		routes += route("", name, proxy(app), lines...)
	}
	g := site{store: "memory", routes: routes}.start(t)
	file := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(file, []byte(":80 {\n"+routes+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range senders {
		send := func(key string, flags ...string) (string, error) {
			args := append([]string{"webhook-guard", "send", name, g.URL("/webhooks/" + name), "--config", file, "--secret-file", filepath.Join(dir, key)}, flags...)
			return testbed.RunCaddy(t, nil, args...)
		}
		if out, err := send("root.key", "--repeat", "2"); err != nil || !strings.HasSuffix(out, "200 forwarded\n200 duplicate\n") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		if out, err := send("root.key", "--forge"); err != nil || !strings.Contains(out, "401 signature_invalid") {
			t.Errorf("%s: with another key than the first certificate's: %v\n%s", name, err, out)
		}
		if out, err := send("other.key"); err == nil || !strings.Contains(out, "no certificate of the roots is of the key that signs") {
			t.Errorf("%s: with another root's key: %v\n%s", name, err, out)
		}
	}
	wantCalls(t, app, len(senders))
}
