package explain

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"maps"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// How a secret gets its mistakes: what the sender has, and what is given here.
func TestMistakesWithStoredSecrets(t *testing.T) {
	const text = canarySecret
	utf16LE := "\xff\xfe"
	for _, unit := range utf16.Encode([]rune(text + "\r\n")) {
		utf16LE = string(binary.LittleEndian.AppendUint16([]byte(utf16LE), unit))
	}
	for _, c := range []struct{ cause, given string }{
		{"secret_bom", "\xef\xbb\xbf" + text},
		{"secret_bom", "\xef\xbb\xbf" + text + "\n"},
		{"secret_bom", utf16LE},
		{"secret_escapes", text + `\n`},
		{"secret_escapes", text + `\r\n`},
		{"secret_escapes", text + `\n` + "\n"},
		{"secret_assignment", "export HOOK_SECRET=" + text},
		{"secret_assignment", "export HOOK_SECRET=" + text + "\n"},
		{"secret_assignment", `export HOOK_SECRET="` + text + `"`},
		{"secret_assignment", `HOOK_SECRET='` + text + `'`},
		{"secret_assignment", `HOOK_SECRET: ` + text},
		{"secret_assignment", `"HOOK_SECRET": "` + text + `",`},
		{"secret_assignment", `set HOOK_SECRET=` + text},
		{"secret_assignment", "PORT=80\nHOOK_SECRET=" + text + "\n"},
		{"secret_assignment", `$env:HOOK_SECRET = "` + text + `"`},
	} {
		for _, name := range []string{"struktr", "stripe", "github", "shopify"} {
			p := builtin(t, name)
			r := signedBy(t, p, text, aRequest(aBody))
			wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: c.given, Request: r}), c.cause)
		}
	}
	// A secret of several lines, as public keys are.
	p := builtin(t, "github")
	r := signedBy(t, p, "line one\nline two", aRequest(aBody))
	wantCauses(t, explain(t, Input{Name: "github", Provider: p, Secret: `line one\nline two`, Request: r}), "secret_escapes")
}

// The test button of Zendesk signs with a secret that its documentation prints.
func TestZendesksTestSecret(t *testing.T) {
	p := builtin(t, "zendesk")
	r := signedBy(t, p, "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==", aRequest(aBody))
	report := explain(t, Input{Name: "zendesk", Provider: p, Secret: canarySecret, Request: r})
	wantCauses(t, report, "secret_test")
	if strings.Contains(report.Causes[0].Why+report.Causes[0].Do, "dGhpc19") {
		t.Error("the report prints the secret")
	}
}

// formRequest is a form that a sender signs as it is sent.
func formRequest(body string) signature.Request {
	r := aRequest([]byte(body))
	r.Header = maps.Clone(r.Header)
	r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded; charset=utf-8"}
	return r
}

// A form that a framework has parsed and written anew.
func TestMistakesWithForms(t *testing.T) {
	const asSent = "token=" + canary + "&text=a+b%2Fc~d*e%27%28f%29&command=%2Fdeploy&empty="
	for _, c := range []struct{ name, captured, cause string }{
		{"%20 for +", strings.ReplaceAll(asSent, "+", "%20"), "body_form_escapes"},
		{"lower case", strings.NewReplacer("%2F", "%2f").Replace(asSent), "body_form_escapes"},
		{"sorted", "command=%2Fdeploy&empty=&text=a+b%2Fc~d*e%27%28f%29&token=" + canary, "body_form_order"},
		{"an & at the end", asSent + "&", "body_form_order"},
	} {
		for _, name := range []string{"slack", "github"} {
			p := builtin(t, name)
			r := signedBy(t, p, canarySecret, formRequest(asSent))
			r.Body = []byte(c.captured)
			t.Run(c.name, func(t *testing.T) {
				wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), c.cause)
			})
		}
	}
	for _, encoded := range []string{"text=a+b%2Fc%7Ed*e", "text=a+b%2Fc~d%2Ae", "text=a%20b%2Fc~d*e", "text=a%20b%2fc~d%2ae"} {
		p := builtin(t, "slack")
		r := signedBy(t, p, canarySecret, formRequest(encoded))
		for _, captured := range []string{"text=a+b%2Fc~d%2Ae", "text=a+b%2Fc%7Ed*e"} {
			if r.Body = []byte(captured); captured != encoded {
				wantCauses(t, explain(t, Input{Name: "slack", Provider: p, Secret: canarySecret, Request: r}), "body_form_escapes")
			}
		}
	}
}

// Some senders put JSON into a form and sign only that; GitHub signs the form.
func TestJSONInAForm(t *testing.T) {
	for name, c := range map[string]struct{ signed, captured signature.Request }{
		"hookdeck": {aRequest(aBody), formRequest("payload=" + url.QueryEscape(string(aBody)))},
		"github":   {formRequest("payload=" + url.QueryEscape(string(aBody))), aRequest(aBody)},
	} {
		p := builtin(t, name)
		r := signedBy(t, p, canarySecret, c.signed)
		r.Body = c.captured.Body
		if name == "hookdeck" {
			r.Header["Content-Type"] = c.captured.Header["Content-Type"]
		}
		wantCauses(t, explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r}), "body_form")
	}
}

