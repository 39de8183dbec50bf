package webhook

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// newSender makes a sender of a provider's lines.
func newSender(t *testing.T, lines string) *Sender {
	t.Helper()
	p, err := config.ParseLines("test", []byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New("test", p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWhatIdentifiesAnEvent(t *testing.T) {
	long := strings.Repeat("x", MaxIDBytes+1)
	for _, tt := range []struct {
		name, lines, body string
		header            map[string][]string
		want              names
		wantErr           bool
	}{
		{name: "a signed ID is enough", lines: "id body id\nevent body type", body: `{"id":"e1","type":"t"}`,
			want: names{id: []string{"e1"}, event: "t"}},
		{name: "an unsigned ID comes with the content", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"d1"}},
			want: names{id: []string{"d1"}, content: [][]byte{[]byte(`{}`)}}},
		{name: "an unsigned event type is part of the content", lines: "event header X-Topic", body: `{}`, header: map[string][]string{"X-Topic": {"a"}},
			want: names{event: "a", content: [][]byte{[]byte(`{}`), []byte("a")}}},
		{name: "a number keeps its text", lines: "id body id", body: `{"id":12345678901234567890}`,
			want: names{id: []string{"12345678901234567890"}}},
		{name: "a missing part is a missing ID", lines: "id body a body b", body: `{"a":"1"}`,
			want: names{content: [][]byte{[]byte(`{"a":"1"}`)}}},
		{name: "null is missing", lines: "id body id", body: `{"id":null}`, want: names{content: [][]byte{[]byte(`{"id":null}`)}}},
		{name: "an empty body is no content", lines: "id body id", body: ``, want: names{}},
		{name: "content off", lines: "content off", body: `{}`, want: names{}},
		{name: "content by template", lines: "content {body.invoice}", body: `{"invoice":7,"attempt":2}`, want: names{content: [][]byte{[]byte("7")}}},
		{name: "content that is missing is no content", lines: "content {body.invoice}", body: `{"attempt":2}`, want: names{}},
		{name: "an object is no ID", lines: "id body id", body: `{"id":{}}`, wantErr: true},
		{name: "true is no ID", lines: "id body id", body: `{"id":true}`, wantErr: true},
		{name: "too long an ID", lines: "id body id", body: `{"id":"` + long + `"}`, wantErr: true},
		{name: "two IDs", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"a", "b"}}, wantErr: true},
		{name: "an odd event type is none", lines: "event body type\ncontent off", body: `{"type":["x"]}`, want: names{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sender := newSender(t, "signature X-Sig\n"+tt.lines)
			r := &signature.Request{Method: "POST", Header: tt.header, Body: []byte(tt.body)}
			got, err := sender.identity.read(r, signature.Parts{})
			if tt.wantErr {
				if !errors.Is(err, errIDMalformed) {
					t.Errorf("error = %v, want errIDMalformed", err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestEventKeysNeverRunTogether(t *testing.T) {
	type what struct {
		scope string
		event names
	}
	id := func(parts ...string) names { return names{id: parts} }
	content := func(parts ...string) names {
		e := names{}
		for _, p := range parts {
			e.content = append(e.content, []byte(p))
		}
		return e
	}
	seen := make(map[dedupe.Event]what)
	for _, w := range []what{
		{"a", id("1")}, {"b", id("1")}, {"a", id("1", "2")}, {"a", id("12")}, {"a1", id("2")}, {"", id("a", "1")}, {"a", id("2", "1")},
		{"a", content("1")}, {"b", content("1")}, {"a", content("1", "2")}, {"a", content("12")}, {"a", content("1", "")},
	} {
		keys := w.event.keys(w.scope)
		if other, taken := seen[keys]; taken || keys == (dedupe.Event{}) {
			t.Errorf("%v and %v have the same keys", w, other)
		}
		seen[keys] = w
	}
	if keys := (&names{event: "x"}).keys("a"); keys != (dedupe.Event{}) {
		t.Errorf("an event without identity has the keys %v", keys)
	}
	named := id("1")
	if keys := named.keys("a"); !keys.Content.IsZero() || keys.ID != (&names{id: []string{"1"}, event: "x"}).keys("a").ID {
		t.Error("more than the ID is in an ID's key")
	}
}
