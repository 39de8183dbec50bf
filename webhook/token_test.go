package webhook

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestTokens(t *testing.T) {
	for _, tt := range []struct {
		name, token, query, body string
		header                   map[string][]string
		want                     string
		found, malformed         bool
	}{
		{name: "query", token: "query token", query: "a=1&token=s%20x", want: "s x", found: true},
		{name: "query, twice", token: "query token", query: "token=a&token=b", found: true, malformed: true},
		{name: "header", token: "header x-key", header: map[string][]string{"X-Key": {"k"}}, want: "k", found: true},
		{name: "missing", token: "header x-key"},
		{name: "bearer", token: "bearer", header: map[string][]string{"Authorization": {"bearer  k "}}, want: "k", found: true},
		{name: "bearer expected", token: "bearer", header: map[string][]string{"Authorization": {"k"}}, found: true, malformed: true},
		{name: "basic", token: "basic", header: map[string][]string{"Authorization": {"Basic dXNlcjpwYXNz"}}, want: "user:pass", found: true},
		{name: "basic, not base64", token: "basic", header: map[string][]string{"Authorization": {"Basic user:pass"}}, found: true, malformed: true},
		{name: "form", token: "form key", body: "a=1&key=k", want: "k", found: true},
		{name: "JSON in a form", token: "form_json data.key", body: "data=%7B%22key%22%3A%22k%22%7D", want: "k", found: true},
		{name: "body", token: "body sharedSecret", body: `{"sharedSecret":"k"}`, want: "k", found: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parsed, err := config.ParseToken(tt.token)
			if err != nil {
				t.Fatal(err)
			}
			r := &signature.Request{Header: tt.header, Query: tt.query, Body: []byte(tt.body)}
			got, found, malformed := (&token{parsed}).read(r)
			if got != tt.want || found != tt.found || malformed != tt.malformed {
				t.Errorf("got %q, found %t, malformed %t", got, found, malformed)
			}
		})
	}
}

func TestATokenMayBePastedWithItsScheme(t *testing.T) {
	for _, tt := range []struct{ token, text, want string }{
		{"bearer", "k", "k"},
		{"bearer", "Bearer k", "k"},
		{"bearer", " bearer  k\n", "k"},
		{"basic", "user:pass", "user:pass"},
		{"basic", "Basic dXNlcjpwYXNz", "user:pass"},
		{"basic", "Basic user:pass word", "Basic user:pass word"},
		{"basic", "Basic Zm9v", "Basic Zm9v"}, // foo, and no user:password
		{"header X-Key", "Bearer k", "Bearer k"},
	} {
		parsed, err := config.ParseToken(tt.token)
		if err != nil {
			t.Fatal(err)
		}
		if got := (&token{parsed}).pasted(tt.text); got != tt.want {
			t.Errorf("%s %q: %q", tt.token, tt.text, got)
		}
	}
}

// Each element of a batch proves who sent it: with the token of one, nobody can add another.
func TestEachElementHasAToken(t *testing.T) {
	s := newSender(t, "token body value.*.clientState")
	var secrets []signature.Secret
	for _, text := range []string{"state-one", "state-two"} {
		key, err := s.NewKey(text)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, signature.Secret{Key: key})
	}
	const one, two = `{"clientState":"state-one","n":1}`, `{"clientState":"state-two"}`
	for body, want := range map[string]struct {
		result Result // "" where it is taken
		secret int
	}{
		`{"value":[` + one + `]}`:                                 {"", 0},
		`{"value":[` + two + `,` + one + `]}`:                     {"", 1},
		`{"value":[` + one + `,{"clientState":"forged"}]}`:        {TokenInvalid, 0},
		`{"value":[` + one + `,{"n":2}]}`:                         {TokenMissing, 0},
		`{"value":[` + one + `,{"clientState":""}]}`:              {TokenMissing, 0},
		`{"value":[` + one + `,{"clientState":["state-one"]}]}`:   {TokenMissing, 0},
		`{"value":[` + one + `,"state-one"]}`:                     {TokenMissing, 0},
		`{"value":[` + one + `],"value":[{"n":2}]}`:               {TokenInvalid, 0},
		`{"value":{"0":` + one + `}}`:                             {TokenInvalid, 0},
		`{"value":[` + one + `]`:                                  {TokenInvalid, 0},
		`{"value":[]}`:                                            {TokenMissing, 0},
		`{}`:                                                      {TokenMissing, 0},
		``:                                                        {TokenMissing, 0},
		`{"value":[` + strings.Repeat(one+",", 1000) + one + `]}`: {TokenInvalid, 0},
		`{"value":[` + strings.Repeat(one+",", 999) + `{"clientState":"no"}` + `]}`: {TokenInvalid, 0},
	} {
		r := post(body)
		event, refused := s.Judge(r, r.Body, Fixed{secrets, "scope"}, time.Now())
		switch {
		case want.result == "" && (refused != nil || event.Secret != want.secret):
			t.Errorf("%.80s: %v, secret %d", body, refused, event.Secret)
		case want.result != "" && (refused == nil || refused.Result != want.result):
			t.Errorf("%.80s: %v, want %s", body, refused, want.result)
		}
	}
	for _, bad := range []string{"body value.*.a.*.b", "body *.clientState.*.x.*.y"} {
		if _, err := config.ParseToken(bad); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// A token is found wherever its line may say that it is.
func TestTokensOfAllSourcesAreAccepted(t *testing.T) {
	body := `{"key":"` + copySecret + `"}`
	for line, r := range map[string]signature.Request{
		"header X-Key":       post("{}", "X-Key", copySecret),
		"query key":          at(post("{}"), "/in", "key="+copySecret),
		"body key":           post(body),
		"form key":           form("key=" + copySecret),
		"form_json data.key": form("data=" + url.QueryEscape(body)),
		"bearer":             post("{}", "Authorization", "Bearer "+copySecret),
		"claim key":          {},
		"signature":          {},
	} {
		s, err := New("test", config.Provider{Token: line})
		if r.Method == "" {
			if err == nil {
				t.Errorf("token %s loads, and no request has it", line)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.NewKey(copySecret)
		if err != nil {
			t.Fatal(err)
		}
		if _, refused := s.Judge(r, r.Body, Fixed{[]signature.Secret{{Key: key}}, "scope"}, time.Now()); refused != nil {
			t.Errorf("token %s: %v", line, refused)
		}
	}
}
