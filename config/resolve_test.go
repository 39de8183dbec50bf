package config

import (
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// parse reads lines as a file of the catalogue holds them.
func parse(t *testing.T, lines string) Provider {
	t.Helper()
	p, err := ParseLines("test", []byte(lines))
	if err != nil {
		t.Fatalf("parsing %q: %v", lines, err)
	}
	return p
}

func resolve(t *testing.T, p Provider) *Resolved {
	t.Helper()
	r, err := p.Resolve()
	if err != nil {
		t.Fatalf("resolving: %v", err)
	}
	return r
}

// The five senders' defaults follow their own retry schedules.
func TestDefaultsFollowTheSender(t *testing.T) {
	for _, tt := range []struct {
		name                                   string
		span, maxAge, ttl, lease, wait, answer time.Duration
		idSigned                               bool
	}{
		{name: "okrapdf", span: 455 * time.Second, maxAge: 755 * time.Second, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 5 * time.Second},
		{name: "struktr", span: 14*time.Hour + 36*time.Minute + 3*time.Minute, maxAge: 5 * time.Minute, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 5 * time.Second},
		{name: "docintell", span: 65 * time.Second, maxAge: 365 * time.Second, ttl: 72 * time.Hour, lease: 3 * time.Second, wait: 5 * time.Second, idSigned: true},
		{name: "ocriva", span: 0, maxAge: 5 * time.Minute, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 5 * time.Second, idSigned: true},
		{name: "docrouter", span: 2275 * time.Second, maxAge: 5 * time.Minute, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 5 * time.Second, idSigned: true},
		{name: "slack", span: 372 * time.Second, maxAge: 5 * time.Minute, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 1500 * time.Millisecond, idSigned: true},
		{name: "github", span: 72 * time.Hour, maxAge: 5 * time.Minute, ttl: 96 * time.Hour, lease: 10 * time.Second, wait: 5 * time.Second},
		{name: "shopify", span: 4 * time.Hour, maxAge: 5 * time.Minute, ttl: 72 * time.Hour, lease: 10 * time.Second, wait: 2500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Builtin().Get(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			r := resolve(t, p)
			for _, c := range []struct {
				what      string
				got, want any
			}{
				{"retry span", p.Span(), tt.span},
				{"max_age", r.Window.MaxAge, tt.maxAge},
				{"max_skew", r.Window.MaxSkew, time.Minute},
				{"dedupe_ttl", r.DedupeTTL, tt.ttl},
				{"event TTL", r.Window.EventTTL, tt.ttl},
				{"lease", r.Lease, tt.lease},
				{"wait", r.Wait, tt.wait},
				{"ID signed", r.IDSigned(), tt.idSigned},
			} {
				if c.got != c.want {
					t.Errorf("%s = %v, want %v", c.what, c.got, c.want)
				}
			}
		})
	}
}

// What is set is used exactly as given, and an age set by hand lengthens the
// default memory rather than outlive it.
func TestSetValuesWinOverDerivedOnes(t *testing.T) {
	p := parse(t, `
signature X-Sig
timestamp body at rfc3339 per_event
retries 1h 2h
answer_within 4s
max_age 100h
max_skew 2m
lease 7s
timeout 20s
in_flight reject
methods post put
max_body 1KiB
`)
	r := resolve(t, p)
	if r.Window.MaxAge != 100*time.Hour || r.Window.MaxSkew != 2*time.Minute {
		t.Errorf("window = %+v", r.Window)
	}
	if want := 100*time.Hour + 2*time.Minute; r.DedupeTTL != want {
		t.Errorf("dedupe_ttl = %s, want %s: an event may not be forgotten while it is fresh", r.DedupeTTL, want)
	}
	if r.Lease != 7*time.Second || r.Timeout != 20*time.Second || r.Wait != 0 || r.MaxBody != 1024 {
		t.Errorf("lease %s, timeout %s, wait %s, max_body %d", r.Lease, r.Timeout, r.Wait, r.MaxBody)
	}
	if len(r.Methods) != 2 || r.Methods[0] != "POST" || r.Methods[1] != "PUT" {
		t.Errorf("methods = %v", r.Methods)
	}
}

func TestALeaseNeverOutlivesAShortTimeoutByDefault(t *testing.T) {
	if r := resolve(t, parse(t, "signature X-Sig\ntimeout 2s")); r.Lease != 2*time.Second {
		t.Errorf("lease = %s, want the timeout's 2s", r.Lease)
	}
}

func TestContradictionsAreRefusedWithTheirFix(t *testing.T) {
	for _, tt := range []struct{ name, lines, want string }{
		{"lease over timeout", "signature X-Sig\nlease 2m\ntimeout 1m", "lease: 2m0s is longer than timeout, 1m0s"},
		{"forgotten while fresh", "signature X-Sig\ndedupe_ttl 5m", "dedupe_ttl: 5m0s is shorter than max_age + max_skew, 6m0s"},
		{"stamp that is nowhere", "signature X-Sig\nsigned {timestamp}.{body}", "timestamp"},
		{"placeholder that does not exist", "signature X-Sig\nsigned {bodyy}", "{bodyy}"},
		{"event time that anyone could set", "signature X-Sig\nevent_time header X-At", "event_time"},
		{"public_url without a host", "signature X-Sig\npublic_url /hooks", "public_url: write the URL as it is registered"},
		{"content with a typo", "signature X-Sig\ncontent {boddy}", "content: "},
		{"a token and a signature", "token bearer\nsignature X-Sig", "token: a sender sends either a token or a signature"},
		{"a token and a scheme", "token header X-Token\nscheme twilio", "token: a sender sends either a token or a signature"},
		{"a type in a token that is not there", "signature X-Sig\nevent claim typ", "event: claim typ needs the line scheme jwt"},
		{"an ID in a token that is not there", "signature X-Sig\nid header X-Id or claim jti", "id: claim jti needs the line scheme jwt"},
		{"unknown algorithm", "signature X-Sig md5", "md5"},
		{"unknown scheme", "signature X-Sig\nscheme trello", "trello"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(t, tt.lines).Resolve()
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want one that holds %q", err, tt.want)
			}
		})
	}
}

