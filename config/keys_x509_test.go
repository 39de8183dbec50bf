package config

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func certificates(t *testing.T, c Certificates) *Certificates {
	t.Helper()
	made, err := c.resolve()
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// A star stands for one label or segment, and for nothing that a URL means something by.
func TestURLPatterns(t *testing.T) {
	c := certificates(t, Certificates{
		URL:     signature.Source{Kind: signature.SourceHeader, Name: "U"},
		Allowed: []string{"https://certs.*.example.com/*.pem", "https://a-*.example.com/v1/*/x", "http://127.0.0.1:8080/*"},
		Names:   []string{"signing.example.com", "s-*.example.com"},
		Issuers: []string{"http://ca.example.net/*.crt"},
	})
	for url, want := range map[string]bool{
		"https://certs.eu-1.example.com/a.pem":                             true,
		"https://certs.e.example.com/A_b-9.pem":                            true,
		"https://a-b.example.com/v1/z/x":                                   true,
		"http://127.0.0.1:8080/x":                                          true,
		"https://certs.eu-1.example.com/a.pem\n":                           false,
		"https://certs.EU.example.com/a.pem":                               false,
		"https://certs.-e.example.com/a.pem":                               false,
		"https://certs.e-.example.com/a.pem":                               false,
		"https://certs.a.b.example.com/a.pem":                              false,
		"https://certs..example.com/a.pem":                                 false,
		"https://certs.a@b.example.com/a.pem":                              false,
		"https://certs.a/b.example.com/a.pem":                              false,
		"https://certs.e.example.com/a/b.pem":                              false,
		"https://certs.e.example.com/.pem":                                 false,
		"https://certs.e.example.com/a.b.pem":                              false,
		"https://certs.e.example.com/a%2e.pem":                             false,
		"https://certs.e.example.com/a.pem?x":                              false,
		"https://certs.exexample.com/a.pem":                                false,
		"https://certs.e.example.comx/a.pem":                               false,
		"https://certs.e.example.com:443/a.pem":                            false,
		"http://certs.e.example.com/a.pem":                                 false,
		"http://127.0.0.1:8081/x":                                          false,
		"http://127.0.0.1:8080/x/y":                                        false,
		"xhttps://certs.e.example.com/a.pem":                               false,
		"https://a-b.example.com/v1/../x":                                  false,
		"https://certs.e.example.com/" + strings.Repeat("a", 129) + ".pem": false,
		"": false,
	} {
		if got := c.Allows(url); got != want {
			t.Errorf("%s: %t", url, got)
		}
	}
	for name, want := range map[string]bool{
		"signing.example.com": true, "s-a.example.com": true, "s-.example.com": false, "x.signing.example.com": false, "signing.example.com.evil.com": false,
		"*.example.com": false, "signing.example.com\x00": false, "": false, "SIGNING.example.com": false,
	} {
		if got := c.Named(name); got != want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if !c.IsIssuer("http://ca.example.net/a.crt") || c.IsIssuer("http://ca.example.net/a.crt?x") || c.IsIssuer("file:///a.crt") {
		t.Error("the URLs of issuers")
	}
}

func TestPatternsThatSayTooLittle(t *testing.T) {
	for _, bad := range []string{
		"", "*", "https://", "https://*/x.pem", "https://*.com/x.pem", "https://x.*/x.pem", "https://example.*.com.*/x", "https://com/x.pem", "https://certs.example.com",
		"https://user@certs.example.com/*.pem", "https://certs.example.com:8443/*.pem", "https://Certs.example.com/*.pem", "http://certs.example.com/*.pem",
		"ftp://certs.example.com/*.pem", "https://certs.example.com/../*.pem", "https://certs.example.com//*.pem", "https://certs.example.com/*.pem?x=*", "https://certs.example.com/*.pem#x",
		"https://certs.example.com/{x}.pem", `https://certs.example.com\@evil.com/*.pem`, "https://certs..example.com/x.pem", "https://.example.com/x.pem", "https://certs.example.com/%2e.pem",
		"http://127.0.0.1.evil.com/*.pem", "http://localhost.evil.com/*.pem", "http://0.0.0.0/*.pem", "http://169.254.169.254/*.pem",
	} {
		c := Certificates{URL: signature.Source{Kind: signature.SourceHeader, Name: "U"}, Allowed: []string{bad}, Names: []string{"a.example.com"}}
		if _, err := c.resolve(); err == nil {
			t.Errorf("%q is a pattern", bad)
		}
	}
	for _, bad := range []string{"", "*", "*.com", "a.*", "com", "A.example.com", "a.example.com:443", "a..com", "https://a.example.com", "a_b.example.com"} {
		c := Certificates{URL: signature.Source{Kind: signature.SourceHeader, Name: "U"}, Allowed: []string{"https://a.example.com/*"}, Names: []string{bad}}
		if _, err := c.resolve(); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

// A guard's own line for files changes these, and leaves the rest as the entry has it; so does
// a line for other values that are allowed.
func TestFilesAreLaidOverTheEntrysKeys(t *testing.T) {
	base := Builtin()["aws-sns"]
	p := Provider{Keys: &KeySource{Roots: "r.pem"}, Allow: []signature.Allowed{{Source: signature.Source{Kind: signature.SourceBody, Name: "TopicArn"}, Values: []string{"t"}}}}.Over(base)
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	if rules.Keys.Roots != "r.pem" || rules.Keys.CA != "" || !rules.Keys.X509.Allows("https://sns.eu-west-1.amazonaws.com/x.pem") || base.Keys.Roots != "" || len(p.Allow) != 1 {
		t.Errorf("%+v, allow %v", rules.Keys, p.Allow)
	}
	other := Provider{Allow: []signature.Allowed{{Source: signature.Source{Kind: signature.SourceBody, Name: "Type"}, Values: []string{"Notification"}}}}.Over(base)
	if _, err := other.Resolve(); err == nil || !strings.HasPrefix(err.Error(), "allow: ") || !strings.Contains(err.Error(), "allow body TopicArn <value>") {
		t.Errorf("without topics: %v", err)
	}
	for name, keys := range map[string]*KeySource{
		"both":       {JWKS: "https://keys.example", X509: base.Keys.X509},
		"roots":      {JWKS: "https://keys.example", Roots: "r.pem"},
		"no name":    {X509: &Certificates{URL: base.Keys.X509.URL, Allowed: base.Keys.X509.Allowed}},
		"no pattern": {X509: &Certificates{URL: base.Keys.X509.URL, Names: base.Keys.X509.Names}},
	} {
		p.Keys = keys
		if _, err := p.Resolve(); err == nil || !strings.HasPrefix(err.Error(), "keys: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the line says is written as it was read.
func TestTheLineOfCertificatesIsWrittenAsRead(t *testing.T) {
	for _, name := range []string{"aws-sns", "paypal"} {
		p := Builtin()[name]
		again, err := ParseLines(name, []byte(p.Lines("")))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(again.Keys.Words(), " ") != strings.Join(p.Keys.Words(), " ") {
			t.Errorf("%q, want %q", again.Keys.Words(), p.Keys.Words())
		}
	}
}
