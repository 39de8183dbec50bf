package config

import (
	"strings"
	"testing"
)

func TestParseHandshake(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		kind  string // "" for none
		err   string
	}{
		{"", "", ""},
		{"off", "", ""},
		{"slack", "slack", ""},
		{"meta hush-token", "meta", ""},
		{"meta {env.VERIFY}", "meta", ""},
		{"meta", "meta", ""},
		{"off x", "", "off takes no argument"},
		{"slack hush-token", "", "slack takes no argument"},
		{"meta hush-token two", "", "one argument at most"},
		{"nobody", "", "there are akeneo, asana, aws-sns, azure-event-grid"},
	} {
		h, err := ParseHandshake(strings.Fields(c.words))
		switch {
		case c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)):
			t.Errorf("%q: error %v, want %q", c.words, err, c.err)
		case c.err == "" && err != nil:
			t.Errorf("%q: %v", c.words, err)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("%q: the error shows the argument: %v", c.words, err)
		case err == nil && c.kind == "" && h != nil, err == nil && c.kind != "" && (h == nil || h.Kind != c.kind):
			t.Errorf("%q is %+v, want %q", c.words, h, c.kind)
		}
	}
	if h, _ := ParseHandshake([]string{"meta"}); h.Missing() != "the verify token" {
		t.Errorf("meta misses %q", h.Missing())
	}
	if h, _ := ParseHandshake([]string{"meta", "x"}); h.Missing() != "" {
		t.Errorf("meta x misses %q", h.Missing())
	}
}

// Every kind keeps these rules.
func TestHandshakeKindsAreBounded(t *testing.T) {
	t.Parallel()
	for _, name := range HandshakeKinds() {
		for _, c := range Handshakes()[name].Checks {
			if len(c.Methods) == 0 || c.Reply.Status/100 != 2 {
				t.Errorf("%s: methods %v, status %d", name, c.Methods, c.Reply.Status)
			}
			echoed := c.Reply.text()
			if strings.Contains(echoed, "{challenge}") || c.MAC != nil {
				if c.Challenge.Kind == "" || c.Bound.text == nil {
					t.Fatalf("%s: echoes or signs what is not bounded", name)
				}
				for _, bad := range []string{"", "<b>", `a"b`, "a\nb", "a\r\nb", "a\\b", "a{b", "a'b", "a;b", "ä", strings.Repeat("a", 257)} {
					if c.Bound.text.MatchString(bad) {
						t.Errorf("%s: lets %q through", name, bad)
					}
				}
			}
			for _, event := range []string{"a=b", "a.b", "a:b", "a b", "a/b", "[1]", "1.5", "v0:1:a"} {
				if c.MAC != nil && c.Bound.text.MatchString(event) {
					t.Errorf("%s: signs %q, which could be an event", name, event)
				}
			}
			if c.Proof == ProofToken && (c.Token.Kind == "" || Handshakes()[name].Argument == "") {
				t.Errorf("%s: has no token to compare", name)
			}
			if c.Proof == ProofNone && c.ReadsBody() && len(c.When) == 0 {
				t.Errorf("%s: answers any POST", name)
			}
			if c.Reply.Body != "" && c.Reply.Type != plainText && c.Reply.Type != jsonText {
				t.Errorf("%s: answers as %q", name, c.Reply.Type)
			}
		}
	}
}

// What a handshake signs for anybody must never be an event's signed bytes.
func TestHandshakeSignsNoEvents(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   string
		p      Provider
		refuse bool
	}{
		{"x", Provider{}, false},
		{"x", Provider{Signed: []string{"{timestamp}.{body}"}}, false},
		{"x", Provider{Signed: []string{"{http.request.body}"}}, false},
		{"x", Provider{Signed: []string{"{body}", "{body|sha256|hex}"}}, true},
		{"x", Provider{Signed: []string{"{body}"}, SignedFunctions: []string{"sha256"}}, true},
		{"x", Provider{Signed: []string{"{body}"}, Items: "events"}, true},
		{"x", Provider{Signed: []string{"{id}"}}, true},
		{"x", Provider{Signed: []string{`\\{body}{id}`}}, false}, // a backslash, then the body
		{"x", Provider{Signed: []string{`{query.\{body\}}`}}, true},
		{"x", Provider{Scheme: "twilio"}, true},
		{"linkedin", Provider{Signed: []string{"hmacsha256={body}"}}, false},
		{"braintree", Provider{}, true},
		{"braintree", Provider{Signed: []string{"{form.bt_payload}"}}, false},
		{"braintree", Provider{Signed: []string{"{form.other}"}}, true},
		{"slack", Provider{Signed: []string{"{id}"}}, false}, // signed itself
		{"dropbox", Provider{Signed: []string{"{id}"}}, false},
	} {
		h, err := ParseHandshake([]string{c.kind})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.CheckProvider(c.p); (err != nil) != c.refuse {
			t.Errorf("%s with %q %q: %v", c.kind, c.p.Scheme, c.p.Signed, err)
		}
	}
}

func TestCheckArgument(t *testing.T) {
	t.Parallel()
	vercel := &Handshake{Checks: Handshakes()["vercel"].Checks}
	meta := &Handshake{Checks: Handshakes()["meta"].Checks}
	if err := vercel.CheckArgument("a-Z_0.~"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"a\n", "a\r\nSet-Cookie: x", "a b", "ä"} {
		if err := vercel.CheckArgument(bad); err == nil || strings.Contains(err.Error(), "Cookie") {
			t.Errorf("%q: %v", bad, err)
		}
		if err := meta.CheckArgument(bad); err != nil {
			t.Errorf("%q is not in the answer: %v", bad, err)
		}
	}
}

// A kind that no sender of the catalogue names is there for providers of one's own.
func TestEveryHandshakeHasASender(t *testing.T) {
	t.Parallel()
	named := map[string]bool{"echo": true, "verify": true, "cloudevents": true}
	for _, p := range Builtin() {
		if len(p.Handshake) > 0 {
			named[p.Handshake[0]] = true
		}
	}
	for _, kind := range HandshakeKinds() {
		if !named[kind] {
			t.Errorf("no entry names the handshake %s", kind)
		}
	}
}

// Every handshake in the catalogue parses, and is safe with its provider.
func TestCatalogueHandshakes(t *testing.T) {
	t.Parallel()
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		h, err := ParseHandshake(p.Handshake)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if h != nil {
			if err := h.CheckProvider(p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
