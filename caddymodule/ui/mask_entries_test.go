package ui

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

const senderToken = "t0ken-of-this-sender"

// Nothing that a sender is known by is on the page: not in a header, a query or a body, as the
// sender writes it and as a guard reads it too.
func TestNoCredentialOfAnEntryIsShown(t *testing.T) {
	inBodies := 0
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			rules, r := genuine(t, name)
			m := newMask(config.Credentials(rules))
			for _, body := range spellings(t, r) {
				at := *r
				at.Header = http.Header{"Content-Type": {body.kind}}
				for header, values := range r.Header {
					if header != "Content-Type" {
						at.Header[header] = values
					}
				}
				at.Body = body.text
				page := onPage(m, &at)
				for _, secret := range credentials(config.Credentials(rules), &at) {
					if strings.Contains(page, secret) || strings.Contains(page, url.QueryEscape(secret)) {
						t.Errorf("%s is on the page: %s", secret, page)
					}
					if bytes.Contains(at.Body, []byte(secret)) || bytes.Contains(at.Body, []byte(url.QueryEscape(secret))) {
						inBodies++
					}
				}
			}
		})
	}
	if inBodies < 20 {
		t.Errorf("%d credentials were in bodies", inBodies)
	}
}

// genuine is the request of an entry's sender.
func genuine(t *testing.T, name string) (*config.Resolved, *signature.Request) {
	t.Helper()
	p := config.Builtin()[name].WithParams()
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	sample, err := config.NewSample(name, p, "", "0123456789abcdef", noon)
	if err != nil {
		t.Fatal(err)
	}
	r := &signature.Request{Method: "POST", Scheme: "https", Host: "hooks.example.com", Path: "/in", Query: "a=1", Header: map[string][]string{}, Body: sample.Body}
	for header, values := range sample.Header {
		r.Header[header] = values
	}
	r.Header["Content-Type"] = []string{sample.ContentType}
	if rules.Token != nil {
		putToken(t, p, rules.Token, r)
	}
	if !rules.Scheme.Signed() {
		return rules, r
	}
	if err := rules.Scheme.Sign(r, keyOf(t, p, rules.Scheme), noon, "0123456789abcdef"); err != nil {
		t.Fatal(err)
	}
	return rules, r
}

