package explain

import (
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// One mistake with the URL: what is captured of https://hooks.example.com/in/hook?a=1%2F2.
func TestMistakesWithTheURL(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *signature.Request)
		want   []string
	}{
		{"http", func(r *signature.Request) { r.Scheme = "http" }, []string{"url_scheme"}},
		{"a port", func(r *signature.Request) { r.Host += ":8443" }, []string{"url_port"}},
		{"a slash", func(r *signature.Request) { r.Path += "/" }, []string{"url_slash"}},
		{"a path part more", func(r *signature.Request) { r.Path = "/proxy" + r.Path }, []string{"url_path"}},
		{"http and a port", func(r *signature.Request) { r.Scheme, r.Host = "http", r.Host+":8080" }, []string{"url_scheme", "url_port"}},
		{"behind a proxy", func(r *signature.Request) {
			r.Header = maps.Clone(r.Header)
			r.Header["X-Forwarded-Host"] = []string{r.Host}
			r.Scheme, r.Host = "http", "127.0.0.1:5000"
		}, []string{"url_scheme", "url_host"}},
	} {
		for _, name := range []string{"hubspot-v3", "twilio"} {
			if name == "twilio" && strings.Contains(c.name, "a port") {
				continue // its scheme tries ports itself
			}
			t.Run(c.name+"/"+name, func(t *testing.T) {
				p := builtin(t, name)
				r := aRequest(aBody)
				if name == "twilio" {
					r.Body, r.Header["Content-Type"] = []byte("A=1&B=2"), []string{"application/x-www-form-urlencoded"}
				}
				r = signedBy(t, p, canarySecret, r)
				c.change(&r)
				wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), c.want...)
			})
		}
	}
}

// What was signed is not what is captured, the other way round.
func TestSignedURLs(t *testing.T) {
	for _, c := range []struct {
		name   string
		signed func(r *signature.Request)
		want   []string
	}{
		{"without the query", func(r *signature.Request) { r.Query = "" }, []string{"url_query"}},
		{"with a slash", func(r *signature.Request) { r.Path += "/" }, []string{"url_slash"}},
		{"with another port", func(r *signature.Request) { r.Host += ":8080" }, []string{"url_port"}},
		{"in http, without the query", func(r *signature.Request) { r.Scheme, r.Query = "http", "" }, []string{"url_scheme", "url_query"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := builtin(t, "hubspot-v3")
			other := aRequest(aBody)
			c.signed(&other)
			r := aRequest(aBody)
			r.Header = signedBy(t, p, canarySecret, other).Header
			wantCauses(t, explain(t, Input{Name: "hubspot-v3", Provider: p, Secret: canarySecret, Request: r}), c.want...)
		})
	}
}

func TestPublicURL(t *testing.T) {
	p := builtin(t, "hubspot-v3")
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	r.Scheme, r.Host, r.Path = "http", "10.0.0.1", "/internal"
	for url, want := range map[string][]string{
		"https://hooks.example.com/in/hook?a=1%2F2":  nil,
		"http://hooks.example.com/in/hook?a=1%2F2":   {"url_scheme"},
		"https://hooks.example.com/in/hook/?a=1%2F2": {"url_slash"},
	} {
		p.PublicURL = url
		report := explain(t, Input{Name: "hubspot-v3", Provider: p, Secret: canarySecret, Request: r})
		if !slices.Equal(codes(report), want) || report.Verified != (want == nil) {
			t.Errorf("%s: %+v", url, report)
		}
	}
	p.PublicURL = "https://other.example.org/x"
	r = signedBy(t, builtin(t, "hubspot-v3"), canarySecret, aRequest(aBody))
	wantCauses(t, explain(t, Input{Name: "hubspot-v3", Provider: p, Secret: canarySecret, Request: r}), "url_public")
}

