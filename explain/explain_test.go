package explain

import (
	"errors"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func state(report *Report, step string) string {
	for _, s := range report.Steps {
		if s.Name == step {
			return strings.TrimSpace(s.State + " " + string(s.Result))
		}
	}
	return ""
}

// Each step fails on its own, with the guard's result.
func TestSteps(t *testing.T) {
	for _, c := range []struct {
		name         string
		change       func(in *Input)
		step, result string
		causes       []string
	}{
		{"method", func(in *Input) { in.Request.Method = "PUT" }, "method", "method_not_allowed", nil},
		{"size", func(in *Input) { in.Provider.MaxBody = 10 }, "size", "body_too_large", nil},
		{"no signature", func(in *Input) { delete(in.Request.Header, "X-Docrouter-Signature") }, "headers", "signature_missing", []string{"no_signature"}},
		{"a malformed one", func(in *Input) { in.Request.Header["X-Docrouter-Signature"] = []string{"sha256=xyz"} }, "headers", "signature_malformed", nil},
		{"no stamp", func(in *Input) { delete(in.Request.Header, "X-Docrouter-Timestamp") }, "stamp", "timestamp_missing", []string{"stamp_missing"}},
		{"no time", func(in *Input) { in.Request.Header["X-Docrouter-Timestamp"] = []string{"soon"} }, "stamp", "timestamp_malformed", []string{"stamp_malformed"}},
		{"old", func(in *Input) { in.Now = now.Add(10 * time.Minute) }, "stamp", "timestamp_stale", []string{"stamp_stale"}},
		{"early", func(in *Input) { in.Now = now.Add(-10 * time.Minute) }, "stamp", "timestamp_future", []string{"stamp_future"}},
		{"another secret", func(in *Input) { in.Secret = "other" }, "signature", "signature_invalid", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := builtin(t, "docrouter")
			in := Input{Name: "docrouter", Provider: p, Secret: canarySecret, Now: now, Senders: config.Builtin()}
			in.Request = signedBy(t, p, canarySecret, aRequest(aBody))
			c.change(&in)
			report, err := Explain(in)
			if err != nil {
				t.Fatal(err)
			}
			checkNothingLeaks(t, in, report)
			if got := state(report, c.step); got != Failed+" "+c.result {
				t.Errorf("%s is %q: %+v", c.step, got, report)
			}
			if report.Verified || !slices.Equal(codes(report), c.causes) {
				t.Errorf("%+v", report)
			}
		})
	}
}

// A stale capture is not a forged one.
func TestStaleButAuthentic(t *testing.T) {
	for _, name := range []string{"docrouter", "stripe", "ocriva"} {
		p := builtin(t, name)
		in := Input{Name: name, Provider: p, Secret: canarySecret, Now: now.Add(time.Hour), Request: signedBy(t, p, canarySecret, aRequest(aBody))}
		report, err := Explain(in)
		if err != nil {
			t.Fatal(err)
		}
		if state(report, "signature") != Passed || state(report, "stamp") != Failed+" timestamp_stale" || report.Verified || !report.Explained() {
			t.Errorf("%s: %+v", name, report)
		}
	}
}

// Both faults are named where there are two.
func TestStaleAndChanged(t *testing.T) {
	p := builtin(t, "docrouter")
	in := Input{Name: "docrouter", Provider: p, Secret: canarySecret + "\n", Now: now.Add(time.Hour), Request: signedBy(t, p, canarySecret, aRequest(aBody))}
	report, err := Explain(in)
	if err != nil {
		t.Fatal(err)
	}
	wantCauses(t, report, "stamp_stale", "secret_space")
	in.Secret = "other"
	if report, _ = Explain(in); report.Explained() {
		t.Error("the age of a capture does not explain its signature")
	}
}

func TestExpiredEvent(t *testing.T) {
	p := builtin(t, "struktr")
	in := Input{Name: "struktr", Provider: p, Secret: canarySecret, Now: now.Add(5 * 24 * time.Hour)}
	r := aRequest(aBody)
	in.Request = signedBy(t, p, canarySecret, r)
	in.Request.Header["X-Struktr-Timestamp"] = []string{signature.FormatStamp(in.Now, "unix")}
	report, err := Explain(in)
	if err != nil {
		t.Fatal(err)
	}
	wantCauses(t, report, "event_expired")
}

