package config

import (
	"reflect"
	"testing"
)

// Every entry is written in lines that say the same.
func TestLinesAreParsedAsTheyWereWritten(t *testing.T) {
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		text := p.Lines("\t")
		again, err := ParseLines(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
			continue
		}
		if !reflect.DeepEqual(p, again) {
			t.Errorf("%s: written\n%s\nread  %+v\nwant %+v", name, text, again, p)
		}
	}
}

func TestLinesHideAHandshakesArgument(t *testing.T) {
	for said, want := range map[string]string{
		"handshake meta s3cret":                    "handshake meta <argument>\n",
		"handshake meta {env.TOKEN}":               "handshake meta {env.TOKEN}\n",
		"max_body 12MiB\nmax_age 90m\nlease 1h30s": "max_age 1h30m\nmax_body 12582912B\nlease 1h0m30s\n",
	} {
		p, err := ParseLines("test", []byte(said))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Lines(""); got != want {
			t.Errorf("%q is written as %q, want %q", said, got, want)
		}
	}
}
