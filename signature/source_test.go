package signature

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSource(t *testing.T) {
	for _, test := range []struct {
		words string
		want  Source
		rest  string
	}{
		{"header x-acme-id", Source{SourceHeader, "X-Acme-Id"}, ""},
		{"header WM_SEC.TIMESTAMP", Source{SourceHeader, "Wm_sec.timestamp"}, ""},
		{"query key", Source{SourceQuery, "key"}, ""},
		{`body a\.b.c unix per_event`, Source{SourceBody, `a\.b.c`}, "unix per_event"},
		{"form payload", Source{SourceForm, "payload"}, ""},
		{"signature unix_ms", Source{Kind: SourceSignature}, "unix_ms"},
		{"body event body data.id", Source{SourceBody, "event"}, "body data.id"},
	} {
		got, rest, err := ParseSource(strings.Fields(test.words))
		if err != nil || got != test.want || strings.Join(rest, " ") != test.rest {
			t.Errorf("%q: got %v, rest %q, error %v", test.words, got, rest, err)
			continue
		}
		// What it prints is what it parses from.
		again, _, err := ParseSource(strings.Fields(got.String()))
		if err != nil || again != got {
			t.Errorf("%q: printed as %q, which is %v, %v", test.words, got, again, err)
		}
	}
}

func TestParseSourceErrors(t *testing.T) {
	for words, want := range map[string]string{
		"":                         "a source is missing",
		"header":                   "needs a name",
		"cookie":                   "unknown source",
		"cookie x":                 `unknown source "cookie"`,
		"header a:b":               "cannot be a header name",
		"header Ä":                 "cannot be a header name",
		"header host":              "use {host}",
		"header trailer":           "is never read",
		"header Transfer-encoding": "is never read",
		"body a..b":                "empty key",
		"body .a":                  "empty key",
		"body a.":                  "empty key",
		`body a\`:                  "single backslash",
		"Header X-Acme":            "unknown source",
	} {
		_, _, err := ParseSource(strings.Fields(words))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", words, err, want)
		}
	}
}

func TestSourceStringQuotes(t *testing.T) {
	if got := (Source{SourceBody, `a "key"`}).String(); got != `body "a \"key\""` {
		t.Errorf("got %s", got)
	}
}

func TestSourceRead(t *testing.T) {
	r := testRequest("POST", "https://example.com/?a=1&b=x%20y&a=2&empty=&bad=%zz&c%2Ed=7", "")
	r.Header["X-One"] = []string{"1"}
	r.Header["X-Two"] = []string{"1", "2"}
	r.Header["X-Empty"] = []string{""}
	for source, want := range map[Source]Value{
		{SourceHeader, "X-One"}:       {Text: "1", Found: true},
		{SourceHeader, "x-one"}:       {Text: "1", Found: true},
		{SourceHeader, "X-Two"}:       {Text: "1", Found: true, Repeated: true},
		{SourceHeader, "X-Empty"}:     {},
		{SourceHeader, "X-None"}:      {},
		{SourceQuery, "a"}:            {Text: "1", Found: true, Repeated: true},
		{SourceQuery, "b"}:            {Text: "x y", Found: true},
		{SourceQuery, "c.d"}:          {Text: "7", Found: true},
		{SourceQuery, "empty"}:        {},
		{SourceQuery, "bad"}:          {Bad: true},
		{SourceQuery, "none"}:         {},
		{Kind: SourceSignature}:       {Text: "id of the header", Found: true},
		{Kind: "no such kind at all"}: {},
	} {
		if got := source.Read(r, Parts{ID: "id of the header", Timestamp: "1"}); got != want {
			t.Errorf("%s: got %+v, want %+v", source, got, want)
		}
	}
}

func TestSourceReadForm(t *testing.T) {
	r := &Request{Body: []byte("payload=%7B%22a%22%3A1%7D&x=1&x=1&=empty&&y")}
	for name, want := range map[string]Value{
		"payload": {Text: `{"a":1}`, Found: true},
		"x":       {Text: "1", Found: true, Repeated: true},
		"y":       {},
		"z":       {},
	} {
		if got := (Source{SourceForm, name}).Read(r, Parts{}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
}

// jsonBody has keys that mean something to the JSON library's path language.
const jsonBody = `{
	"id": "evt_1", "n": 9007199254740993, "f": 1.0, "e": 1e3, "t": true, "null": null, "empty": "",
	"uni": "\u00e9\n", "\u0069d2": "escaped key", "obj": {"a": {"b": "deep"}}, "list": [{"id": "first"}, {"id": 2}, [3]],
	"a.b": "dot", "a*b": "star", "a?": "question", "#": "hash", "@this": "modifier", "!x": "bang", "a|b": "pipe",
	"..": "dots", "a\\b": "backslash", "with space": "space", "0": "zero", "{": "brace", "é": "accent",
	"deep.er": {"@reverse": [{"#": "bottom"}]}, "twice": 1, "twice": 2
}`

func TestSourceReadBody(t *testing.T) {
	r := &Request{Body: []byte(jsonBody)}
	text := func(s string) Value { return Value{Text: s, Found: true} }
	for path, want := range map[string]Value{
		"id": text("evt_1"), "n": text("9007199254740993"), "f": text("1.0"), "e": text("1e3"),
		"t": {Text: "true", Bad: true}, "null": {}, "empty": {}, "none": {},
		"uni": text("é\n"), "id2": text("escaped key"),
		"obj": {Text: `{"a": {"b": "deep"}}`, Bad: true}, "obj.a.b": text("deep"), "obj.a.b.c": {}, "id.x": {},
		"list": {Text: `[{"id": "first"}, {"id": 2}, [3]]`, Bad: true}, "list.0.id": text("first"), "list.1.id": text("2"), "list.2.0": text("3"),
		"list.3.id": {}, "list.id": {}, "list.-1": {}, "0": text("zero"),
		`a\.b`: text("dot"), "a.b": {}, "a*b": text("star"), "a*": {}, "i*": {}, "a?": text("question"), "i?": {}, "*": {},
		"#": text("hash"), "list.#": {}, "list.#.id": {}, `list.\#`: {}, "list.#(id==2).id": {},
		"@this": text("modifier"), "@keys": {}, "obj.@keys": {}, "obj|a": {}, "!x": text("bang"), `!"x"`: {},
		"a|b": text("pipe"), `\.\.`: text("dots"), `\.\.0`: {}, `a\\b`: text("backslash"), "with space": text("space"),
		"{": text("brace"), "é": text("accent"), "{a,b}": {}, "[id]": {},
		`deep\.er.@reverse.0.#`: text("bottom"), `deep\.er.@reverse.#`: {}, `deep\.er.@reverse.x#`: {},
		// The first one, as it is what the templates would sign too.
		"twice": text("1"),
	} {
		if got := (Source{SourceBody, path}).Read(r, Parts{}); got != want && !(want.Bad && got.Bad && got.Text == want.Text) {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
}

func TestSourceReadOtherBodies(t *testing.T) {
	for _, body := range []string{"", " ", "null", `"text"`, "12", "id=1", `x {"id": 1}`, "<a>{\"id\":1}</a>"} {
		if got := (Source{SourceBody, "id"}).Read(&Request{Body: []byte(body)}, Parts{}); got != (Value{}) {
			t.Errorf("%q: got %+v", body, got)
		}
	}
	batch := &Request{Body: []byte("\n [{\"eventId\": 7}]")}
	if got := (Source{SourceBody, "0.eventId"}).Read(batch, Parts{}); got.Text != "7" {
		t.Errorf("first of a batch: got %+v", got)
	}
	for _, broken := range []string{`{"id"`, `{"id":`, `{"id": "x`, `{"a": [}`, "[[[[", `{"\`} {
		for _, path := range []string{"id", "a.0", `a\.b.c`, "0.0.0"} {
			(Source{SourceBody, path}).Read(&Request{Body: []byte(broken)}, Parts{}) // must not panic
		}
	}
}

// TestReadDoesNotAlias checks that values survive the body, which callers pool and reuse.
func TestReadDoesNotAlias(t *testing.T) {
	for _, source := range []Source{{SourceBody, "id"}, {SourceBody, `a\.b.c`}, {SourceForm, "id"}} {
		r := &Request{Body: []byte(`{"id":"before","a.b":{"c":"before"}}`)}
		if source.Kind == SourceForm {
			r.Body = []byte("id=before")
		}
		got := source.Read(r, Parts{}).Text
		copy(r.Body, slices.Repeat([]byte("x"), len(r.Body)))
		if got != "before" {
			t.Errorf("%s: the value changed with the body: %q", source, got)
		}
	}
}
