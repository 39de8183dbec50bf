package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func TestWhatIdentifiesAnEvent(t *testing.T) {
	long := strings.Repeat("x", MaxIDBytes+1)
	for _, tt := range []struct {
		name, lines, body string
		header            map[string][]string
		want              Identified
		wantErr           bool
	}{
		{name: "a signed ID is enough", lines: "id body id\nevent body type", body: `{"id":"e1","type":"t"}`,
			want: Identified{ID: []string{"e1"}, Event: "t"}},
		{name: "an unsigned ID comes with the content", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"d1"}},
			want: Identified{ID: []string{"d1"}, Content: [][]byte{[]byte(`{}`)}}},
		{name: "an unsigned event type is part of the content", lines: "event header X-Topic", body: `{}`, header: map[string][]string{"X-Topic": {"a"}},
			want: Identified{Event: "a", Content: [][]byte{[]byte(`{}`), []byte("a")}}},
		{name: "a number keeps its text", lines: "id body id", body: `{"id":12345678901234567890}`,
			want: Identified{ID: []string{"12345678901234567890"}}},
		{name: "a missing part is a missing ID", lines: "id body a body b", body: `{"a":"1"}`,
			want: Identified{Content: [][]byte{[]byte(`{"a":"1"}`)}}},
		{name: "null is missing", lines: "id body id", body: `{"id":null}`, want: Identified{Content: [][]byte{[]byte(`{"id":null}`)}}},
		{name: "an empty body is no content", lines: "id body id", body: ``, want: Identified{}},
		{name: "content off", lines: "content off", body: `{}`, want: Identified{}},
		{name: "content by template", lines: "content {body.invoice}", body: `{"invoice":7,"attempt":2}`, want: Identified{Content: [][]byte{[]byte("7")}}},
		{name: "content that is missing is no content", lines: "content {body.invoice}", body: `{"attempt":2}`, want: Identified{}},
		{name: "an object is no ID", lines: "id body id", body: `{"id":{}}`, wantErr: true},
		{name: "true is no ID", lines: "id body id", body: `{"id":true}`, wantErr: true},
		{name: "too long an ID", lines: "id body id", body: `{"id":"` + long + `"}`, wantErr: true},
		{name: "two IDs", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"a", "b"}}, wantErr: true},
		{name: "an odd event type is none", lines: "event body type\ncontent off", body: `{"type":["x"]}`, want: Identified{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules := resolve(t, parse(t, "signature X-Sig\n"+tt.lines))
			r := &signature.Request{Method: "POST", Header: tt.header, Body: []byte(tt.body)}
			got, err := rules.Identity.Identify(r, signature.Parts{})
			if tt.wantErr {
				if !errors.Is(err, ErrIDMalformed) {
					t.Errorf("error = %v, want ErrIDMalformed", err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

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
		{name: "body", token: "body sharedSecret", body: `{"sharedSecret":"k"}`, want: "k", found: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			token, err := ParseToken(tt.token)
			if err != nil {
				t.Fatal(err)
			}
			r := &signature.Request{Header: tt.header, Query: tt.query, Body: []byte(tt.body)}
			got, found, malformed := token.Read(r)
			if got != tt.want || found != tt.found || malformed != tt.malformed {
				t.Errorf("got %q, found %t, malformed %t", got, found, malformed)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	set, err := ParseStatuses([]string{"2xx", "404", "500-502"})
	if err != nil {
		t.Fatal(err)
	}
	for status, want := range map[int]bool{199: false, 200: true, 299: true, 300: false, 404: true, 403: false, 500: true, 502: true, 503: false} {
		if set.Has(status) != want {
			t.Errorf("Has(%d) = %t", status, !want)
		}
	}
}
