package config

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Apple's root is the one that Apple publishes, and every other one that comes with the guard
// is named here too.
func TestRootsAreGenuine(t *testing.T) {
	fingerprints := map[string]string{
		// https://www.apple.com/certificateauthority/AppleRootCA-G3.cer
		"apple-root-ca-g3.pem": "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179",
	}
	files, err := rootFiles.ReadDir("roots")
	if err != nil || len(files) != len(fingerprints) {
		t.Fatalf("%d roots, %v", len(files), err)
	}
	for _, file := range files {
		text, err := rootFiles.ReadFile("roots/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode(text)
		if block == nil || len(rest) > 0 {
			t.Fatalf("%s is not one certificate in PEM", file.Name())
		}
		sum := sha256.Sum256(block.Bytes)
		if got := hex.EncodeToString(sum[:]); got != fingerprints[file.Name()] {
			t.Errorf("%s has the fingerprint %s", file.Name(), got)
		}
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil || root.CheckSignatureFrom(root) != nil {
			t.Errorf("%s: %v", file.Name(), err)
		}
	}
}

func parseLine(line string) (Provider, error) {
	d := caddyfile.NewTestDispenser(line)
	d.Next()
	var p Provider
	err := p.ParseLine(d)
	return p, err
}

func TestTheLineKeysX5C(t *testing.T) {
	for line, want := range map[string]string{
		"keys x5c":                      "write keys jwks",
		"keys x5c root.pem leaf":        "write keys jwks",
		"keys x5c root.pem mark 1.2":    "write keys jwks",
		"keys x5c r leaf 1.2 leaf 1.3":  "one after intermediate",
		"keys x5c r leaf apple":         "is not an OID",
		"keys x5c r leaf 1":             "is not an OID",
		"keys x5c r leaf 1..2":          "is not an OID",
		"keys x5c r leaf 1.02":          "is not an OID",
		"keys x5c r leaf 1.-2":          "is not an OID",
		"keys x5c r leaf 1.99999999999": "is not an OID",
	} {
		if _, err := parseLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, line := range []string{"keys x5c apple-root-ca-g3", "keys x5c /etc/root.pem leaf 1.2.3", "keys x5c /etc/root.pem leaf 1.2.3 intermediate 1.2.4"} {
		p, err := parseLine(line)
		if got := strings.TrimSpace(p.Lines("")); err != nil || got != line {
			t.Errorf("%s: %v, written as %s", line, err, got)
		}
	}
}

// Who names another root means the same kind of certificates.
func TestAnotherRootKeepsTheMarks(t *testing.T) {
	base := Builtin()["apple-app-store"]
	own := Provider{Keys: &KeySource{X5C: &X5C{Root: "/etc/root.pem"}}}.Over(base)
	if own.Keys.X5C.Root != "/etc/root.pem" || own.Keys.X5C.Leaf != base.Keys.X5C.Leaf || own.Keys.X5C.Intermediate != base.Keys.X5C.Intermediate || own.Keys.X5C.Leaf == "" {
		t.Errorf("%+v", own.Keys.X5C)
	}
	file := Provider{Keys: &KeySource{Roots: "/etc/root.pem"}}.Over(base)
	if file.Keys.Roots != "/etc/root.pem" || file.Keys.X5C.Leaf != base.Keys.X5C.Leaf {
		t.Errorf("%+v", file.Keys)
	}
	marked := Provider{Keys: &KeySource{X5C: &X5C{Root: "/etc/root.pem", Leaf: "1.2.3"}}}.Over(base)
	if marked.Keys.X5C.Leaf != "1.2.3" || marked.Keys.X5C.Intermediate != "" {
		t.Errorf("%+v", marked.Keys.X5C)
	}
}

func TestX5CNeedsATokenWithATime(t *testing.T) {
	x5c := &KeySource{X5C: &X5C{Root: "apple-root-ca-g3"}}
	fetched := &KeySource{X5C: &X5C{Root: "apple-root-ca-g3"}, JWKS: "https://keys.example"}
	for name, p := range map[string]Provider{
		"no token": Provider{Keys: x5c}.Over(Builtin()["fal"]),
		"no time":  Provider{Keys: x5c}.Over(Builtin()["kinde"]),
		"a URL":    Provider{Keys: fetched}.Over(Builtin()["apple-app-store"].WithParams()),
		"a ca":     Provider{Keys: &KeySource{X5C: &X5C{Root: "apple-root-ca-g3"}, CA: "ca.pem"}}.Over(Builtin()["apple-app-store"].WithParams()),
		"no key":   {Token: "bearer", Keys: x5c},
	} {
		if _, err := p.Resolve(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Builtin()["apple-app-store"].WithParams().Resolve(); err != nil {
		t.Error(err)
	}
	for _, root := range []string{"", "apple-root-ca-g2", "../roots/apple-root-ca-g3", filepath.Join(t.TempDir(), "none.pem"), "x5c_test.go"} {
		if _, err := (&KeySource{X5C: &X5C{Root: root}}).Key(); err == nil {
			t.Errorf("root %q is accepted", root)
		}
	}
}

func TestTheLineClaim(t *testing.T) {
	for line, want := range map[string]string{
		"claim a":              "write claim",
		"claim a or b":         "write claim",
		"claim a b c":          "write claim",
		"claim a b or":         "write claim",
		"claim a b unless":     "write claim",
		"claim a b unless c d": "write claim",
		"claim a b prefix c":   "write claim",
	} {
		if _, err := parseLine(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, line := range []string{
		"claim a b", "claim a b optional", "claim a {body} with_body", "claim a or b or c d", "claim a b or c", "claim a or b c or d unless e", "claim a b prefix", "claim a b not_prefix",
	} {
		p, err := parseLine(line)
		if got := strings.TrimSpace(p.Lines("")); err != nil || got != line {
			t.Errorf("%s: %v, written as %s", line, err, got)
		}
	}
	claim, err := parseLine("claim appid or azp {param.a} or {param.b}")
	if err != nil || !slices.Equal(claim.MissingParams(), []string{"a", "b"}) {
		t.Errorf("%v, params %v", err, claim.MissingParams())
	}
}
