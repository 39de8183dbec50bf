package explain

import (
	"crypto/subtle"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// token judges senders that send the secret itself, and those that sign
// nothing, whose secret people put into the URL.
func (x *explainer) token() {
	token := x.rules.Token
	if token == nil {
		x.tokenAnywhere()
		return
	}
	got, found, malformed := webhook.ReadToken(*token, &x.request)
	switch {
	case x.in.Secret == "":
		x.fail("token", "token_invalid", "there is no secret to compare it with: give one")
	case !found:
		x.fail("token", "token_missing", "the request has none in %s", x.in.Provider.Token)
		x.tokenElsewhere()
	case malformed || got == "":
		x.fail("token", "token_invalid", "it is empty, sent more than once, or not in the form expected")
		x.tokenElsewhere()
	case same(got, x.in.Secret):
		x.step("token", Passed, "the secret matches")
	default:
		x.fail("token", "token_invalid", "the secret does not match")
		x.tokenChanged(got)
	}
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// tokenChanged tries the mistakes with the secret's text.
func (x *explainer) tokenChanged(got string) {
	for _, c := range secretTexts(x.in.Provider, x.in.Secret) {
		x.report.Tried++
		if same(got, c.text) {
			x.cause(c.cause)
			return
		}
	}
	x.tokenElsewhere()
}

// tokenElsewhere looks for the secret in all that the request carries.
func (x *explainer) tokenElsewhere() {
	if place := x.findSecret(); place != "" {
		x.cause(Cause{"token_place", "The secret is in the request, but as `" + place + "`.", "Say `token " + place + "`."})
		return
	}
	if senders := x.senders(x.in.Request, x.in.Secret); len(senders) > 0 {
		x.report.Senders = senders
		x.cause(otherSender(senders))
	}
}

func (x *explainer) tokenAnywhere() {
	if x.in.Secret == "" {
		x.step("token", Skipped, "the provider signs nothing; with the secret given, it is looked for in the request")
		return
	}
	place := x.findSecret()
	if place == "" {
		x.fail("token", "token_missing", "the provider signs nothing, and the secret is nowhere in the request")
		x.cause(Cause{"token_missing", "Nothing shows who sent the request.",
			"Register the URL with a secret token in its query, https://…?token=…, and say `token query token`."})
		return
	}
	x.step("token", Passed, "the secret is in the request: `token %s`", place)
}

// findSecret names the place that holds the secret, in the words of a token
// line.
func (x *explainer) findSecret() string {
	if x.in.Secret == "" {
		return ""
	}
	places := []string{"bearer", "basic"}
	for _, name := range slices.Sorted(maps.Keys(x.request.Header)) {
		places = append(places, "header "+name)
	}
	query, _ := url.ParseQuery(x.request.Query)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if plainName(name) {
			places = append(places, "query "+name)
		}
	}
	for _, place := range places {
		token, err := config.ParseToken(place)
		if err != nil {
			continue
		}
		if got, found, malformed := webhook.ReadToken(token, &x.request); found && !malformed && same(got, x.in.Secret) {
			return place
		}
	}
	return ""
}

// plainName: a key that can stand in a line as it is, and holds nothing else.
func plainName(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}
