// Package explain says why a captured request verifies or does not. It states the
// guard's checks one by one, as package webhook judges them, and where the signature
// does not hold it tries the mistakes that people make. It works on facts alone, and
// what it returns holds no secret, no signature and nothing of a body.
//
// Data walks one way. Explain begins a walk (walk.go) and takes its steps (steps.go,
// stamp.go, token.go). A signature that does not hold goes to the search (search.go,
// senders.go), which takes mistakes from package mistake. Each reading is judged in
// judge.go, and what was found is in report.go.
package explain

import (
	"errors"
	"fmt"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// ErrNoSecret is returned where there is nothing to compare a signature with.
var ErrNoSecret = errors.New("the provider signs, so the secret is needed")

// Explain judges the request. The error says that it cannot be judged at all.
func Explain(in Input) (*Report, error) {
	sender, err := webhook.New(in.Name, in.Provider)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", in.Name, err)
	}
	signed := sender.Rules.Scheme.Signed()
	w := newWalk(in, sender)
	if signed && in.Secret == "" && !ofSignature(w.judge.head(&w.search.given.Reading)) {
		return nil, ErrNoSecret
	}
	w.method()
	w.size()
	if signed {
		w.signature()
	} else {
		w.token()
		w.stamp()
	}
	w.id()
	w.handshake()
	w.report.Tried = w.search.tried + w.search.others.tried
	return w.report, nil
}
