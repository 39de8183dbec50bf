package config

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// URLs that anyone on the way could answer for, or that lead elsewhere than they seem to,
// are refused.
func TestURLsOfKeysAreChecked(t *testing.T) {
	for _, bad := range []string{
		"http://keys.example/jwks", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/", "http://127.0.0.1@evil.example/", "http://[::1].evil.example/",
		"https://user:password@keys.example/", "https://www.googleapis.com@evil.example/", "https://keys.example/#x", "ftp://keys.example/", "keys.example/jwks", "https:///jwks",
		`https://keys.example\@evil.example/`, "file:///etc/passwd", "https://{host}/jwks", "//keys.example/jwks", "https:keys.example", "http://0.0.0.0/", "http://169.254.169.254/",
	} {
		p := Provider{Keys: &KeySource{JWKS: bad}}
		if _, err := p.Over(Builtin()["fal"]).Resolve(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	for _, good := range []string{"https://keys.example", "https://keys.example:8443/a/b?tenant=1", "http://127.0.0.1:1/jwks", "http://[::1]:1/jwks", "http://localhost/jwks"} {
		p := Provider{Keys: &KeySource{JWKS: good}}
		if _, err := p.Over(Builtin()["fal"]).Resolve(); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}

func TestKeysNeedSomethingThatTheyVerify(t *testing.T) {
	for name, p := range map[string]Provider{
		"a token":         {Token: "bearer"},
		"a shared secret": Builtin()["github"],
		"nothing at all":  {},
	} {
		p.Keys = &KeySource{JWKS: "https://keys.example"}
		if _, err := p.Resolve(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenTakesThePlaceOfKeys(t *testing.T) {
	p := Provider{Token: "bearer"}.Over(Builtin()["fal"])
	if _, err := p.Resolve(); err != nil || p.Keys != nil {
		t.Errorf("%v, keys %v", err, p.Keys)
	}
}

func TestTheLineKeys(t *testing.T) {
	for line, want := range map[string]string{
		"keys":                      "needs a value",
		"keys jwks":                 "write keys jwks <url>",
		"keys https://keys.example": "write keys jwks <url>",
		"keys jwks https://a.example jwks https://b.example":          "write keys jwks <url>",
		"keys ca a jwks https://keys.example":                         "write keys jwks <url>",
		"keys x509":                                                   "a source is missing",
		"keys x509 https://keys.example":                              "unknown source",
		"keys x509 query u https://keys.example/x.pem name a.example": "header <name> or body <path>, not in query u",
		"keys x509 header U":                                          "name the URLs that may be named: keys x509 header U https://<host>/*.pem name <name>",
		"keys x509 header U https://keys.example/*.pem":               "name whom the certificates are for",
		"keys x509 header U name a.example":                           "name the URLs",
		"keys jwks https://keys.example ca":                           "write keys jwks <url>",
		"keys jwks https://keys.example a b":                          "write keys jwks <url>",
		"keys jwks https://keys.example ca a b":                       "write keys jwks <url>",
		"keys jwks http://keys.example":                               "is not https",
		"keys list":                                                   "write keys jwks <url>",
		"keys list https://keys.example":                              "write keys jwks <url>",
		"keys list https://keys.example a b":                          "write keys jwks <url>",
		"keys list https://keys.example a b c d":                      "write keys jwks <url>",
		"keys list http://keys.example a b c":                         "is not https",
		"keys list ca a b c":                                          "is not a URL",
		"key_id":                                                      "needs a value",
		"key_id header":                                               "needs a name",
		"key_id header X-Key header X-Other":                          "write key_id <source>",
	} {
		var p Provider
		d := caddyfile.NewTestDispenser(line)
		d.Next()
		if err := p.ParseLine(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// A list needs the places of its keys, and a set has them by itself.
func TestListsSayWhereTheirKeysAre(t *testing.T) {
	in := &signature.KeyList{List: "public_keys", ID: "key_identifier", Key: "key"}
	for name, keys := range map[string]KeySource{
		"a list without places": {List: "https://keys.example"},
		"a set with places":     {JWKS: "https://keys.example", In: in},
		"both":                  {JWKS: "https://keys.example", List: "https://keys.example", In: in},
		"an empty place":        {List: "https://keys.example", In: &signature.KeyList{List: "a", ID: "b"}},
		"a place without a key": {List: "https://keys.example", In: &signature.KeyList{List: "a.", ID: "b", Key: "c"}},
		"another URL":           {List: "http://keys.example", In: in},
	} {
		p := Provider{Keys: &keys}
		if _, err := p.Over(Builtin()["fal"]).Resolve(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var p Provider
	d := caddyfile.NewTestDispenser("keys list https://keys.example public_keys key_identifier key ca ca.pem")
	d.Next()
	if err := p.ParseLine(d); err != nil || p.Keys.CA != "ca.pem" || *p.Keys.In != *in || strings.Join(p.Keys.Words(), " ") != "list https://keys.example public_keys key_identifier key ca ca.pem" {
		t.Errorf("%v, %+v", err, p.Keys)
	}
}
