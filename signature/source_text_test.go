package signature

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestSourceText(t *testing.T) {
	for text, want := range map[string]Source{
		"header x-acme-id":    {SourceHeader, "X-Acme-Id"},
		" header\tX-Acme-Id ": {SourceHeader, "X-Acme-Id"},
		`header "X-Acme-Id"`:  {SourceHeader, "X-Acme-Id"},
		"query `a \"b\" \\`":  {SourceQuery, `a "b" \`},
		`query "a \"b\""`:     {SourceQuery, `a "b"`},
		`query "a \b"`:        {SourceQuery, `a \b`},
		`query a"b`:           {SourceQuery, `a"b`},
		`form the field`:      {SourceForm, "the field"},
		`body a\.b.c`:         {SourceBody, `a\.b.c`},
		"body":                {Kind: SourceBody},
		"signature":           {Kind: SourceSignature},
		"":                    {},
	} {
		var got Source
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: got %q, %v", text, got, err)
		}
	}
	for _, text := range []string{`query "`, `query "a`, `query "a" b`, `query "a" "b"`, "query `a", "query `a` `b`", "query `a\""} {
		var got Source
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%s: is read as %q", text, got)
		}
	}
}

// FuzzSourceText checks that a source survives its text and JSON unchanged.
func FuzzSourceText(f *testing.F) {
	for _, name := range []string{"id", `a"b`, `"a"`, "a`b", "`", `a b\`, `\"`, "\\\" `", `\\" b\`, "{a}", "#", "a\u00a0b", "\n", " a "} {
		f.Add(string(SourceQuery), name)
	}
	f.Add(string(SourceHeader), "x-id")
	f.Add(string(SourceSignature), "")
	f.Fuzz(func(t *testing.T, kind, name string) {
		source := Source{Kind(kind), name}.canonical()
		if source.Check() != nil {
			return
		}
		var got Source
		if err := got.UnmarshalText([]byte(source.String())); err != nil || got != source {
			t.Errorf("%q became %s and then %q, %v", source, source.String(), got, err)
		}
		if !utf8.ValidString(name) {
			return // JSON cannot hold it
		}
		text, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &got); err != nil || got != source {
			t.Errorf("%q became %s and then %q, %v", source, text, got, err)
		}
	})
}