// A body that was written as the text of a string.
func TestEscapedBodies(t *testing.T) {
	p := builtin(t, "struktr")
	encoded, err := json.Marshal(string(aBody))
	if err != nil {
		t.Fatal(err)
	}
	for _, captured := range []string{string(encoded), strings.Trim(string(encoded), `"`)} {
		r := signedBy(t, p, canarySecret, aRequest(aBody))
		r.Body = []byte(captured)
		wantCauses(t, explain(t, Input{Name: "struktr", Provider: p, Secret: canarySecret, Request: r}), "body_escaped")
	}
	r := signedBy(t, p, canarySecret, aRequest(aBody))
	r.Body = []byte(string(aBody) + `\n`)
	wantCauses(t, explain(t, Input{Name: "struktr", Provider: p, Secret: canarySecret, Request: r}), "body_newline_added")
}

// A URL that something between the sender and the capture has written anew.
func TestMistakesWithRewrittenURLs(t *testing.T) {
	signed := func(path, query string) signature.Request {
		r := formRequest("A=1&B=2")
		r.Path, r.Query = path, query
		return r
	}
	for _, c := range []struct {
		name   string
		signed signature.Request
		change func(r *signature.Request)
		want   []string
	}{
		{"sorted", signed("/in", "b=2&a=1&c=3&e=5&d=4"), func(r *signature.Request) { r.Query = "a=1&b=2&c=3&d=4&e=5" }, nil},
		{"another order", signed("/in", "b=2&d=4&c=3&a=1"), func(r *signature.Request) { r.Query = "c=3&a=1&b=2&d=4" }, []string{"url_query_order"}},
		{"turned round", signed("/in", "b=2&a=1"), func(r *signature.Request) { r.Query = "a=1&b=2" }, []string{"url_query_order"}},
		{"sorted when signed", signed("/in", "a=1&b=2&c=3&d=4&e=5"), func(r *signature.Request) { r.Query = "b=2&a=1&c=3&e=5&d=4" }, []string{"url_query_order"}},
		{"%20 for +", signed("/in", "a=1+2"), func(r *signature.Request) { r.Query = "a=1%202" }, []string{"url_escapes"}},
		{"+ for %20", signed("/in", "a=1%202"), func(r *signature.Request) { r.Query = "a=1+2" }, []string{"url_escapes"}},
		{"escapes in lower case", signed("/in", "a=1%2F2"), func(r *signature.Request) { r.Query = "a=1%2f2" }, []string{"url_escapes"}},
		{"escapes in upper case", signed("/in", "a=1%2f2"), func(r *signature.Request) { r.Query = "a=1%2F2" }, []string{"url_escapes"}},
		{"escapes of the path", signed("/in%2fa", "a=1"), func(r *signature.Request) { r.Path = "/in%2Fa" }, []string{"url_escapes"}},
		{"what is escaped", signed("/in", "a=~x'"), func(r *signature.Request) { r.Query = "a=~x%27" }, []string{"url_escapes"}},
		{"Forwarded", signed("/in", "a=1"), func(r *signature.Request) {
			r.Header["Forwarded"] = []string{`for=192.0.2.43; proto=https; host="hooks.example.com", for=10.0.0.1`}
			r.Scheme, r.Host = "http", "127.0.0.1:5000"
		}, []string{"url_scheme", "url_host"}},
		{"a prefix in a header", signed("/outer/in", "a=1"), func(r *signature.Request) {
			r.Header["X-Forwarded-Prefix"], r.Path = []string{"/outer/"}, "/in"
		}, []string{"url_prefix"}},
		{"a whole path in a header", signed("/outer/in", "a=1"), func(r *signature.Request) {
			r.Header["X-Original-Uri"], r.Path = []string{"/outer/in?a=1"}, "/x"
		}, []string{"url_prefix"}},
		{"a usual prefix", signed("/webhooks/in", "a=1"), func(r *signature.Request) { r.Path = "/in" }, []string{"url_prefix"}},
		{"two parts more", signed("/in/x", "a=1"), func(r *signature.Request) { r.Path = "/a/b/in/x" }, []string{"url_path"}},
		{"credentials", func() signature.Request {
			r := signed("/in", "a=1")
			r.Credentials = "user:" + canarySecret
			return r
		}(), func(r *signature.Request) {
			r.Credentials = ""
			r.Header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte("user:"+canarySecret))}
		}, []string{"url_credentials"}},
	} {
		for _, name := range []string{"hubspot-v3", "twilio", "square", "mandrill"} {
			if name == "hubspot-v3" && len(c.want) > 0 && c.want[0] == "url_escapes" {
				continue // decodes most of them itself
			}
			t.Run(c.name+"/"+name, func(t *testing.T) {
				p := builtin(t, name)
				request := c.signed
				if name == "square" || name == "hubspot-v3" {
					request.Body = aBody // JSON, as they send it
				}
				r := signedBy(t, p, canarySecret, request)
				c.change(&r)
				report := explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: r})
				if c.want == nil {
					if report.Verified {
						t.Error("another order verified")
					}
					return // more fields than can be put in every order
				}
				wantCauses(t, report, c.want...)
			})
		}
	}
}