func TestTokens(t *testing.T) {
	request := func(change func(r *signature.Request)) signature.Request {
		r := aRequest(aBody)
		change(&r)
		return r
	}
	header := func(name, value string) signature.Request {
		return request(func(r *signature.Request) { r.Header[name] = []string{value} })
	}
	query := request(func(r *signature.Request) { r.Query = "token=" + strings.ReplaceAll(canarySecret, "+", "%2B") })
	for _, c := range []struct {
		name, token, secret string
		request             signature.Request
		causes              []string // none: verified
	}{
		{"there", "header X-Token", canarySecret, header("X-Token", canarySecret), nil},
		{"in the query", "query token", canarySecret, query, nil},
		{"bearer", "bearer", canarySecret, header("Authorization", "Bearer "+canarySecret), nil},
		{"a newline", "header X-Token", canarySecret + "\n", header("X-Token", canarySecret), []string{"secret_space"}},
		{"quotes", "query token", `"` + canarySecret + `"`, query, []string{"secret_quoted"}},
		{"the scheme's name", "bearer", "Bearer " + canarySecret, header("Authorization", "Bearer "+canarySecret), nil}, // the guard takes it off too
		{"elsewhere", "header X-Token", canarySecret, query, []string{"token_place"}},
		{"another header", "header X-Token", canarySecret, header("X-Other", canarySecret), []string{"token_place"}},
		{"not bearer", "bearer", canarySecret, header("Authorization", canarySecret), []string{"token_place"}},
		{"nowhere", "", canarySecret, aRequest(aBody), []string{"token_missing"}},
		{"unsigned, in the query", "", canarySecret, query, nil},
		{"unsigned, unasked", "", "", query, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := builtin(t, "okrapdf")
			p.Token = c.token
			report := explain(t, Input{Name: "okrapdf", Provider: p, Secret: c.secret, Request: c.request})
			if report.Verified != (c.causes == nil) || !slices.Equal(codes(report), c.causes) {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestWrongToken(t *testing.T) {
	p := builtin(t, "okrapdf")
	p.Token = "query token"
	r := aRequest(aBody)
	r.Query = "token=other"
	report := explain(t, Input{Name: "okrapdf", Provider: p, Secret: canarySecret, Request: r})
	if report.Verified || report.Explained() || state(report, "token") != Failed+" token_invalid" {
		t.Errorf("%+v", report)
	}
	report = explain(t, Input{Name: "okrapdf", Provider: p, Request: r})
	if report.Verified || !report.Explained() {
		t.Error("a token verified without a secret to compare it with")
	}
}

func TestNeedsASecret(t *testing.T) {
	stripe := builtin(t, "stripe")
	_, err := Explain(Input{Name: "stripe", Provider: stripe, Request: signedBy(t, stripe, canarySecret, aRequest(aBody)), Now: now})
	if !errors.Is(err, ErrNoSecret) {
		t.Errorf("got %v", err)
	}
}

// A list of secrets, as some dashboards show it, is explained as the guard takes it.
func TestAListOfSecrets(t *testing.T) {
	p := builtin(t, "standard-webhooks")
	r := signedBy(t, p, secretFor(p), aRequest(aBody))
	report := explain(t, Input{Name: "standard-webhooks", Provider: p, Secret: "v1,whsec_b3RoZXItb3RoZXItb3RoZXI=|v1," + secretFor(p), Request: r})
	if !report.Verified {
		t.Errorf("%+v", report)
	}
}

// A secret that cannot be a key is a step of its own, and is still explained.
func TestMalformedSecret(t *testing.T) {
	p := builtin(t, "standard-webhooks")
	r := signedBy(t, p, secretFor(p), aRequest(aBody))
	report := explain(t, Input{Name: "standard-webhooks", Provider: p, Secret: "'whsec_" + secretFor(p) + "'", Request: r})
	wantCauses(t, report, "secret_quoted")
	if state(report, "secret") != Failed {
		t.Errorf("%+v", report)
	}
}

// The step id states how the guard identifies the event.
func TestIdentity(t *testing.T) {
	for name, words := range map[string]string{"docrouter": "under the signature", "github": "told by their content", "shopify": "told by their content"} {
		p := builtin(t, name)
		r := aRequest(aBody)
		if name == "github" {
			r.Header["X-Github-Delivery"] = []string{"d1"}
		}
		report := explain(t, Input{Name: name, Provider: p, Secret: canarySecret, Request: signedBy(t, p, canarySecret, r)})
		last := report.Steps[len(report.Steps)-1]
		if last.Name != "id" || !strings.Contains(last.Detail, words) {
			t.Errorf("%s: %+v", name, last)
		}
	}
	p := builtin(t, "docrouter")
	body := []byte(`{"event_id":{"not":"a text"}}`)
	report := explain(t, Input{Name: "docrouter", Provider: p, Secret: canarySecret, Request: signedBy(t, p, canarySecret, aRequest(body))})
	if state(report, "id") != Failed+" id_malformed" || report.Verified || !report.Explained() {
		t.Errorf("%+v", report)
	}
}

// No request and no secret causes a panic, whatever the sender.
func FuzzExplain(f *testing.F) {
	f.Add("stripe", "t=1764000000,v1=00", "whsec_x", []byte(`{"id":"a"}`), "/a?b=c")
	f.Add("hubspot-v3", "AAAA", "%zz", []byte("a=1\r\n"), "")
	f.Add("twilio", "\"'`", "=", []byte("\x1f\x8b\b"), "*")
	names := config.Builtin().Names()
	f.Fuzz(func(t *testing.T, name, header, secret string, body []byte, path string) {
		p, ok := config.Builtin()[name]
		if !ok {
			p = config.Builtin()[names[len(name)%len(names)]]
		}
		if len(body) > 1<<10 {
			return // each is tried in hundreds of ways
		}
		r := aRequest(body)
		r.Path = path
		for _, s := range p.Signature {
			r.Header[textproto.CanonicalMIMEHeaderKey(s.Header)] = []string{header}
		}
		if p.Timestamp != nil {
			if source := p.Timestamp.Source; source.Kind == signature.SourceHeader {
				r.Header[source.Name] = []string{"1764000000"}
			}
		}
		report, err := Explain(Input{Name: name, Provider: p, Secret: secret, Request: r, Now: now})
		if err == nil && report.Verified && p.Token == "" && len(p.Signature) > 0 {
			t.Fatal("a signature that nobody made verified")
		}
	})
}
