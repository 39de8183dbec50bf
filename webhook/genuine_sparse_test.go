package webhook

import (
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

const aToken = "scheme jwt\nsignature Authorization sha256 \"\" \"Bearer {signature}\"\n"

// sparse are senders of one's own whose signature says little or nothing of the event.
var sparse = map[string]struct {
	lines    string
	sameTime bool // whether the sender may sign two events in one second
	open     bool // whether one that is captured passes again
}{
	"a token with an issuer":              {aToken + "claim iss acme", true, true},
	"a token for one of two audiences":    {aToken + "claim aud a or b", true, true},
	"a token with the beginning of a sub": {aToken + "claim iss acme\nclaim sub acme- prefix", true, true},
	"a token with a claim unless another": {aToken + "claim iss acme\nclaim env live unless sub", true, true},
	"a token with a URL":                  {aToken + "claim url {url}", true, true},
	"a token whose digest may be missing": {aToken + "claim iss acme\nclaim sum {body|sha256|hex} optional", true, true},
	"a token without claims":              {aToken + "timestamp claim iat unix", true, true},
	"a token beside an ID":                {aToken + "claim iss acme\nid header X-Id", true, true},
	"a token beside a content line":       {aToken + "claim iss acme\ncontent {body.not_there}", true, true},
	"a token with a digest":               {aToken + "claim iss acme\nclaim sum {body|sha256|hex}", true, false},
	"a token with a digest, if any body":  {aToken + "claim url {url}\nclaim sum {body|sha256|hex} with_body", true, false},
	"a token with a field":                {aToken + "claim object {body.id}", true, false},

	"a stamp":                   {"signature X-Sig\nsigned {timestamp}\ntimestamp header X-At unix", false, false},
	"a stamp that may be new":   {"signature X-Sig\nsigned {timestamp}\ntimestamp header X-At unix per_event\nunverified timestamp_renewed", false, false},
	"a stamp beside an ID":      {"signature X-Sig\nsigned {timestamp}\ntimestamp header X-At unix\nid header X-Id", false, false},
	"a stamp and the place":     {"signature X-Sig\nsigned {method}{path}{timestamp}\ntimestamp header X-At unix", false, false},
	"a stamp and a URL":         {"signature X-Sig\nsigned {timestamp}.{url}\ntimestamp header X-At unix", false, false},
	"a stamp and what may lack": {"signature X-Sig\nsigned {timestamp}.{body.not_there|optional}\ntimestamp header X-At unix", false, false},
	"a URL":                     {"signature X-Sig\nsigned {method}{url}", true, true},
	"a URL beside an ID":        {"signature X-Sig\nsigned {method}{url}\nid header X-Id", true, true},
	"a header":                  {"signature X-Sig\nsigned {header.Content-Type}", true, true},
	"a stamp and the body":      {"signature X-Sig\nsigned {timestamp}.{body}\ntimestamp header X-At unix", true, false},
	"a stamp and a field":       {"signature X-Sig\nsigned {timestamp}.{body.id}\ntimestamp header X-At unix", true, false},
}

// trySparse wants both of two events of each shape forwarded, and the first one forwarded
// again just where the lines say that it is.
func trySparse(t *testing.T, now time.Time) {
	t.Helper()
	for name, shape := range sparse {
		t.Run(name, func(t *testing.T) {
			later := now
			if !shape.sameTime {
				later = now.Add(-time.Second)
			}
			p := provider(t, shape.lines)
			var events [2]Event
			for i, w := range []wire{{at: now, id: "e1", change: withBody(`{"id":"e1"}`)}, {at: later, id: "e2", change: withBody(`{"id":"e2"}`)}} {
				s := sentAs(t, "test", p, w)
				var refused *Refusal
				if events[i], refused = s.judge(now); refused != nil {
					t.Fatalf("event %d: %v", i, refused)
				}
				again, _ := s.judge(now)
				if copied := !again.Keys.Content.IsZero() && again.Keys.Content == events[i].Keys.Content; copied == shape.open {
					t.Errorf("captured: recognised by what is signed: %t", copied)
				}
				if o := s.sender.Rules.Recognition().Opening; (o.AsItIs || len(o.Under) > 0) != shape.open {
					t.Errorf("what passes again is stated as %q", s.sender.Rules.Recognition().StaysOpen)
				}
			}
			if shareAKey(events[0], events[1]) {
				t.Error("the second event is a duplicate")
			}
		})
	}
}

func withBody(body string) func(*signature.Request) {
	return func(r *signature.Request) { r.Body = []byte(body) }
}
