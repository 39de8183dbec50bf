package signature

import (
	"crypto/sha256"
	"errors"
	"hash"
	"strings"
	"testing"
)

func TestTemplatePrints(t *testing.T) {
	for text, want := range map[string]string{
		"{body}":                           "",
		"{timestamp}.{body}":               "",
		`{method}\n{uri}\t\{\}\\{query}`:   "",
		"{body|sha256|hex}":                "",
		"{header.x-id}{header.WM_SEC.SIG}": "{header.X-Id}{header.Wm_sec.sig}",
		"a\nb":                             `a\nb`,
		"{http.request.method}{http.request.scheme}{http.request.host}":                 "{method}{scheme}{host}",
		"{http.request.uri}{http.request.uri.path}{http.request.uri.query}":             "{uri}{path}{query}",
		"{http.request.header.X-Id}{http.request.uri.query.sig}":                        "{header.X-Id}{query.sig}",
		"{http.request.header.x-id|lower}":                                              "{header.X-Id|lower}",
		`{body.a\.b.c|optional}{form.a\|b}{query.a\}b}`:                                 "",
		`{body.a\|b}{param.app_key}{nonce}{id}{url|unescape_reserved}{path}{host}[é;{}`: "error",
	} {
		template, err := ParseTemplate(text)
		if want == "error" {
			if err == nil {
				t.Errorf("%q parsed as %q", text, template)
			}
			continue
		}
		if want == "" {
			want = text
		}
		if err != nil || template.String() != want {
			t.Errorf("%q: printed as %q, %v, want %q", text, template, err, want)
			continue
		}
		if again := mustTemplate(t, template.String()); again.String() != want {
			t.Errorf("%q: printed again as %q", text, again)
		}
	}
}

func TestParseTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "empty",
		"{bdy}":                       "unknown placeholder {bdy}: there are {body}",
		"{signature}":                 "unknown placeholder {signature}",
		"{secret}":                    "can only stand in a signed template",
		"{path.dir}":                  "unknown placeholder {path.dir}",
		"{http.request.uri.path.dir}": "unknown placeholder",
		"{http.request.remote}":       "unknown placeholder {http.request.remote}",
		"{env.SECRET}":                "unknown placeholder {env.SECRET}",
		"{}":                          "unknown placeholder",
		"{body ":                      "no closing brace",
		`{body\}`:                     "no closing brace",
		"body}":                       "without an opening one",
		`\x`:                          "escapes nothing",
		`a\`:                          "escapes nothing",
		"{body|sha1}":                 `unknown function "sha1": there are sha256`,
		"{body|}":                     "unknown function",
		"{header.}":                   "header name is missing",
		"{header.a b}":                "cannot be a header name",
		"{header.Host}":               "use {host}",
		"{body.}":                     "empty key",
		"{body.a..b}":                 "empty key",
		"{form.}":                     "name is missing",
	} {
		_, err := ParseTemplate(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func templateRequest() *Request {
	r := testRequest("POST", "https://Example.com:8443/a%2Fb?x=%3A%26&y=1", `{"a":{"b":"c"},"n":1.0,"ok":true,"q":"\"","null":null}`)
	r.Header["X-Id"] = []string{"Abc"}
	r.Header["X-Two"] = []string{"1", "2"}
	r.Header["X-Empty"] = []string{""}
	return r
}

func TestTemplateAppend(t *testing.T) {
	r := templateRequest()
	parts := Parts{Timestamp: "0017", ID: "evt", Nonce: "non"}
	params := map[string]string{"app": "shop"}
	for text, want := range map[string]string{
		"{body}":                      string(r.Body),
		"v0:{timestamp}:{id}.{nonce}": "v0:0017:evt.non",
		`{method}\n{path}\t{query}`:   "POST\n/a%2Fb\tx=%3A%26&y=1",
		"{url}":                       "https://Example.com:8443/a%2Fb?x=%3A%26&y=1",
		"{scheme}://{host}{uri}":      "https://Example.com:8443/a%2Fb?x=%3A%26&y=1",
		"{url|unescape_reserved}":     "https://Example.com:8443/a/b?x=:%26&y=1",
		"{header.x-id}{header.x-id|lower}{header.x-none|optional}{header.X-Empty|optional}": "Abcabc",
		"{param.app}": "shop",
		"{body.a.b}{body.n}{body.ok}{body.a}{body.q}{body.null|optional}": `c1.0true{"b":"c"}"`,
		"{query.x}":               ":&",
		"{header.X-Id|hex}":       "416263",
		"{header.X-Id|base64}":    "QWJj",
		"{header.X-Id|hex|lower}": "416263",
		"{body|base64|sha256|hex|lower|hex}{header.X-Id|sha256|hex}": "",
	} {
		got, err := mustTemplate(t, text).Append([]byte("before "), r, parts, params)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if want != "" && string(got) != "before "+want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
		// Hashed it is the same bytes, whatever is streamed.
		h := sha256.New()
		if err := mustTemplate(t, text).Hash(h, r, parts, params); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if sum := sha256.Sum256(got[len("before "):]); string(h.Sum(nil)) != string(sum[:]) {
			t.Errorf("%s: hashed other bytes than it appends", text)
		}
	}
}

