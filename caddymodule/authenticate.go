package caddymodule

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// authenticate makes sure that the request is the sender's, and recent. What
// the headers alone can tell is told before any of the body is read.
func (d *delivery) authenticate() *refusal {
	now := d.guard.now()
	rules := d.guard.rules
	secrets, inspection, refused := d.checkHeaders(now)
	if refused != nil {
		return refused
	}
	d.bodyAsked = true
	if d.body, refused = readBody(d.w, d.r, rules.MaxBody, rules.BodyTimeout, bodies); refused != nil {
		return refused
	}
	d.facts.Body = d.body.data
	d.guard.counts.bodyBytes.Observe(float64(len(d.body.data)))
	if rules.Token != nil && rules.Token.InBody() {
		if refused := d.checkToken(secrets, now); refused != nil {
			return refused
		}
	}
	// A slow upload does not make a stamp stale: it was fresh on arrival.
	if err := d.verify(&inspection, secrets, now); err != nil {
		return refuseVerdict(err)
	}
	d.body.markVerified()
	d.countVerified(now)
	return nil
}

// checkHeaders judges what can be judged before the body is there. Secrets are
// looked up as late as that allows: a request without a signature costs nothing.
func (d *delivery) checkHeaders(now time.Time) (secretSet, signature.Inspection, *refusal) {
	token := d.guard.rules.Token
	if token != nil && !token.InBody() {
		secrets, refused := d.secrets()
		if refused == nil {
			refused = d.checkToken(secrets, now)
		}
		if refused != nil {
			return secrets, signature.Inspection{}, refused
		}
	}
	inspection, err := d.inspect(now)
	if err != nil {
		return secretSet{}, inspection, refuseVerdict(err)
	}
	secrets, refused := d.secrets()
	return secrets, inspection, refused
}

// inspect judges the signature's headers and the stamp, where it is a header.
func (d *delivery) inspect(now time.Time) (signature.Inspection, error) {
	scheme, window := d.guard.rules.Scheme, d.guard.rules.Window
	if scheme.Signed() {
		return scheme.Inspect(&d.facts, window, now)
	}
	return signature.Inspection{}, scheme.CheckHeaderStamps(&d.facts, window, now)
}

// verify judges the whole request.
func (d *delivery) verify(inspection *signature.Inspection, secrets secretSet, now time.Time) (err error) {
	scheme, window := d.guard.rules.Scheme, d.guard.rules.Window
	matched := d.verdict.Secret // by the token
	if scheme.Signed() {
		d.verdict, err = scheme.Authenticate(inspection, &d.facts, secrets.signing, window, now)
		return err
	}
	d.verdict, err = scheme.CheckStamps(&d.facts, window, now)
	d.verdict.Secret = matched
	return err
}

// countVerified notes which secret matched and how old the event is.
func (d *delivery) countVerified(now time.Time) {
	g := d.guard
	d.when = d.verdict.EventTime
	if d.when.IsZero() {
		d.when = d.verdict.Time
	}
	if !d.when.IsZero() {
		g.counts.eventAge.Observe(now.Sub(d.when).Seconds())
	}
	if g.authenticates() {
		g.counts.secret(d.verdict.Secret).Inc()
	}
}

// checkToken compares the token with each secret in force, in constant time.
// Both sides are digested first, so that not even a length shows.
func (d *delivery) checkToken(secrets secretSet, now time.Time) *refusal {
	token, found, malformed := d.guard.rules.Token.Read(&d.facts)
	switch {
	case !found:
		return refuse(ResultTokenMissing, "the request has no token where the provider sends it")
	case malformed || token == "":
		return refuse(ResultTokenInvalid, "the token is empty, sent more than once, or not in the form expected")
	}
	got := sha256.Sum256([]byte(token))
	for i, secret := range secrets.tokens {
		want := sha256.Sum256([]byte(secret.text))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 && (secret.until.IsZero() || now.Before(secret.until)) {
			d.verdict.Secret = i
			return nil
		}
	}
	return refuse(ResultTokenInvalid, "no secret in force matches the token")
}

// removeToken takes the token out of what the app gets. A token in the body
// stays: the app gets the bytes that were sent.
func (g *Guard) removeToken(r *http.Request) {
	if g.rules.Token == nil {
		return
	}
	switch source := g.rules.Token.Source; source.Kind {
	case signature.SourceHeader:
		r.Header.Del(source.Name)
	case signature.SourceQuery:
		r.URL.RawQuery = withoutKey(r.URL.RawQuery, source.Name)
		if path, query, ok := strings.Cut(r.RequestURI, "?"); ok {
			if query = withoutKey(query, source.Name); query != "" {
				path += "?" + query
			}
			r.RequestURI = path
		}
	}
}
