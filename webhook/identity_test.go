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

func TestTheNamesOfAnEvent(t *testing.T) {
	long := strings.Repeat("x", MaxIDBytes+1)
	for _, tt := range []struct {
		name, lines, body string
		header            map[string][]string
		want              names
		wantErr           bool
	}{
		{name: "a signed ID", lines: "id body id\nevent body type", body: `{"id":"e1","type":"t"}`,
			want: names{id: []string{"e1"}, signed: true, event: "t"}},
		{name: "an unsigned ID", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"d1"}}, want: names{id: []string{"d1"}}},
		{name: "an unsigned event type", lines: "event header X-Topic", body: `{}`, header: map[string][]string{"X-Topic": {"a"}}, want: names{event: "a"}},
		{name: "a number keeps its text", lines: "id body id", body: `{"id":12345678901234567890}`,
			want: names{id: []string{"12345678901234567890"}, signed: true}},
		{name: "a missing part is a missing ID", lines: "id body a body b optional", body: `{"a":"1"}`},
		{name: "null is missing", lines: "id body id optional", body: `{"id":null}`},
		{name: "the first of two IDs", lines: "id body a or header X-Id", body: `{"a":"1"}`, header: map[string][]string{"X-Id": {"d1"}},
			want: names{id: []string{"1"}, signed: true}},
		{name: "the other one where a part is missing", lines: "id body a body b or header X-Id", body: `{"a":"1"}`, header: map[string][]string{"X-Id": {"d1"}},
			want: names{id: []string{"d1"}}},
		{name: "neither", lines: "id body a or header X-Id", body: `{}`},
		{name: "two event types", lines: "event header X-Topic", body: `{}`, header: map[string][]string{"X-Topic": {"a", "a"}}, wantErr: true},
		{name: "an ID that should be there", lines: "id body a body b", body: `{"a":"1"}`, wantErr: true},
		{name: "one of two IDs that should be there", lines: "id body a or body b", body: `{}`, wantErr: true},
		{name: "an object is no ID", lines: "id body id", body: `{"id":{}}`, wantErr: true},
		{name: "true is no ID", lines: "id body id", body: `{"id":true}`, wantErr: true},
		{name: "too long an ID", lines: "id body id", body: `{"id":"` + long + `"}`, wantErr: true},
		{name: "two IDs", lines: "id header X-Id", body: `{}`, header: map[string][]string{"X-Id": {"a", "b"}}, wantErr: true},
		{name: "an odd event type is none", lines: "event body type\ncontent off", body: `{"type":["x"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sender := newSender(t, "signature X-Sig\n"+tt.lines)
			r := &signature.Request{Method: "POST", Header: tt.header, Body: []byte(tt.body)}
			got, err := sender.identity.read(r, signature.Parts{})
			if tt.wantErr {
				if !errors.Is(err, errIDMalformed) && !errors.Is(err, errIDMissing) && !errors.Is(err, errTypeRepeated) {
					t.Errorf("error = %v, want one", err)
				}
				return
			}
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// Where nothing is found because the body would have to be unpacked, the reason says so.
func TestAnIDInACompressedBody(t *testing.T) {
	sender := newSender(t, "signature X-Sig\nid body id")
	for coding, encoded := range map[string]bool{"": false, "identity": false, "utf-8": false, "gzip": true, "br": true} {
		r := &signature.Request{Method: "POST", Header: map[string][]string{"Content-Encoding": {coding}}, Body: []byte("\x1f\x8b")}
		_, err := sender.identity.read(r, signature.Parts{})
		if !errors.Is(err, errIDMissing) || errors.Is(err, errIDEncoded) != encoded {
			t.Errorf("%q: %v", coding, err)
		}
	}
}

func TestIDsNeverRunTogether(t *testing.T) {
	type what struct {
		scope string
		id    []string
	}
	seen := make(map[dedupe.Key]what)
	for _, w := range []what{
		{"a", []string{"1"}}, {"b", []string{"1"}}, {"a", []string{"1", "2"}}, {"a", []string{"12"}}, {"a1", []string{"2"}}, {"", []string{"a", "1"}}, {"a", []string{"2", "1"}},
	} {
		key := IDKey(w.scope, w.id)
		if other, taken := seen[key]; taken || key.IsZero() {
			t.Errorf("%v and %v have the same key", w, other)
		}
		seen[key] = w
	}
	if key := IDKey("a", nil); !key.IsZero() {
		t.Errorf("an event without an ID has the key %v", key)
	}
}
