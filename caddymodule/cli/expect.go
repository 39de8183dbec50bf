package cli

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// expectation is what a request should get from a guard.
type expectation struct {
	refused int  // the status, where it should be refused; else 0
	given   bool // the body was given, so that the event may have been sent before
	unnamed bool // nothing tells copies of the event apart
	unsure  bool // whether anything does is not known
}

// expect judges a request as a guard of the provider would. A guard may have other lines,
// which are known only where --config says them.
func (m *messenger) expect(r *signature.Request, o sendOptions) expectation {
	key := m.key
	if key == nil && m.token != "" {
		key, _ = m.sender.NewKey(m.token)
	}
	var tenant webhook.Fixed
	if key != nil {
		tenant.Keys = []signature.Secret{{Key: key}}
	}
	event, refused := m.sender.Judge(*r, r.Body, tenant, time.Now())
	want := expectation{given: o.body != "", unsure: refused != nil, unnamed: event.Keys == (dedupe.Event{})}
	switch {
	case refused != nil && (o.forge || refused.Result.Status() == http.StatusForbidden && o.age != 0):
		want.refused = refused.Result.Status()
	case o.forge:
		want.refused = http.StatusUnauthorized
	}
	return want
}

// The results of a first copy and of a repetition. A sample may be a handshake, and a
// guard may have an inbox.
var (
	firstResults  = []webhook.Result{webhook.Forwarded, webhook.HandshakeAnswered, webhook.Accepted}
	repeatResults = []webhook.Result{webhook.Duplicate, webhook.HandshakeAnswered, webhook.Queued, webhook.Revived}
)

// check compares an answer with what the nth copy of the request should get, from 0. The
// error says what that is.
func (e expectation) check(got reply, n int) error {
	results := firstResults
	switch {
	case got.err != nil:
		return got.err
	case e.refused != 0:
		if got.status != e.refused || got.result == "" {
			return fmt.Errorf("want a refusal with %d", e.refused)
		}
		return nil
	case n > 0 && !e.unnamed && !e.unsure:
		results = repeatResults
	case e.given || n > 0 && e.unsure:
		results = slices.Concat(firstResults, repeatResults)
	}
	if !slices.Contains(results, got.result) || got.status > 299 {
		return fmt.Errorf("want %s", results[0])
	}
	return nil
}