func TestTemplateBodyDigest(t *testing.T) {
	r := templateRequest()
	got, err := mustTemplate(t, "{body|sha256}").Append(nil, r, Parts{}, nil)
	if sum := sha256.Sum256(r.Body); err != nil || string(got) != string(sum[:]) {
		t.Errorf("got %x, %v", got, err)
	}
	empty, err := mustTemplate(t, "{body|sha256|hex}").Append(nil, &Request{}, Parts{}, nil)
	if err != nil || string(empty) != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Errorf("empty body: got %s, %v", empty, err)
	}
}

// TestTemplateMissing checks that what is missing is refused, never signed as nothing.
func TestTemplateMissing(t *testing.T) {
	r := templateRequest()
	for _, text := range []string{
		"{timestamp}", "{id}", "{nonce}", "{header.X-None}", "{header.X-Empty}", "{header.X-Two}", "{header.X-Two|optional}",
		"{body.none}", "{body.null}", "{body.a.none}", "{form.f}", "{query.none}", "{param.none}", "{header.X-None|sha256|hex}",
	} {
		_, err := mustTemplate(t, text).Append(nil, r, Parts{}, nil)
		wantReason(t, err, SignatureMalformed)
		if strings.Contains(err.Error(), "Abc") {
			t.Errorf("%s: the error holds a value: %v", text, err)
		}
	}
	// Without a request line there is no URL; an empty body or query is one.
	for _, text := range []string{"{url}", "{host}", "{method}", "{scheme}"} {
		if _, err := mustTemplate(t, text).Append(nil, &Request{}, Parts{}, nil); err == nil {
			t.Errorf("%s of an empty request", text)
		}
	}
	if _, err := mustTemplate(t, "{body}{query}{path}{uri}").Append(nil, &Request{}, Parts{}, nil); err != nil {
		t.Error(err)
	}
}

func TestUnescapeReserved(t *testing.T) {
	for in, want := range map[string]string{
		"%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B": ":/?@!$'()*,;",
		"%3a%2f%2c":                            ":/,",
		"%20%26%3D%25%2B%23%5B":                "%20%26%3D%25%2B%23%5B",
		"%253A":                                "%253A",
		"%3":                                   "%3",
		"%":                                    "%",
		"%zz%3A":                               "%zz:",
		"":                                     "",
	} {
		if got := string(unescapeReserved([]byte("%3A"+in), 3)); got != "%3A"+want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestRefusalsAreErrors(t *testing.T) {
	err := error(refuse(SignatureMissing, ""))
	if err.Error() != "signature_missing" {
		t.Errorf("got %q", err)
	}
	if !errors.As(error(refuse(EventExpired, "by %d", 1)), new(*Error)) {
		t.Error("not an *Error")
	}
}

func mustTemplate(tb testing.TB, text string) *Template {
	tb.Helper()
	template, err := ParseTemplate(text)
	if err != nil {
		tb.Fatalf("%q: %v", text, err)
	}
	return template
}

// Hash writes the template's bytes into h.
func (t *Template) Hash(h hash.Hash, r *Request, p Parts, params map[string]string) error {
	_, err := t.hash(h, nil, &env{r: r, parts: &p, params: params})
	return err
}
