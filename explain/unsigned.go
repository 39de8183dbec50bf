package explain

import (
	"net/textproto"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// noSecretThere is what to look at where a sender has sent no signature.
const noSecretThere = "See whether a secret is set for this webhook at the sender, and whether this is a test ping, which some senders do not sign. " +
	"Otherwise a proxy before Caddy drops the header."

// unsigned explains a request without the provider's signature, or with an empty one. It
// reports false where the request may be signed all the same.
func (w *walk) unsigned(refused *webhook.Refusal) bool {
	signatures := w.sender.Rules.Scheme.Spec().Signatures
	if name := emptySignature(signatures, w.request); name != "" {
		w.report.cause(mistake.Cause{Code: "signature_empty", Why: "The header " + name + " is there, and no signature is in it.", Do: noSecretThere})
		return true
	}
	if refused.Result != webhook.SignatureMissing {
		return false
	}
	if w.otherSenders() {
		return true
	}
	if mistake.MayBeSigned(w.request.Header) {
		return false
	}
	w.report.cause(noSignature)
	return true
}

var noSignature = mistake.Cause{Code: "no_signature", Why: "The request has no signature at all.", Do: noSecretThere}

// otherSenders names the senders whose signature the request has, or else those whose
// headers it has.
func (w *walk) otherSenders() bool {
	if senders := w.search.others.signing(w.in.Secret); len(senders) > 0 {
		w.report.Senders = senders
		w.report.cause(w.search.others.cause(senders))
		return true
	}
	senders := w.search.others.alike()
	if len(senders) == 0 {
		return false
	}
	w.report.cause(mistake.Cause{Code: "looks_like", Why: "The request has the headers of " + listed(senders, "or of") + ", and not those of " + w.in.Name + ".",
		Do: "Guard this route with `webhook_guard " + senders[0] + "`. Give explain that name and the secret that is set there, to see whether it verifies."})
	return true
}

// emptySignature returns the header that is there without a signature in it: empty, or
// with nothing after what comes before the signature (sha256=). It is "" where one of the
// provider's headers has something.
func emptySignature(signatures []signature.SignatureSpec, r signature.Request) string {
	empty := ""
	for _, s := range signatures {
		if !inHeader(s) {
			return ""
		}
		for _, value := range r.Header[textproto.CanonicalMIMEHeaderKey(headerOf(s))] {
			before := beforeSignature(s.Format)
			// One character alone could be the padding at the end of a signature.
			if value = strings.TrimSpace(value); value != "" && (len(before) < 2 || !strings.HasSuffix(value, before)) {
				return ""
			}
			empty = headerOf(s)
		}
	}
	return empty
}

// beforeSignature is the text of a format right before the signature.
func beforeSignature(format string) string {
	before, _, found := strings.Cut(format, "{signature}")
	if !found {
		return ""
	}
	return strings.TrimSpace(before[strings.LastIndexByte(before, '}')+1:])
}
