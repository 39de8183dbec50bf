package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

var errRead = errors.New("the body was read")

// checked runs a request up to where its sender is known.
func (b *bench) checked(r *http.Request) (*exchange, *webhook.Refusal) {
	d := b.guard.newExchange(httptest.NewRecorder(), r)
	b.t.Cleanup(d.end)
	if refused := d.receive(); refused != nil {
		return d, refused
	}
	now := b.guard.now()
	j := b.guard.sender.Begin(facts(r), &d.tenant, now)
	return d, d.authenticate(&j, now, nil)
}

// Whatever depends only on the headers is judged before any of the body is read.
func TestTheBodyIsNotReadInVain(t *testing.T) {
	b := newBench(t, nil)
	for name, tc := range map[string]struct {
		edit func(h http.Header)
		want webhook.Result
	}{
		"no token":           {func(h http.Header) { h.Del("X-Token") }, webhook.TokenMissing},
		"a wrong token":      {func(h http.Header) { h.Set("X-Token", "open") }, webhook.TokenInvalid},
		"a longer token":     {func(h http.Header) { h.Set("X-Token", "opens!") }, webhook.TokenInvalid},
		"two tokens":         {func(h http.Header) { h.Add("X-Token", "opens") }, webhook.TokenInvalid},
		"no stamp":           {func(h http.Header) { h.Del("X-DocRouter-Timestamp") }, webhook.TimestampMissing},
		"an old stamp":       {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "1000000000") }, webhook.TimestampStale},
		"a stamp to come":    {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "9000000000") }, webhook.TimestampFuture},
		"no stamp at all":    {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "now") }, webhook.TimestampMalformed},
		"a forger's old one": {func(h http.Header) { h.Del("X-Token"); h.Set("X-DocRouter-Timestamp", "1") }, webhook.TokenMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request("")
			r.Body, r.ContentLength = io.NopCloser(iotest.ErrReader(errRead)), -1
			tc.edit(r.Header)
			if _, refused := b.checked(r); refused == nil || refused.Result != tc.want {
				t.Errorf("%v, want %s", refused, tc.want)
			}
		})
	}
}

func TestATokenInTheBodyIsComparedOnceThatIsThere(t *testing.T) {
	defer func(before *body.Budget) { bodies = before }(bodies)
	for source, texts := range map[string]map[string]webhook.Result{
		"body auth.token": {`{"auth":{"token":"opens"}}`: "", `{"auth":{"token":"x"}}`: webhook.TokenInvalid, `{}`: webhook.TokenMissing,
			`{"auth":{"token":true}}`: webhook.TokenMissing},
		"form token": {"a=1&token=opens": "", "token=x": webhook.TokenInvalid, "a=1": webhook.TokenMissing, "token=opens&token=opens": webhook.TokenInvalid},
	} {
		b := newBench(t, func(g *Guard) { g.Token = source })
		for text, want := range texts {
			bodies = body.NewBudget(2 * aShare)
			_, refused := b.checked(b.request(text))
			if want == "" && refused != nil || want != "" && (refused == nil || refused.Result != want) {
				t.Errorf("%s of %s: %v, want %q", source, text, refused, want)
			}
			if verified := aShareIsFree(); verified != (refused == nil) {
				t.Errorf("%s of %s: verified %v", source, text, verified)
			}
		}
	}
}

const aShare = 8 << 10

// aShareIsFree reports whether nothing of what unverified bodies may take is taken.
func aShareIsFree() bool {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("x", aShare)))
	other, err := body.Read(httptest.NewRecorder(), r, aShare, time.Millisecond, bodies)
	if err != nil {
		return false
	}
	other.Drop()
	return true
}

func TestTheSecretThatMatchedIsKnown(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	b := newBench(t, func(g *Guard) {
		g.Secret = []Secret{{Value: "old", Until: &soon}, {Value: "new"}, {Value: "opens"}}
	})
	for i, token := range []string{"old", "new", "opens"} {
		r := b.request(event("1"))
		r.Header.Set("X-Token", token)
		if d, refused := b.checked(r); refused != nil || d.event.Secret != i {
			t.Errorf("%s: secret %d, %v", token, d.event.Secret, refused)
		}
	}
	b.guard.now = func() time.Time { return soon } // no longer taken
	r := b.request(event("1"))
	r.Header.Set("X-Token", "old")
	if _, refused := b.checked(r); refused == nil || refused.Result != webhook.TokenInvalid {
		t.Errorf("a secret at its until: %v", refused)
	}
}

// A stranger's request must not make the guard look secrets up.
func TestPerRequestSecretsAreNotLookedUpForHeadersThatAreOutOfOrder(t *testing.T) {
	b := newBench(t, func(g *Guard) {
		g.ProviderName, g.Token, g.Scope = "struktr", "", "{tenant}"
		g.Secret = []Secret{{Value: "{tenant_secret}", PerRequest: true}}
	})
	for name, tc := range map[string]struct {
		signature string
		want      webhook.Result
	}{
		"no signature": {"", webhook.SignatureMissing},
		"malformed":    {"sha256=xyz", webhook.SignatureMalformed},
		"in order":     {"sha256=" + strings.Repeat("0", 64), webhook.SignatureInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/in", strings.NewReader("{}"))
			if tc.signature != "" {
				r.Header.Set("X-Struktr-Signature", tc.signature)
			}
			r.Header.Set("X-Struktr-Timestamp", time.Now().UTC().Format(time.RFC3339))
			r = prepared(r, httptest.NewRecorder())
			repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
			asked := false
			repl.Map(func(key string) (any, bool) {
				asked = asked || key == "tenant_secret"
				return "secret", key == "tenant_secret"
			})
			_, refused := b.checked(r)
			if refused == nil || refused.Result != tc.want || asked != (tc.want == webhook.SignatureInvalid) {
				t.Errorf("%v, want %s; looked up %v", refused, tc.want, asked)
			}
		})
	}
}

func TestAnUnsignedProvidersStampsAreCheckedAllTheSame(t *testing.T) {
	b := newBench(t, func(g *Guard) {
		g.ProviderName, g.Token, g.Secret, g.InsecureUnsigned = "okrapdf", "", nil, true
	})
	for stamp, want := range map[string]webhook.Result{
		time.Now().UTC().Format(time.RFC3339):                      "",
		time.Now().Add(-time.Hour).UTC().Format(time.RFC3339):      webhook.TimestampStale,
		time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339): webhook.TimestampFuture,
	} {
		d, refused := b.checked(b.request(`{"event":"e","document_id":"d","timestamp":"` + stamp + `"}`))
		if want == "" && (refused != nil || d.event.Sent.IsZero()) || want != "" && (refused == nil || refused.Result != want) {
			t.Errorf("%s: %v, want %q", stamp, refused, want)
		}
	}
}
