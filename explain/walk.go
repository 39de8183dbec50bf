package explain

import (
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// Input is a request and what it is judged by.
type Input struct {
	// Name is the provider's. Provider has its lines, overlaid with the user's.
	Name     string
	Provider config.Provider

	Secret  string
	Request signature.Request
	Now     time.Time

	// Unstripped is the body before curl removed its line breaks, or nil.
	Unstripped []byte

	// Senders are the others whose schemes are tried.
	Senders config.Catalogue
}

// walk takes a request through the guard's checks, in their order. After a failed check
// it goes on as if that check had passed.
type walk struct {
	in      Input
	sender  *webhook.Sender
	request signature.Request // with the URL that the sender signs
	judge   *judge
	search  search
	report  *Report
}

func newWalk(in Input, sender *webhook.Sender) *walk {
	w := &walk{in: in, sender: sender, request: sender.SignedURL(in.Request), judge: newJudge(in.Now), report: &Report{Verified: true}}
	w.search = search{judge: w.judge, others: newOthers(w.judge, in.Name, in.Senders, in.Request), given: mistake.Case{
		Reading:    mistake.Reading{Provider: in.Provider, Secret: in.Secret, Request: w.request},
		Unstripped: in.Unstripped,
		Senders:    in.Senders,
	}}
	if sender.Rules.PublicURL != nil {
		w.search.given.Sent = &in.Request
	}
	return w
}
