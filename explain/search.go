package explain

import (
	"maps"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// try is one reading of what was given.
type try struct {
	provider config.Provider
	scheme   *signature.Scheme // nil where the provider was changed
	changed  string            // how: the same words for the same lines
	secret   string
	request  signature.Request
}

// change turns one reading into another.
type change struct {
	causes []Cause
	apply  func(*try)
	last   bool // builds on what another change has made
}

// changes lists the mistakes of one kind.
type changes func(x *explainer, t try) []change

// areas are the kinds, the likeliest first. One mistake is looked for in each,
// then two in each pair of kinds.
var areas = []changes{
	secretChanges, bodyEndChanges, bodyTextChanges, urlChanges, stampChanges, headerChanges, schemeChanges, signedChanges,
}

// budget bounds the bytes that pairs are tried on: some seconds of work.
const budget = 1 << 30

// search finds the mistake, or the pair of them, under which the signature
// holds.
func (x *explainer) search() {
	own := try{provider: x.in.Provider, scheme: x.rules.Scheme, secret: x.in.Secret, request: x.request}
	found := make([][]change, len(areas))
	senders := x.senders(x.in.Request, x.in.Secret)
	for i, area := range areas {
		if i == len(areas)-1 && len(senders) > 0 {
			break // a sender that is known says more than a template does
		}
		found[i] = area(x, own)
		for _, c := range found[i] {
			if x.holds(own, c) {
				x.report.Senders = senders
				x.cause(c.causes...)
				return
			}
		}
	}
	if len(senders) > 0 {
		x.report.Senders = senders
		x.cause(otherSender(senders))
		return
	}
	if x.searchSenders(own, found[0]) || x.searchPairs(own, found) {
		return
	}
	if said := strings.Join(own.request.Header["Content-Length"], ","); said != "" && said != strconv.Itoa(len(own.request.Body)) {
		x.cause(Cause{"body_length", "The body is not as long as the request's Content-Length says: it was cut or changed.",
			"Capture the whole body, byte for byte."})
	}
}

func (x *explainer) searchPairs(own try, found [][]change) bool {
	left := budget
	for i, first := range found {
		for _, second := range found[i+1:] {
			for _, a := range first {
				for _, b := range second {
					if left -= len(own.request.Body) + 1<<10; left < 0 {
						x.report.CutShort = true
						return false
					}
					if x.holds(own, a, b) {
						x.cause(a.causes...)
						x.cause(b.causes...)
						return true
					}
				}
			}
		}
	}
	return false
}

// holds says whether the signature matches after the changes.
func (x *explainer) holds(t try, changes ...change) bool {
	x.report.Tried++
	for _, last := range []bool{false, true} {
		for _, c := range changes {
			if c.last == last {
				c.apply(&t)
			}
		}
	}
	return t.verifies(x)
}

func (t *try) verifies(x *explainer) bool {
	if t.scheme == nil {
		t.scheme = x.compiled(t.changed, t.provider)
	}
	if t.scheme == nil {
		return false
	}
	key, err := t.scheme.NewKey(t.secret)
	if err != nil {
		return false
	}
	_, err = t.scheme.Verify(&t.request, []signature.Secret{{Key: key}}, wide, x.in.Now)
	return err == nil
}

// setHeader changes a header in a copy of all of them.
func (t *try) setHeader(name, value string) {
	t.request.Header = maps.Clone(t.request.Header)
	t.request.Header[name] = []string{value}
}

// setProvider changes the provider's lines. how tells this change from others.
func (t *try) setProvider(how string, f func(*config.Provider)) {
	t.provider.Signature = slices.Clone(t.provider.Signature)
	f(&t.provider)
	t.scheme, t.changed = nil, t.changed+"|"+how
}

// compiled is the scheme of a changed provider, nil where there is none. One
// change meets hundreds of others, so each scheme is compiled once.
func (x *explainer) compiled(changed string, p config.Provider) *signature.Scheme {
	scheme, ok := x.schemes[changed]
	if !ok {
		if rules, err := p.Resolve(); err == nil && rules.Scheme.Signed() {
			scheme = rules.Scheme
		}
		x.schemes[changed] = scheme
	}
	return scheme
}

// maxSenders is how many senders are named: many sign alike.
const maxSenders = 5

// senders names those of the catalogue whose scheme matches.
func (x *explainer) senders(r signature.Request, secret string) []string {
	var names []string
	for _, name := range x.in.Senders.Names() {
		if name == x.in.Name {
			continue
		}
		x.report.Tried++
		t := try{provider: x.in.Senders[name], changed: "sender " + name, secret: secret, request: r}
		if t.verifies(x) {
			names = append(names, name)
		}
	}
	return names
}

// searchSenders tries the mistakes with the secret on every sender's scheme.
func (x *explainer) searchSenders(own try, secrets []change) bool {
	for _, c := range secrets {
		t := own
		c.apply(&t)
		if t.scheme == nil {
			continue // another encoding: the senders bring their own
		}
		if senders := x.senders(x.in.Request, t.secret); len(senders) > 0 {
			x.report.Senders = senders
			x.cause(c.causes...)
			x.cause(otherSender(senders))
			return true
		}
	}
	return false
}

func otherSender(names []string) Cause {
	list := names[0]
	if len(names) > 1 {
		also := names[1:min(len(names), maxSenders)]
		list += " (as do " + strings.Join(also, ", ")
		if len(names) > maxSenders {
			list += " and others"
		}
		list += ")"
	}
	return Cause{"other_sender", "The request is signed as " + list + " signs.", "Guard this route with `webhook_guard " + names[0] + "`."}
}

func canonical(name string) string { return textproto.CanonicalMIMEHeaderKey(name) }
