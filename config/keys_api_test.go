package config

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What the words of keys api say, and that they are written as they are read.
func TestKeysBehindAnAPI(t *testing.T) {
	for line, want := range map[string]KeyAPI{
		"keys api https://a.example/k/{key_id} key":                                            {URL: "https://a.example/k/{key_id}", Key: "key"},
		"keys api https://a.example/k/{key_id} data.key bearer":                                {URL: "https://a.example/k/{key_id}", Key: "data.key", Auth: AuthBearer},
		"keys api https://a.example/get key body key_id id secret":                             {URL: "https://a.example/get", Key: "key", Auth: AuthBody, Fields: []string{"key_id", "id", "secret"}},
		"keys api https://a.example/get key body key_id":                                       {URL: "https://a.example/get", Key: "key", Auth: AuthBody, Fields: []string{"key_id"}},
		"keys api https://a.example/get key body key_id token unknown NONE":                    {URL: "https://a.example/get", Key: "key", Auth: AuthBody, Fields: []string{"key_id", "token"}, Unknown: "NONE"},
		"keys api https://a.example/k/{key_id}?v=1 key oauth https://a.example/token read:key": {URL: "https://a.example/k/{key_id}?v=1", Key: "key", Auth: AuthOAuth, TokenURL: "https://a.example/token", Scope: "read:key"},
		"keys api http://127.0.0.1:1/k/{key_id}/pem key bearer":                                {URL: "http://127.0.0.1:1/k/{key_id}/pem", Key: "key", Auth: AuthBearer},
	} {
		for _, ca := range []string{"", " ca ca.pem"} {
			var p Provider
			d := caddyfile.NewTestDispenser(line + ca)
			d.Next()
			if err := p.ParseLine(d); err != nil {
				t.Errorf("%s: %v", line+ca, err)
				continue
			}
			got := *p.Keys.API
			if strings.Join(got.words(), " ") != strings.Join(want.words(), " ") || "keys "+strings.Join(p.Keys.Words(), " ") != line+ca {
				t.Errorf("%s: %+v", line+ca, got)
			}
		}
	}
}

func TestKeysBehindAnAPIThatMeanNothing(t *testing.T) {
	for line, want := range map[string]string{
		"keys api":                                                                 "names a URL and the path",
		"keys api https://a.example/k":                                             "names a URL and the path",
		"keys api https://a.example/k key":                                         "the ID of the key is in the URL",
		"keys api https://a.example/k key bearer":                                  "the ID of the key is in the URL",
		"keys api https://a.example/k/{key_id} key body key_id":                    "the ID of the key is in the URL",
		"keys api https://a.example/get key body":                                  "body names the field",
		"keys api https://a.example/get key body unknown NONE":                     "body names the field",
		"keys api https://a.example/k/{key_id} key basic":                          "not understood",
		"keys api https://a.example/k/{key_id} key bearer bearer":                  "not understood",
		"keys api https://a.example/k/{key_id} key oauth https://a.example/t":      "oauth names the URL",
		"keys api https://a.example/k/{key_id} key oauth http://a.example/t scope": "is not https",
		"keys api http://a.example/k/{key_id} key":                                 "is not https",
		"keys api https://{key_id}/k key":                                          "{key_id} is a segment of the path",
		"keys api https://{key_id}.a.example/k key":                                "{key_id} is a whole segment",
		"keys api https://a.example/k{key_id} key":                                 "{key_id} is a whole segment",
		"keys api https://a.example/{key_id}.pem key":                              "{key_id} is a whole segment",
		"keys api https://a.example/k?id={key_id} key":                             "{key_id} is a whole segment",
		"keys api https://a.example/k?x=/{key_id} key":                             "{key_id} is a whole segment",
		"keys api https://a.example/k#/{key_id} key":                               "fragment",
		"keys api https://a.example/{key_id}/{key_id} key":                         "placeholder",
		"keys api https://a.example/{host}/{key_id} key":                           "placeholder",
		"keys api https://u:p@a.example/{key_id} key":                              "holds a user",
		"keys api https://a.example/{key_id} key. bearer":                          "empty key",
		"keys api https://a.example/{key_id} key jwks https://a.example/jwks":      "write keys jwks <url>",
		"keys jwks https://a.example/jwks api https://a.example/{key_id} key":      "write keys jwks <url>",
		"keys api https://a.example/{key_id} key unknown A unknown B":              "not understood",
		"keys api https://a.example/{key_id} key bearer extra":                     "not understood",
	} {
		var p Provider
		d := caddyfile.NewTestDispenser(line)
		d.Next()
		if err := p.ParseLine(d); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// An ID is a name in a URL and nothing more, and a request has to have one.
func TestTheIDOfAKeyIsASegment(t *testing.T) {
	api := KeyAPI{URL: "https://a.example/k/{key_id}/pem"}
	for _, id := range []string{".", "..", "...", ""} {
		if api.Takes(id) {
			t.Errorf("%q is an ID", id)
		}
	}
	if got := api.At("a.b~c:d=e+f@g"); !api.Takes("a..b") || strings.Count(got, "/") != 5 || strings.ContainsAny(got, "?#") {
		t.Errorf("at %s", got)
	}
	p := Provider{Keys: &KeySource{API: &KeyAPI{URL: "https://a.example/{key_id}", Key: "key"}}}
	if _, err := p.Over(Builtin()["sendgrid"]).Resolve(); err == nil || !strings.Contains(err.Error(), "key_id <source>") {
		t.Errorf("without the place of the ID: %v", err)
	}
	if err := p.Keys.API.check(); err != nil {
		t.Error(err)
	}
}