// The header is made with another algorithm, encoding or shape.
func TestMistakesWithTheScheme(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(s *signature.SignatureSpec)
		want   []string
	}{
		{"sha1", func(s *signature.SignatureSpec) { s.Algorithm = "sha1" }, []string{"algorithm"}},
		{"sha512", func(s *signature.SignatureSpec) { s.Algorithm = "sha512" }, []string{"algorithm"}},
		{"base64", func(s *signature.SignatureSpec) { s.Encoding = "base64" }, []string{"encoding"}},
		{"no prefix", func(s *signature.SignatureSpec) { s.Format = "{signature}" }, []string{"format"}},
		{"sha1, base64", func(s *signature.SignatureSpec) { s.Algorithm, s.Encoding = "sha1", "base64" }, []string{"algorithm", "encoding"}},
	} {
		for _, name := range []string{"github", "struktr", "docrouter"} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				p := builtin(t, name)
				other := p
				other.Signature = slices.Clone(p.Signature)
				c.change(&other.Signature[0])
				r := signedBy(t, other, canarySecret, aRequest(aBody))
				wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), c.want...)
			})
		}
	}
	p := builtin(t, "shopify") // base64, bare
	other := p
	other.Signature = []signature.SignatureSpec{{Header: p.Signature[0].Header}}
	r := signedBy(t, other, canarySecret, aRequest(aBody))
	wantCauses(t, explain(t, Input{Name: "shopify", Provider: p, Secret: canarySecret, Request: r}), "encoding")
}

func TestHeaderOfAnotherName(t *testing.T) {
	for _, name := range []string{"struktr", "shopify", "stripe", "slack"} {
		p := builtin(t, name)
		r := signedBy(t, p, canarySecret, aRequest(aBody))
		header := textproto.CanonicalMIMEHeaderKey(p.Signature[0].Header)
		r.Header["X-Proxied-Signature"] = r.Header[header]
		delete(r.Header, header)
		wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), "header_name")
	}
}

func TestHeaderSentTwice(t *testing.T) {
	p := builtin(t, "github")
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	header := "X-Hub-Signature-256"
	r.Header[header] = append(r.Header[header], "sha256=00")
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "header_repeated")
	r.Header[header] = []string{r.Header[header][0] + ", sha256=00"}
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "header_repeated")
}

func TestHeaderWrittenAnew(t *testing.T) {
	for _, name := range []string{"github", "struktr", "slack", "docrouter"} {
		p := builtin(t, name)
		header := textproto.CanonicalMIMEHeaderKey(p.Signature[0].Header)
		for cause, change := range map[string]func(string) string{
			"header_case":   strings.ToUpper,
			"header_quoted": func(value string) string { return `"` + value + `"` },
		} {
			r := signedBy(t, p, canarySecret, aRequest(aBody))
			r.Header[header] = []string{change(r.Header[header][0])}
			wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), cause)
		}
	}
	// Hex in capitals verifies.
	p := builtin(t, "github")
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	_, mac, _ := strings.Cut(r.Header["X-Hub-Signature-256"][0], "=")
	r.Header["X-Hub-Signature-256"] = []string{"sha256=" + strings.ToUpper(mac)}
	if report := explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}); !report.Verified {
		t.Errorf("%+v", report)
	}
}

func TestStampInAnotherUnit(t *testing.T) {
	for _, name := range []string{"docrouter", "slack", "stripe"} {
		p := builtin(t, name)
		r := signedBy(t, p, canarySecret, aRequest(aBody))
		header := "Stripe-Signature"
		if name != "stripe" {
			header = p.Timestamp.Source.Name
		}
		r.Header[header] = []string{strings.Replace(r.Header[header][0], "1764000000", "1764000000000", 1)}
		report := explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r})
		if !report.Named("stamp_milliseconds") || report.Verified {
			t.Errorf("%s: %q", name, codes(report))
		}
	}
	p := builtin(t, "hubspot-v3") // milliseconds
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	r.Header["X-Hubspot-Request-Timestamp"] = []string{"1764000000"}
	if report := explain(t, Input{Name: "hubspot-v3", Provider: p, Secret: canarySecret, Request: r}); !report.Named("stamp_seconds") {
		t.Errorf("%q", codes(report))
	}
}

// The stamp is signed as it is sent, but in another unit than the lines say.
func TestStampFormat(t *testing.T) {
	for _, c := range []struct{ name, sends, words string }{
		{"docrouter", "unix_ms", "milliseconds"}, {"slack", "rfc3339", "RFC 3339"}, {"hubspot-v3", "unix", "seconds"}, {"stripe", "unix_ms", "milliseconds"},
	} {
		p := builtin(t, c.name)
		r := signedBy(t, mistake.StampFormat(p, c.sends), canarySecret, aRequest(aBody))
		report := explain(t, Input{Name: c.name, Provider: p, Secret: canarySecret, Request: r})
		wantCauses(t, report, "stamp_format")
		if !strings.Contains(report.Causes[0].Why, c.words) {
			t.Errorf("%s: %q", c.name, report.Causes[0].Why)
		}
	}
}

