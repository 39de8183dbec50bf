package explain

import (
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// others are the senders of the catalogue that may have sent the request, without the
// one that was named.
type others struct {
	judge   *judge
	all     config.Catalogue
	names   []string
	request signature.Request
	absent  map[string]bool // whose signature the request does not have, whatever the secret
	tried   int
}

func newOthers(j *judge, named string, all config.Catalogue, r signature.Request) *others {
	o := &others{judge: j, all: all, request: r, absent: make(map[string]bool)}
	for _, name := range all.Names() {
		if name == named {
			continue
		}
		o.names = append(o.names, name)
		o.absent[name] = !carries(r, all[name])
	}
	return o
}

// carries reports whether a request may have a provider's signature, by the names of
// its headers alone. It rules out most senders before their lines are compiled.
func carries(r signature.Request, p config.Provider) bool {
	if token, err := config.ParseToken(p.Token); err == nil {
		return token.Source.Kind != signature.SourceHeader || hasHeader(r, token.Source.Name)
	}
	return slices.ContainsFunc(p.Signature, func(s signature.SignatureSpec) bool {
		return s.Header == "" || strings.HasSuffix(s.Header, "*") || hasHeader(r, s.Header)
	})
}

// signing names the senders whose signature matches, the likeliest first.
func (o *others) signing(secret string) []string {
	var list []likeness
	for _, name := range o.names {
		o.tried++
		if o.absent[name] {
			continue
		}
		refused := o.judge.reading(&mistake.Reading{Provider: o.all[name], Lines: "sender " + name, Secret: secret, Request: o.request})
		switch {
		case refused == nil:
			list = append(list, like(name, o.all[name], o.request))
		case refused.Result == webhook.SignatureMissing, refused.Result == webhook.SignatureMalformed, refused.Result == webhook.TokenMissing:
			o.absent[name] = true
		}
	}
	return namesOf(ranked(list))
}

// maxSenders is how many senders are named: many sign alike.
const maxSenders = 5

// cause names the senders that the request verifies as.
func (o *others) cause(names []string) mistake.Cause {
	why := "The request is signed as " + listed(names, "as do") + " signs."
	if o.all[names[0]].Token != "" {
		why = "The request has the token of " + listed(names, "or of") + "."
	}
	return mistake.Cause{Code: "other_sender", Why: why, Do: "Guard this route with `webhook_guard " + names[0] + "`."}
}

// listed writes the first name, and the others in brackets.
func listed(names []string, also string) string {
	if len(names) == 1 {
		return names[0]
	}
	list := names[0] + " (" + also + " " + strings.Join(names[1:min(len(names), maxSenders)], ", ")
	if len(names) > maxSenders {
		list += " and others"
	}
	return list + ")"
}
