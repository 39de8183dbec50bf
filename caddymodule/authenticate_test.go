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
)

var errRead = errors.New("the body was read")

// checked runs a request up to where its sender is known.
func (b *bench) checked(r *http.Request) (*delivery, *refusal) {
	d := b.guard.newDelivery(httptest.NewRecorder(), r)
	b.t.Cleanup(d.end)
	if refused := d.receive(); refused != nil {
		return d, refused
	}
	return d, d.authenticate()
}

// What the headers alone can tell is told before any of the body is read.
func TestTheBodyIsNotReadInVain(t *testing.T) {
	b := newBench(t, nil)
	for name, tc := range map[string]struct {
		edit func(h http.Header)
		want Result
	}{
		"no token":           {func(h http.Header) { h.Del("X-Token") }, ResultTokenMissing},
		"a wrong token":      {func(h http.Header) { h.Set("X-Token", "open") }, ResultTokenInvalid},
		"a longer token":     {func(h http.Header) { h.Set("X-Token", "opens!") }, ResultTokenInvalid},
		"two tokens":         {func(h http.Header) { h.Add("X-Token", "opens") }, ResultTokenInvalid},
		"no stamp":           {func(h http.Header) { h.Del("X-DocRouter-Timestamp") }, ResultTimestampMissing},
		"an old stamp":       {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "1000000000") }, ResultTimestampStale},
		"a stamp to come":    {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "9000000000") }, ResultTimestampFuture},
		"no stamp at all":    {func(h http.Header) { h.Set("X-DocRouter-Timestamp", "now") }, ResultTimestampMalformed},
		"a forger's old one": {func(h http.Header) { h.Del("X-Token"); h.Set("X-DocRouter-Timestamp", "1") }, ResultTokenMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request("")
			r.Body, r.ContentLength = io.NopCloser(iotest.ErrReader(errRead)), -1
			tc.edit(r.Header)
			if _, refused := b.checked(r); refused == nil || refused.result != tc.want {
				t.Errorf("%v, want %s", refused, tc.want)
			}
		})
	}
}

func TestATokenInTheBodyIsComparedOnceThatIsThere(t *testing.T) {
	for source, bodies := range map[string]map[string]Result{
		"body auth.token": {`{"auth":{"token":"opens"}}`: "", `{"auth":{"token":"x"}}`: ResultTokenInvalid, `{}`: ResultTokenMissing,
			`{"auth":{"token":true}}`: ResultTokenMissing},
		"form token": {"a=1&token=opens": "", "token=x": ResultTokenInvalid, "a=1": ResultTokenMissing, "token=opens&token=opens": ResultTokenInvalid},
	} {
		b := newBench(t, func(g *Guard) { g.Token = source })
		for text, want := range bodies {
			d, refused := b.checked(b.request(text))
			if want == "" && refused != nil || want != "" && (refused == nil || refused.result != want) {
				t.Errorf("%s of %s: %v, want %q", source, text, refused, want)
			}
			if d.body.verified != (refused == nil) {
				t.Errorf("%s of %s: verified %v", source, text, d.body.verified)
			}
		}
	}
}

func TestTheSecretThatMatchedIsKnown(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	b := newBench(t, func(g *Guard) {
		g.Secret = []Secret{{Value: "old", Until: &soon}, {Value: "new"}, {Value: "opens"}}
	})
	for i, token := range []string{"old", "new", "opens"} {
		r := b.request(event("1"))
		r.Header.Set("X-Token", token)
		if d, refused := b.checked(r); refused != nil || d.verdict.Secret != i {
			t.Errorf("%s: secret %d, %v", token, d.verdict.Secret, refused)
		}
	}
	b.guard.now = func() time.Time { return soon } // no longer taken
	r := b.request(event("1"))
	r.Header.Set("X-Token", "old")
	if _, refused := b.checked(r); refused == nil || refused.result != ResultTokenInvalid {
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
		want      Result
	}{
		"no signature": {"", ResultSignatureMissing},
		"malformed":    {"sha256=xyz", ResultSignatureMalformed},
		"in order":     {"sha256=" + strings.Repeat("0", 64), ResultSignatureInvalid},
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
			if refused == nil || refused.result != tc.want || asked != (tc.want == ResultSignatureInvalid) {
				t.Errorf("%v, want %s; looked up %v", refused, tc.want, asked)
			}
		})
	}
}

func TestAnUnsignedProvidersStampsAreCheckedAllTheSame(t *testing.T) {
	b := newBench(t, func(g *Guard) {
		g.ProviderName, g.Token, g.Secret, g.InsecureUnsigned = "okrapdf", "", nil, true
	})
	for stamp, want := range map[string]Result{
		time.Now().UTC().Format(time.RFC3339):                      "",
		time.Now().Add(-time.Hour).UTC().Format(time.RFC3339):      ResultTimestampStale,
		time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339): ResultTimestampFuture,
	} {
		d, refused := b.checked(b.request(`{"event":"e","document_id":"d","timestamp":"` + stamp + `"}`))
		if want == "" && (refused != nil || d.verdict.Time.IsZero()) || want != "" && (refused == nil || refused.result != want) {
			t.Errorf("%s: %v, want %q", stamp, refused, want)
		}
	}
}