func TestAnotherSender(t *testing.T) {
	for _, name := range signers {
		signer := builtin(t, name)
		for _, asked := range []string{"struktr", "stripe", "okrapdf"} {
			if asked == name || asked == "okrapdf" {
				continue
			}
			t.Run(name+" for "+asked, func(t *testing.T) {
				r := signedBy(t, signer, secretFor(signer), aRequest(aBody))
				report := explain(t, Input{Name: asked, Provider: builtin(t, asked), Secret: secretFor(signer), Request: r})
				if !slices.Contains(report.Senders, name) || !report.Named("other_sender") {
					t.Errorf("%+v", report)
				}
			})
		}
	}
}

// Two mistakes at once.
func TestPairs(t *testing.T) {
	for _, c := range []struct {
		provider string
		given    string
		change   func(r *signature.Request)
		want     []string
	}{
		{"github", canarySecret + "\n", func(r *signature.Request) { r.Body = withEnd(r.Body, "\n") }, []string{"secret_space", "body_newline_added"}},
		{"github", "whsec_" + canarySecret, func(r *signature.Request) { r.Body = []byte(strings.ReplaceAll(string(r.Body), `":`, `": `)) },
			[]string{"secret_prefix_left_on", "body_reserialized"}},
		{"hubspot-v3", canarySecret + " ", func(r *signature.Request) { r.Scheme = "http" }, []string{"secret_space", "url_scheme"}},
		{"hubspot-v3", canarySecret, func(r *signature.Request) { r.Scheme = "http"; r.Body = withEnd(r.Body, "\n") }, []string{"body_newline_added", "url_scheme"}},
		{"struktr", `"` + canarySecret + `"`, func(r *signature.Request) {
			r.Header["X-Signature"] = r.Header["X-Struktr-Signature"]
			delete(r.Header, "X-Struktr-Signature")
		}, []string{"secret_quoted", "header_name"}},
	} {
		t.Run(strings.Join(c.want, " and "), func(t *testing.T) {
			p := builtin(t, c.provider)
			r := aRequest([]byte(`{"a":"` + canary + `","timestamp":"2025-11-24T16:00:00Z","b":1}`))
			r = signedBy(t, p, canarySecret, r)
			c.change(&r)
			wantCauses(t, explain(t, Input{Name: c.provider, Provider: p, Secret: c.given, Request: r}), c.want...)
		})
	}
}

// A body may be pretty-printed and end in a newline.
func TestReserializedWithANewline(t *testing.T) {
	p := builtin(t, "github")
	r := signedBy(t, p, canarySecret, aRequest([]byte("{\n  \"a\": 1\n}\n")))
	r.Body = []byte(`{"a":1}`)
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "body_newline_missing", "body_reserialized")
}

// A cut body is recognised by its length.
func TestCutBody(t *testing.T) {
	p := builtin(t, "github")
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	r.Header["Content-Length"] = []string{strconv.Itoa(len(aBody))}
	r.Body = aBody[:len(aBody)-10]
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "body_length")
}

// A wrong secret has no cause.
func TestWrongSecret(t *testing.T) {
	for _, name := range signers {
		p := builtin(t, name)
		other := "another secret"
		if !textSecret(p) {
			other = "YW5vdGhlciBzZWNyZXQ="
		}
		r := signedBy(t, p, other, aRequest(aBody))
		report := explain(t, Input{Name: name, Provider: p, Secret: secretFor(p), Request: r})
		wantCauses(t, report)
		if report.Explained() || len(report.Senders) > 0 || report.Tried < 1000 {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// A body of megabytes is explained in bounded time.
func TestLargeBody(t *testing.T) {
	p := builtin(t, "github")
	body := []byte(`{"a":"` + strings.Repeat("x", 3<<20) + `"}`)
	r := signedBy(t, p, canarySecret, aRequest(body))
	r.Body = withEnd(body, "\n")
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}), "body_newline_added")
	r.Body = withEnd(body, "xyz")
	if report := explain(t, Input{Name: "github", Provider: p, Secret: canarySecret, Request: r}); !report.CutShort || report.Explained() {
		t.Errorf("%+v", report)
	}
}
