package explain

import (
	"cmp"
	"net/textproto"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// common are the senders that most requests come from, the likeliest first. The generic
// entries are the first of all: many senders send what they describe. Gitea comes before
// GitHub, as it sends GitHub's headers beside its own, and Gogs'.
var common = []string{
	"standard-webhooks", "svix", "gitea-forgejo",
	"github", "stripe", "shopify", "slack", "twilio", "meta-facebook-whatsapp-instagram",
	"gitlab-signing-token", "gitlab-secret-token", "telegram-bot", "discord", "square", "sendgrid", "mailgun", "hubspot-v3", "zoom",
	"linear", "woocommerce", "intercom", "typeform", "calendly", "bitbucket-cloud", "jira-cloud", "zendesk",
	"docusign", "trello", "notion", "paddle", "line", "clerk", "openai", "postmark", "mandrill", "paystack", "razorpay", "sentry",
	"pagerduty", "twitch", "vercel", "contentful", "sanity", "asana", "monday", "dropbox", "box", "xero", "lemonsqueezy", "resend",
}

// likeness is how well the headers of a request fit a sender.
type likeness struct {
	name string
	// seen and missing count the headers that the sender's lines name. Of several
	// signature lines, one is enough.
	seen, missing int
}

// like compares the names of a request's headers with a sender's lines.
func like(name string, p config.Provider, r signature.Request) likeness {
	l := likeness{name: name}
	count := func(there bool) {
		if there {
			l.seen++
		} else {
			l.missing++
		}
	}
	if len(p.Signature) > 0 && slices.ContainsFunc(p.Signature, inHeader) {
		count(slices.ContainsFunc(p.Signature, func(s signature.SignatureSpec) bool { return inHeader(s) && hasHeader(r, headerOf(s)) }))
	}
	sources := slices.Clone(p.ID)
	sources = append(sources, p.Event)
	if p.Timestamp != nil {
		sources = append(sources, p.Timestamp.Source)
	}
	if token, err := config.ParseToken(p.Token); err == nil {
		sources = append(sources, token.Source)
	}
	for _, s := range sources {
		if s.Kind == signature.SourceHeader {
			count(hasHeader(r, s.Name))
		}
	}
	return l
}

func inHeader(s signature.SignatureSpec) bool { return headerOf(s) != "" }

// headerOf is the header that holds a signature, or the JSON with it; "" where none does.
func headerOf(s signature.SignatureSpec) string {
	name, _ := s.Source.Header()
	return cmp.Or(s.Header, name)
}

// ranked orders senders: those with all of their headers in the request first, of these
// those with most of them, and of equal ones the most common.
func ranked(list []likeness) []likeness {
	place := func(name string) int {
		if i := slices.Index(common, name); i >= 0 {
			return i
		}
		return len(common)
	}
	slices.SortFunc(list, func(a, b likeness) int {
		return cmp.Or(cmp.Compare(a.missing, b.missing), cmp.Compare(b.seen, a.seen),
			cmp.Compare(place(a.name), place(b.name)), strings.Compare(a.name, b.name))
	})
	return list
}

func namesOf(list []likeness) []string {
	var names []string
	for _, l := range list {
		names = append(names, l.name)
	}
	return names
}

func hasHeader(r signature.Request, name string) bool {
	return len(r.Header[textproto.CanonicalMIMEHeaderKey(strings.TrimSuffix(name, "*"))]) > 0
}

// alike names the senders whose headers the request has, however it is signed. It is
// empty where too many send such headers to say which one it was.
func (o *others) alike() []string {
	var list []likeness
	for _, name := range o.names {
		l := like(name, o.all[name], o.request)
		if l.seen > 0 && l.missing == 0 && (carries(o.request, o.all[name]) || o.all[name].Token != "") && !o.absent[name] {
			list = append(list, l)
		}
	}
	list = ranked(list)
	if len(list) == 0 {
		return nil
	}
	equal := slices.IndexFunc(list, func(l likeness) bool { return l.seen != list[0].seen })
	if equal < 0 {
		equal = len(list)
	}
	if equal > maxSenders && !slices.Contains(common, list[0].name) {
		return nil
	}
	return namesOf(list[:equal])
}
