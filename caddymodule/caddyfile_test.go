package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/map"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/rewrite"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

var update = flag.Bool("update", false, "write the golden files of testdata anew")

// A file of testdata/adapt is a Caddyfile, a line of ten dashes, and the JSON
// that it becomes, or else a text that the error must hold, whether it comes from
// the adapter or when the configuration is loaded.
func TestAdapt(t *testing.T) {
	t.Setenv("GUARD_SECRET", "a secret")
	t.Setenv("INBOX_KEY", strings.Repeat("0", 64))
	t.Setenv("GUARD_BASE64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source, want, ok := strings.Cut(string(text), "\n----------\n")
			if !ok {
				t.Fatal("there is no line of ten dashes")
			}
			want = strings.TrimSpace(want)
			adapted, err := adapt(source + "\n")
			if err == nil {
				err = validate(adapted)
			}
			switch {
			case !strings.HasPrefix(want, "{") && want != "":
				wantText(t, err, want)
			case err != nil:
				t.Fatal(err)
			case *update:
				if err := os.WriteFile(file, []byte(source+"\n----------\n"+adapted+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			case adapted != want:
				t.Errorf("got\n%s\nwant\n%s", adapted, want)
			}
		})
	}
}

// adapt turns a Caddyfile into JSON. What Caddy warns of is an error, but for
// the form of the text.
func adapt(source string) (string, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(source), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var pretty bytes.Buffer
	err = json.Indent(&pretty, adapted, "", "\t")
	return pretty.String(), err
}

// validate loads a configuration as far as that goes without starting it.
func validate(adapted string) error {
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(adapted), &cfg); err != nil {
		return err
	}
	return caddy.Validate(&cfg)
}

// Every line of a provider is taken in a guard's block and in one of the global
// options alike.
func TestAProvidersLinesAreThoseOfAGuard(t *testing.T) {
	const lines = `
	signature X-A sha512 base64 v1,{signature} split " "
	signed {timestamp}.{body}
	timestamp header X-At unix per_event
	id header X-Id body a.b
	success 2xx 404
	in_flight reject
`
	guard := new(Guard)
	if err := guard.UnmarshalCaddyfile(caddyfile.NewTestDispenser("webhook_guard acme {" + lines + "}")); err != nil {
		t.Fatal(err)
	}
	app := new(App)
	if err := app.unmarshal(caddyfile.NewTestDispenser("webhook_guard {\nprovider acme {" + lines + "}\n}")); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(guard.Provider, app.Providers["acme"]) || reflect.DeepEqual(guard.Provider, config.Provider{}) {
		t.Errorf("the guard has %+v, the app %+v", guard.Provider, app.Providers["acme"])
	}
}

// An error of a secret's line shows neither the secret nor what is next to it.
func TestASecretsLineNeverShowsItsValue(t *testing.T) {
	for _, line := range []string{
		"secret c4n4ry of mine", "secret c4n4ry until c4n4ry", "secret c4n4ry per_requests", "secret c4n4ry until 2026-01-01T00:00:00Z x",
		"secret c4n4ry until", "secret c4n4ry per_request until 2026-01-01T00:00:00Z",
	} {
		err := new(Guard).UnmarshalCaddyfile(caddyfile.NewTestDispenser("webhook_guard struktr {\n" + line + "\n}"))
		wantText(t, err, "secret:")
		if strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: %v", line, err)
		}
	}
}
