package explain

import (
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// token judges senders that send the secret itself. It also judges those that neither
// sign nor send one, whose secret people put into the URL.
func (w *walk) token() {
	if w.sender.Rules.Token == nil {
		w.tokenAnywhere()
		return
	}
	if w.in.Secret == "" {
		w.report.fail("token", webhook.TokenInvalid, "there is no secret to compare it with: give one")
		return
	}
	own := w.search.tokenAt(w.in.Provider.Token)
	refused := w.judge.reading(&own.Reading)
	if refused == nil {
		w.report.pass("token", "the secret matches")
		return
	}
	if refused.Result == webhook.TokenMissing {
		w.report.fail("token", refused.Result, "the request has none in %s", w.in.Provider.Token)
	} else {
		w.report.refuse("token", refused)
		for _, m := range mistake.SecretText(own) {
			w.search.tried++
			if r := own.Without(m); w.judge.reading(&r) == nil {
				w.report.cause(m.Causes...)
				return
			}
		}
	}
	w.tokenElsewhere(refused.Result == webhook.TokenMissing)
}

// tokenElsewhere looks for the secret everywhere in the request. missing reports that there
// is no token at its own place.
func (w *walk) tokenElsewhere(missing bool) {
	place := w.search.secretPlace()
	// A header of a sender's own says who sent it.
	if strings.HasPrefix(place, "header ") && place != "header Authorization" && w.otherSenders() {
		return
	}
	if place != "" {
		w.report.cause(mistake.Cause{Code: "token_place", Why: "The secret is in the request, but as `" + place + "`.", Do: "Say `token " + place + "`."})
		return
	}
	if w.otherSenders() || !missing {
		return
	}
	w.report.cause(mistake.Cause{Code: "no_token", Why: "The request has no token where the provider sends it.", Do: noSecretThere})
}

func (w *walk) tokenAnywhere() {
	if w.in.Secret == "" {
		w.report.skip("token", "the provider signs nothing; with the secret given, it is looked for in the request")
		return
	}
	place := w.search.secretPlace()
	if place == "" {
		w.report.fail("token", webhook.TokenMissing, "the provider signs nothing, and the secret is nowhere in the request")
		w.report.cause(mistake.Cause{Code: "token_missing", Why: "Nothing shows who sent the request.",
			Do: "Register the URL with a secret token in its query, https://…?token=…, and say `token query token`."})
		return
	}
	w.report.pass("token", "the secret is in the request: `token %s`", place)
}
