package caddymodule

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

// What `providers <name>` prints is pasted into a Caddyfile, and loads; and so
// does the block that docs/providers.md has for a site.
func TestProvidersPasteAndLoad(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			e, err := handbook.Sum(name, config.Builtin()[name])
			if err != nil {
				t.Fatal(err)
			}
			block, err := handbook.Block(name)
			if err != nil {
				t.Fatal(err)
			}
			loadPasted(t, e, block, "webhook_guard "+name+"-custom {\n"+siteLines(t, e)+"}\n")
			site := handbook.Site(e)
			for _, match := range placeholderEnv.FindAllStringSubmatch(site, -1) {
				t.Setenv(match[1], secretFor(t, e))
			}
			loadPasted(t, e, "", site)
		})
	}
}

var placeholderEnv = regexp.MustCompile(`\{env\.([A-Z0-9_]+)\}`)

// yours is a value that the reader of a block has to replace: it does not load as it is.
var yours = regexp.MustCompile(`(?m)^(\s*(?:param|allow) .*)<[^<>]+>$`)

// loadPasted validates a Caddyfile with lines in the global option and in a site.
func loadPasted(t *testing.T, e handbook.Entry, global, site string) {
	t.Helper()
	global, site = yours.ReplaceAllString(global, "${1}mine"), yours.ReplaceAllString(site, "${1}mine")
	text := "{\nadmin off\n" + servers(e) + "webhook_guard {\nstore memory\n" + global + "}\n}\n:0 {\n" + site + "respond ok\n}\n"
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	var cfg caddy.Config
	if err := json.Unmarshal(adapted, &cfg); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&cfg); err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
}

// servers lets headers through whose names Caddy drops otherwise.
func servers(e handbook.Entry) string {
	if !strings.Contains(e.SignatureHeader, ".") || strings.Contains(e.SignatureHeader, " ") {
		return ""
	}
	return "servers {\nexpected_dot_headers " + e.SignatureHeader + " " + strings.Fields(e.Timestamp)[1] + "\n}\n"
}

// siteLines are what a site has to say beside the provider's own lines.
func siteLines(t testing.TB, e handbook.Entry) string {
	switch e.Kind {
	case config.KindAsymmetric:
		return "public_key " + secretFor(t, e) + "\n"
	case config.KindUnsigned:
		return "token query token\nsecret " + secretFor(t, e) + "\n"
	}
	return "secret " + secretFor(t, e) + "\n"
}

// secretFor is good for every encoding: hex, which is base64 and text too.
func secretFor(t testing.TB, e handbook.Entry) string {
	t.Helper()
	if e.Kind == config.KindAsymmetric {
		return publicKeyFor(t, e.Algorithm)
	}
	return "44782def547aaa06c910c43932b1eb0c"
}

// publicKeyFor is some key of the algorithm's kind, in base64.
func publicKeyFor(t testing.TB, algorithm string) string {
	t.Helper()
	var public any
	switch kind, _, _ := strings.Cut(algorithm, "-"); kind {
	case "ed25519":
		public, _, _ = ed25519.GenerateKey(rand.Reader)
	case "ecdsa":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public = key.Public()
	default:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		public = key.Public()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}
