package explain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// method judges the method, which the guard checks first.
func (w *walk) method() {
	judgement := w.sender.Begin(w.in.Request, webhook.Fixed{}, w.in.Now)
	if refused := judgement.Head(); refused != nil && refused.Result == webhook.MethodNotAllowed {
		w.report.fail(stepMethod, refused.Result, "it is not one that the provider uses: %s", strings.Join(w.sender.Rules.Methods, ", "))
		return
	}
	w.report.pass(stepMethod, "%s", w.request.Method)
}

// size judges the length of the body.
func (w *walk) size() {
	if size, most := int64(len(w.request.Body)), w.sender.Rules.MaxBody; size > most {
		w.report.fail(stepSize, webhook.BodyTooLarge, "the body has %d bytes, max_body is %d", size, most)
		return
	}
	w.report.pass(stepSize, "%d bytes", len(w.request.Body))
}

// signature judges headers, stamp and signature. Most captures are stale by the time
// they are explained, so the signature is judged even then.
func (w *walk) signature() {
	const unseen = "not looked at"
	if refused := w.judge.head(&w.search.given.Reading); ofSignature(refused) {
		w.report.refuse("headers", refused)
		w.report.skip(stepStamp, unseen)
		w.report.skip("signature", unseen)
		if !w.unsigned(refused) {
			w.find()
			if refused.Result == webhook.SignatureMissing && len(w.report.Causes) == 0 {
				w.report.cause(noSignature) // the headers with names like a signature's hold none
			}
		}
		return
	}
	w.report.pass("headers", "%s", signatureHeaders(w.sender.Rules.Scheme.Spec().Signatures))
	if _, err := w.sender.NewKeys(w.in.Secret); err != nil {
		w.report.fail("secret", "", "%s", err)
		w.report.skip("signature", unseen)
		w.find()
		return
	}
	w.stamp()
	if refused := w.search.match(); refused != nil {
		w.report.refuse("signature", refused)
		if refused.Result != webhook.SignatureMissing || !w.unsigned(refused) {
			w.find()
		}
		return
	}
	w.report.pass("signature", "the secret matches")
}

func signatureHeaders(signatures []signature.SignatureSpec) string {
	var names []string
	for _, s := range signatures {
		if name := cmp.Or(s.Header, s.Source.String()); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "the signature is there and well-formed"
	}
	return strings.Join(names, " or ") + " is there and well-formed"
}

// find looks for mistakes that explain the signature.
func (w *walk) find() {
	found := w.search.run()
	w.report.cause(found.causes...)
	w.report.Senders, w.report.CutShort = found.senders, found.cutShort
}

// id states how the event is identified, which the guard does last.
func (w *walk) id() {
	if !w.report.Verified {
		w.report.skip("id", "not looked at")
		return
	}
	event, refused := w.sender.Judge(w.in.Request, w.in.Request.Body, tenant{w.judge, w.sender, w.in.Secret}, w.in.Now)
	signed, content := w.sender.Rules.IDSigned(), !event.Keys.Content.IsZero()
	switch {
	case refused != nil:
		w.report.refuse("id", refused)
	case event.ID != nil && signed:
		w.report.pass("id", "there, and under the signature")
	case event.ID != nil && content:
		w.report.pass("id", "there, but not signed: copies are told by their content too")
	case event.ID != nil:
		w.report.pass("id", "there, but not signed")
	case content:
		w.report.pass("id", "none: copies are told by their content")
	default:
		w.report.pass("id", "none, and no content: copies cannot be told")
	}
}

// handshake recognises the sender's check of the endpoint, which is no event.
func (w *walk) handshake() {
	if !w.report.unproven() {
		return
	}
	h, err := config.ParseHandshake(w.in.Provider.Handshake)
	if err != nil || h == nil {
		return
	}
	if webhook.IsCheck(h, &w.in.Request) {
		w.report.Causes = []mistake.Cause{{Code: "handshake", Why: "This is the sender's check of the endpoint, not an event.",
			Do: "The guard answers it by the provider's line handshake " + h.Kind + "; nothing else has to be done."}}
	}
}
