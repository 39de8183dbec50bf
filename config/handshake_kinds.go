package config

import (
	"net/http"
	"regexp"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// handshakeKind is a kind of handshake as the catalogue knows it.
type handshakeKind struct {
	checks []Check

	// argument names what the line's second word is; "" where it has none.
	argument string

	// payload is the form field that the sender signs, where it does not sign
	// the body; for kinds that sign what anybody sends.
	payload signature.Source
}

// The bounds of what is echoed or signed.
var (
	// harmless is the bound wherever a sender's challenges allow it. No text of
	// these characters is a JSON object or a form, so none is an event.
	harmless = Bound{regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)}

	// microsoftToken: Graph's validation tokens are opaque by its documentation
	// and prose in fact ("Validation: Testing client application reachability
	// for subscription Request-Id: " and a UUID), SharePoint's are UUIDs. Spaces,
	// colons and base64 are let through, what HTML or JSON is made of is not.
	microsoftToken = Bound{regexp.MustCompile(`^[A-Za-z0-9_ :.+/=~-]{1,256}$`)}

	// braintreeChallenge is what Braintree's own libraries sign (lib/braintree/
	// webhook_notification_gateway.js): never a notification's base64.
	braintreeChallenge = Bound{regexp.MustCompile(`^[a-f0-9]{20,32}$`)}

	number = Bound{regexp.MustCompile(`^[0-9]{1,20}$`)}
)

// The methods that checks use.
var (
	byGET  = []string{http.MethodGet}
	byHEAD = []string{http.MethodHead}
	byPOST = []string{http.MethodPost}
)

func inHeader(name string) signature.Source {
	return signature.Source{Kind: signature.SourceHeader, Name: http.CanonicalHeaderKey(name)}
}

func inQuery(key string) signature.Source {
	return signature.Source{Kind: signature.SourceQuery, Name: key}
}

func inBody(path string) signature.Source {
	return signature.Source{Kind: signature.SourceBody, Name: path}
}

func inForm(field string) signature.Source {
	return signature.Source{Kind: signature.SourceForm, Name: field}
}

func with(source signature.Source) Condition {
	return Condition{Source: source, is: isThere}
}

func without(source signature.Source) Condition {
	return Condition{Source: source, is: isAbsent}
}

func equal(source signature.Source, value string) Condition {
	return Condition{Source: source, is: isEqual, value: value}
}

func when(conditions ...Condition) []Condition { return conditions }

func replyText(body string) Reply {
	return Reply{Status: http.StatusOK, Type: plainText, Body: body}
}

func replyJSON(body string) Reply {
	return Reply{Status: http.StatusOK, Type: jsonText, Body: body}
}

func replyHeader(name, value string) Reply {
	return Reply{Status: http.StatusOK, Header: name, Value: value}
}

var replyEmpty = Reply{Status: http.StatusOK}

// Checks that several senders share.
var (
	// A signed POST whose list of events is empty.
	noEvents = Check{
		Methods: byPOST, When: when(Condition{Source: inBody("events"), is: isEmptyList}),
		Reply: replyEmpty,
	}

	// GET ?challenge=…, to be sent back.
	getChallenge = Check{
		Methods: byGET, When: when(with(inQuery("challenge"))), Proof: ProofNone,
		Challenge: inQuery("challenge"), Bound: harmless, Reply: replyText("{challenge}"),
	}

	// The new subscription's secret in a header, to be sent back, which is all
	// that a gateway can do with it: it gets into the configuration through its
	// owner, who has it from the sender's API. Until then no event of that
	// subscription verifies, so a stranger who has his own confirmed gains nothing.
	hookSecret = Check{
		Methods: byPOST, When: when(with(inHeader("X-Hook-Secret")), without(inBody("events")), without(inBody("data"))),
		Proof: ProofNone, Challenge: inHeader("X-Hook-Secret"), Bound: harmless, Secret: true,
		Reply: replyHeader("X-Hook-Secret", "{challenge}"),
	}

	// POST ?validationToken=… without notifications, SharePoint in small letters.
	microsoft = []Check{microsoftCheck("validationToken"), microsoftCheck("validationtoken")}

	// HEAD, to see whether anybody is there.
	anybodyThere = Check{Methods: byHEAD, Proof: ProofNone, Reply: replyEmpty}
)

func microsoftCheck(key string) Check {
	return Check{
		Methods: byPOST, When: when(with(inQuery(key)), without(inBody("value"))), Proof: ProofNone,
		Challenge: inQuery(key), Bound: microsoftToken, Reply: replyText("{challenge}"),
	}
}