func keyOf(t *testing.T, p config.Provider, scheme *signature.Scheme) (key *signature.Key) {
	t.Helper()
	var err error
	switch {
	case scheme.Asymmetric():
		key, err = signature.NewKeyPair(scheme)
	case p.SecretEncoding == "hex":
		key, err = scheme.NewKey("44782def547aaa06c910c43932b1eb0c")
	default:
		key, err = scheme.NewKey(p.SecretPrefix + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func putToken(t *testing.T, p config.Provider, token *config.Token, r *signature.Request) {
	t.Helper()
	switch source := token.Source; {
	case p.Token == "basic":
		r.Header["Authorization"] = []string{"Basic " + base64.StdEncoding.EncodeToString([]byte(senderToken))}
	case token.Scheme == config.BearerScheme:
		r.Header["Authorization"] = []string{"Bearer " + senderToken}
	case source.Kind == signature.SourceHeader:
		r.Header[source.Name] = []string{senderToken}
	case source.Kind == signature.SourceQuery:
		r.Query = source.Name + "=" + senderToken
	case source.Kind == signature.SourceBody:
		body, err := sjson.SetBytes(r.Body, source.Name, senderToken)
		if err != nil {
			t.Fatal(err)
		}
		r.Body = body
	default:
		t.Fatalf("a token in %s: teach this test how to send it", source)
	}
}

type spelling struct {
	kind string
	text []byte
}

// spellings are a body as it was sent, under other types, and a form as multipart too.
func spellings(t *testing.T, r *signature.Request) []spelling {
	t.Helper()
	kind := r.Header["Content-Type"][0]
	all := []spelling{{kind, r.Body}, {"text/plain", r.Body}, {"", r.Body}, {"application/x-www-form-urlencoded", r.Body}}
	form, err := url.ParseQuery(string(r.Body))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return all
	}
	var text bytes.Buffer
	w := multipart.NewWriter(&text)
	for name, values := range form {
		if err := w.WriteField(name, values[0]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(all, spelling{w.FormDataContentType(), text.Bytes()}, spelling{"text/plain", text.Bytes()})
}

// credentials are the values at the places of a request that say who sent it.
func credentials(places []signature.Source, r *signature.Request) (values []string) {
	for _, place := range places {
		header, inHeader := place.Header()
		switch {
		case inHeader:
			for name, sent := range r.Header {
				if name == header || strings.HasSuffix(header, "-") && strings.HasPrefix(name, header) {
					values = append(values, sent...)
				}
			}
		case place == signature.Source{Kind: signature.SourceBody}:
			values = append(values, string(r.Body))
		default:
			if value := place.Read(r, signature.Parts{}); value.Text != "" {
				values = append(values, value.Text)
			}
		}
	}
	return append(values, senderToken)
}

// onPage is all that the page shows of a request.
func onPage(m mask, r *signature.Request) string {
	kept := &adminapi.InboxRequest{Method: r.Method, Scheme: r.Scheme, Host: r.Host, URI: r.Path + "?" + r.Query, Header: r.Header, Body: r.Body}
	return fmt.Sprint(m.uri(kept.URI), m.fields(kept.Header), m.curl("key", kept), m.present(kept.Body, http.Header(kept.Header).Get("Content-Type")))
}

// What is masked is no more than that.
func TestTheRestOfABodyIsShown(t *testing.T) {
	m := newMask([]signature.Source{{Kind: signature.SourceFormJSON, Name: `json.event.ha\.sh`}, {Kind: signature.SourceForm, Name: "proof"}})
	for _, tt := range []struct{ kind, body, want string }{
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"proof\"\r\n\r\np1\r\n--b\r\nContent-Disposition: form-data; name=a; filename=\"proof\"\r\n\r\np2\r\n--b--\r\n",
			"--b\r\nContent-Disposition: form-data; name=\"proof\"\r\n\r\n[masked]\r\n--b\r\nContent-Disposition: form-data; name=a; filename=\"proof\"\r\n\r\np2\r\n--b--\r\n"},
		{"multipart/form-data; boundary=b", "before\r\n--b\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; NAME=proof\r\n\r\np1", "before\r\n--b\r\ncontent-type: text/plain\r\ncontent-disposition: form-data; NAME=proof\r\n\r\n[masked]\r\n"},
		{"multipart/form-data; boundary=b", "\r\n\r\n", "\r\n\r\n"},
		{"multipart/form-data", "--\r\na", "--\r\na"},
		{"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=json\r\n\r\n{\"event\":{\"ha.sh\":\"s\",\"n\":1}}\r\n--b--", "--b\r\nContent-Disposition: form-data; name=json\r\n\r\n{\"event\":{\"ha.sh\":\"[masked]\",\"n\":1}}\r\n--b--"},
		{"", "a=1&proof=s", "a=1&proof=[masked]"},
		{"", "json=" + url.QueryEscape(`{"event":{"ha.sh":"s"}}`) + "&b=%7B%7D", `json={"event":{"ha.sh":"[masked]"}}&b=%7B%7D`},
		{"", "json=" + url.QueryEscape(`{"event":{"ha.sh":"s`) + "%2", `json={"event":{"ha.sh":"[masked]"`},
		{"", `{"t\u006fken":"s","a":"b=c&proof=d"}`, `{"t\u006fken":"[masked]","a":"b=c&proof=d"}`},
		{"text/plain", "see eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln for that", "see [masked] for that"},
	} {
		if got := m.hide(tt.body, tt.kind); got != tt.want {
			t.Errorf("%q is shown as\n%q, want\n%q", tt.body, got, tt.want)
		}
	}
}

// Whatever a body is, something is shown.
func TestMaskingHostileBodies(t *testing.T) {
	m := newMask([]signature.Source{{Kind: signature.SourceFormJSON, Name: "json.event.hash"}})
	for _, one := range []string{"-", "--\r\n", "\r\n", "\"", "\"a\":", "%7B", "a=&", "eyJ", "eyJa.", "name=", "; name=\"", "{\"token\":["} {
		for _, kind := range []string{"multipart/form-data; boundary=-", "application/x-www-form-urlencoded", "application/json"} {
			if shown := m.present([]byte(strings.Repeat(one, 300)), kind); shown.Text == "" {
				t.Errorf("%q as %s is empty", one, kind)
			}
		}
	}
}