// JSON can say what the lines cannot.
func TestNegativeValuesFromJSONAreRefused(t *testing.T) {
	for name, p := range map[string]Provider{
		"max_age":    {MaxAge: -1},
		"retries":    {Retries: append(Provider{}.Retries, -1)},
		"max_body":   {MaxBody: -1},
		"in_flight":  {InFlight: &InFlight{Wait: -1}},
		"answer":     {Answer: &Answer{Status: 99}},
		"success":    {Success: []string{"6xx"}},
		"final":      {Final: []string{"x"}},
		"confidence": {Confidence: "some"},
		"unverified": {Unverified: []string{"everything"}},
		"token":      {Token: "cookie x"},
		"id":         {ID: []signature.Source{{Kind: signature.SourceBody}}},
		"event":      {Event: signature.Source{Kind: "headers", Name: "X"}},
		"timestamp":  {Timestamp: &signature.StampSpec{Source: signature.Source{Kind: signature.SourceBody}}},
	} {
		t.Run(name, func(t *testing.T) {
			if p.Token == "" {
				p.Signature = []signature.SignatureSpec{{Header: "X-Sig"}}
			}
			if _, err := p.Resolve(); err == nil || !strings.HasPrefix(err.Error(), name+":") {
				t.Errorf("error = %v, want one that names %s", err, name)
			}
		})
	}
}

func TestLayingLinesOverAnEntryReplacesThatPartOfIt(t *testing.T) {
	base := parse(t, "signature X-A sha1\nsignature X-B\nsigned {timestamp}.{body} sha256\nitems list\nclaim a {body}\ntimestamp header X-T\nid body id\nretries 1m\nsecret_encoding base64 whsec_")
	for _, tt := range []struct {
		name, lines string
		check       func(p Provider) bool
	}{
		{"nothing said of it", "docs x", func(p Provider) bool { return len(p.Signature) == 2 && p.ID[0].String() == "body id" }},
		{"repeated lines replace all of the entry's", "signature X-C", func(p Provider) bool {
			return len(p.Signature) == 1 && p.Signature[0].Header == "X-C" && p.Signed[0] == "{timestamp}.{body}"
		}},
		{"a token instead of a signature", "token header X-Key", func(p Provider) bool {
			return p.Signature == nil && p.Signed == nil && !p.Unsigned() && p.Timestamp.Source.String() == "header X-T"
		}},
		{"a span instead of delays", "retry_span 3h", func(p Provider) bool { return p.Retries == nil && p.Span() == 3*time.Hour }},
		{"an encoding without the entry's prefix", "secret_encoding hex", func(p Provider) bool { return p.SecretPrefix == "" }},
		{"a template without the functions of the entry's", "signed {body}", func(p Provider) bool {
			return len(p.Signed) == 1 && p.SignedFunctions == nil
		}},
		{"a token instead of items and claims", "token bearer", func(p Provider) bool {
			return p.Items == "" && p.Claim == nil && p.SignedFunctions == nil
		}},
		{"a scheme instead of a template", "scheme twilio", func(p Provider) bool { return p.Signed == nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := parse(t, tt.lines).Over(base); !tt.check(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if over := parse(t, "signature X-C").Over(Provider{Token: "bearer"}); over.Token != "" {
		t.Error("a signature must replace a token")
	}
	if base.Signature[0].Header != "X-A" || len(base.Signature) != 2 {
		t.Error("laying over must not change the entry, which other guards share")
	}
}
