package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// servedKeys are the lines with which a guard of a sender fetches its keys from a URL, for
// each sender whose keys are fetched.
func servedKeys(t *testing.T) map[string]func(url string) []string {
	t.Helper()
	set := func(url string) []string { return []string{"keys jwks " + url} }
	lines := map[string]func(string) []string{"fusionauth": set, "kinde": set} // whose users name the URL
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
		case keys.X509 != nil: // the certificate has an issuer that the guard knows
		default:
			t.Errorf("%s: `send --serve-keys` is not tried with %+v", name, keys)
		}
	}
	lines["google-pubsub"] = func(url string) []string {
		return append(set(url), "param audience "+pushAudience, "param service_account "+pushAccount)
	}
	return lines
}

// Whoever has no account with a sender tries a guard with keys that `send` makes and serves.
func TestSendServesTheKeysThatAGuardFetches(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	var routes strings.Builder
	senders := servedKeys(t)
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
