package explain

import (
	"net/textproto"
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
	return slices.ContainsFunc(p.Signature, func(s signature.SignatureSpec) bool {
		return s.Header == "" || strings.HasSuffix(s.Header, "*") || len(r.Header[textproto.CanonicalMIMEHeaderKey(s.Header)]) > 0
	})
}

// signing names the senders whose signature matches.
func (o *others) signing(secret string) []string {
	var names []string
	for _, name := range o.names {
		o.tried++
		if o.absent[name] {
			continue
		}
		refused := o.judge.reading(&mistake.Reading{Provider: o.all[name], Lines: "sender " + name, Secret: secret, Request: o.request})
		switch {
		case refused == nil:
			names = append(names, name)
		case refused.Result == webhook.SignatureMissing, refused.Result == webhook.SignatureMalformed:
			o.absent[name] = true
		}
	}
	return names
}

// maxSenders is how many senders are named: many sign alike.
const maxSenders = 5

func otherSender(names []string) mistake.Cause {
	list := names[0]
	if len(names) > 1 {
		also := names[1:min(len(names), maxSenders)]
		list += " (as do " + strings.Join(also, ", ")
		if len(names) > maxSenders {
			list += " and others"
		}
		list += ")"
	}
	return mistake.Cause{Code: "other_sender", Why: "The request is signed as " + list + " signs.", Do: "Guard this route with `webhook_guard " + names[0] + "`."}
}