// handshakes are the kinds, named after the sender whose check it is. A provider
// of one's own may use any of them. The catalogue's entries say their kind's
// name, without the argument that only a user knows:
//
//	asana, clio                       the same
//	braintree                         braintree <public key>
//	discord, dropbox, exact-online    the same
//	front-application                 front
//	line, linkedin, mandrill          the same
//	meta-facebook-whatsapp-instagram  meta <verify token>
//	microsoft-graph, -sharepoint      the same
//	monday, nylas, ringcentral        the same
//	okta-event-hooks                  okta
//	oura                              oura <verification token>
//	slack, smartcar, tebex, trello    the same
//	strava                            strava <verify token>
//	terraform-cloud                   terraform
//	twitch, woocommerce, xero, zoom   the same
//	twitter-x                         x
//	vercel-log-drains                 vercel <x-vercel-verify code>
//
// notion has none: its check brings the secret, which nobody here may write down.
var handshakes = map[string]handshakeKind{
	// https://developers.asana.com/reference/createwebhook; its answer has the
	// secret. Heartbeats are signed and have no events (docs/webhooks-guide).
	"asana": {checks: []Check{hookSecret, noEvents}},

	// https://developer.paypal.com/braintree/docs/guides/webhooks/parse/node
	"braintree": {
		argument: "the public key",
		payload:  inForm("bt_payload"),
		checks: []Check{{
			Methods: byGET, When: when(with(inQuery("bt_challenge"))), Proof: ProofNone,
			Challenge: inQuery("bt_challenge"), Bound: braintreeChallenge,
			MAC: &MAC{"sha1", "hex"}, Reply: replyText("{argument}|{mac}"),
		}},
	},

	// https://docs.developers.clio.com/guides/clio-manage/webhooks/
	"clio": {checks: []Check{hookSecret}},

	// https://docs.discord.com/developers/interactions/overview
	// and https://docs.discord.com/developers/events/webhook-events: an interaction's
	// ping is what an event's type is, but for the event.
	"discord": {checks: []Check{
		{Methods: byPOST, When: when(equal(inBody("type"), "1"), without(inBody("event"))), Reply: replyJSON(`{"type":1}`)},
		{
			Methods: byPOST, When: when(equal(inBody("type"), "0"), without(inBody("event"))),
			Reply: Reply{Status: http.StatusNoContent, Type: jsonText},
		},
	}},

	// https://www.dropbox.com/developers/reference/webhooks
	"dropbox": {checks: []Check{getChallenge}},

	// https://support.exactonline.com/community/s/article/All-All-DNO-Content-webhookstut
	"exact-online": {checks: []Check{{Methods: byPOST, When: when(noContent), Proof: ProofNone, Reply: replyEmpty}}},

	// https://dev.frontapp.com/docs/application-webhooks: signed as an event is;
	// the challenge itself is not under the signature, so it is bounded all the same.
	"front": {checks: []Check{{
		Methods: byPOST, When: when(with(inHeader("X-Front-Challenge"))),
		Challenge: inHeader("X-Front-Challenge"), Bound: harmless, Reply: replyText("{challenge}"),
	}}},

	// https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/
	"line": {checks: []Check{noEvents}},

	// https://learn.microsoft.com/en-us/linkedin/shared/api-guide/webhook-validation
	"linkedin": {checks: []Check{{
		Methods: byGET, When: when(with(inQuery("challengeCode"))), Proof: ProofNone,
		Challenge: inQuery("challengeCode"), Bound: harmless, MAC: &MAC{"sha256", "hex"},
		Reply: replyJSON(`{"challengeCode":"{challenge}","challengeResponse":"{mac}"}`),
	}}},

	// https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/:
	// a POST only where HEAD fails, and signed with a key that everybody knows.
	"mandrill": {checks: []Check{anybodyThere}},

	// https://developers.facebook.com/docs/graph-api/webhooks/getting-started
	"meta": {argument: "the verify token", checks: []Check{{
		Methods: byGET, When: when(equal(inQuery("hub.mode"), "subscribe")),
		Proof: ProofToken, Token: inQuery("hub.verify_token"),
		Challenge: inQuery("hub.challenge"), Bound: harmless, Reply: replyText("{challenge}"),
	}}},

	// https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks
	"microsoft-graph": {checks: microsoft},
	// https://learn.microsoft.com/en-us/sharepoint/dev/apis/webhooks/overview-sharepoint-webhooks
	"microsoft-sharepoint": {checks: microsoft},

	// https://developer.monday.com/api-reference/reference/webhooks: without a
	// signature, or with one.
	"monday": {checks: []Check{{
		Methods: byPOST, When: when(with(inBody("challenge")), without(inBody("event"))), Proof: ProofNone,
		Challenge: inBody("challenge"), Bound: harmless, Reply: replyJSON(`{"challenge":"{challenge}"}`),
	}}},

	// https://developer.nylas.com/docs/v3/notifications/webhooks/
	"nylas": {checks: []Check{getChallenge}},

	// https://developer.okta.com/docs/concepts/event-hooks/
	"okta": {checks: []Check{{
		Methods: byGET, When: when(with(inHeader("X-Okta-Verification-Challenge"))), Proof: ProofNone,
		Challenge: inHeader("X-Okta-Verification-Challenge"), Bound: harmless,
		Reply: replyJSON(`{"verification":"{challenge}"}`),
	}}},

	// https://cloud.ouraring.com/v2/docs
	"oura": {argument: "the verification token", checks: []Check{{
		Methods: byGET, When: when(with(inQuery("challenge"))),
		Proof: ProofToken, Token: inQuery("verification_token"),
		Challenge: inQuery("challenge"), Bound: harmless, Reply: replyJSON(`{"challenge":"{challenge}"}`),
	}}},

	// https://developers.ringcentral.com/guide/notifications/webhooks/creating-webhooks;
	// an event may have the header too.
	"ringcentral": {checks: []Check{{
		Methods: byPOST, When: when(with(inHeader("Validation-Token")), without(inBody("event"))), Proof: ProofNone,
		Challenge: inHeader("Validation-Token"), Bound: harmless,
		Reply: replyHeader("Validation-Token", "{challenge}"),
	}}},

	// https://api.slack.com/events/url_verification
	"slack": {checks: []Check{{
		Methods: byPOST, When: when(equal(inBody("type"), "url_verification")),
		Challenge: inBody("challenge"), Bound: harmless, Reply: replyText("{challenge}"),
	}}},

	// https://smartcar.com/docs/integrations/webhooks/payload-verification
	"smartcar": {checks: []Check{{
		Methods: byPOST, When: when(equal(inBody("eventType"), "VERIFY")),
		Challenge: inBody("data.challenge"), Bound: harmless, MAC: &MAC{"sha256", "hex"},
		Reply: replyJSON(`{"challenge":"{mac}"}`),
	}}},

	// https://developers.strava.com/docs/webhooks/
	"strava": {argument: "the verify token", checks: []Check{{
		Methods: byGET, When: when(equal(inQuery("hub.mode"), "subscribe")),
		Proof: ProofToken, Token: inQuery("hub.verify_token"),
		Challenge: inQuery("hub.challenge"), Bound: harmless, Reply: replyJSON(`{"hub.challenge":"{challenge}"}`),
	}}},

	// https://docs.tebex.io/developers/webhooks/overview
	"tebex": {checks: []Check{{
		Methods: byPOST, When: when(equal(inBody("type"), "validation.webhook")),
		Challenge: inBody("id"), Bound: harmless, Reply: replyJSON(`{"id":"{challenge}"}`),
	}}},

	// https://developer.hashicorp.com/terraform/cloud-docs/workspaces/settings/notifications
	"terraform": {checks: []Check{{
		Methods: byPOST, When: when(equal(inBody("notifications.0.trigger"), "verification")), Reply: replyEmpty,
	}}},

	// https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/
	"trello": {checks: []Check{anybodyThere}},

	// https://dev.twitch.tv/docs/eventsub/handling-webhook-events/:
	// the header is not signed, so the body must have a challenge too, as no event has.
	"twitch": {checks: []Check{{
		Methods: byPOST, When: when(equal(inHeader("Twitch-Eventsub-Message-Type"), "webhook_callback_verification"), without(inBody("event"))),
		Challenge: inBody("challenge"), Bound: harmless, Reply: replyText("{challenge}"),
	}}},

	// https://vercel.com/docs/drains/security: the code that Vercel shows at set-up, which
	// is no secret. Its check has no signature and brings no logs.
	"vercel": {argument: "the x-vercel-verify code", checks: []Check{
		{Methods: []string{http.MethodGet, http.MethodHead}, Proof: ProofNone, Reply: replyHeader("X-Vercel-Verify", "{argument}")},
		{Methods: byPOST, When: when(noContent), Proof: ProofNone, Reply: replyHeader("X-Vercel-Verify", "{argument}")},
	}},

	// https://woocommerce.github.io/woocommerce-rest-api-docs/#webhooks: an
	// unsigned form with the webhook's number and nothing else.
	"woocommerce": {checks: []Check{{
		Methods: byPOST, When: when(with(inForm("webhook_id"))), Proof: ProofNone,
		Challenge: inForm("webhook_id"), Bound: number, Reply: replyEmpty,
	}}},

	// https://docs.x.com/x-api/webhooks/quickstart; its tokens are a UUID in base64url.
	"x": {checks: []Check{{
		Methods: byGET, When: when(with(inQuery("crc_token"))), Proof: ProofNone,
		Challenge: inQuery("crc_token"), Bound: harmless, MAC: &MAC{"sha256", "base64"},
		Reply: replyJSON(`{"response_token":"sha256={mac}"}`),
	}}},

	// https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/:
	// the intent to receive. Those with a wrong signature get the usual 401.
	"xero": {checks: []Check{noEvents}},

	// https://developers.zoom.us/docs/api/webhooks/
	"zoom": {checks: []Check{{
		Methods: byPOST, When: when(equal(inBody("event"), "endpoint.url_validation")),
		Challenge: inBody("payload.plainToken"), Bound: harmless, MAC: &MAC{"sha256", "hex"},
		Reply: replyJSON(`{"plainToken":"{challenge}","encryptedToken":"{mac}"}`),
	}}},
}

var noContent = Condition{is: isNoContent}
