package explain

import (
	"slices"
	"strconv"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/explain/mistake"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// areas are the kinds of mistakes, the likeliest first. The search tries each mistake
// alone, then each pair of different kinds. The secret is the first of them.
var areas = []struct {
	list func(mistake.Case) []mistake.Mistake
	// inside reports that the mistakes change only the key or the signed bytes, and no
	// header.
	inside bool
	// known reports that a known sender under whose scheme the signature holds says more.
	known bool
}{
	{list: mistake.Secret, inside: true}, {list: mistake.BodyEnds}, {list: mistake.BodyText}, {list: mistake.URL},
	{list: mistake.Foreign}, {list: mistake.Stamp}, {list: mistake.Header}, {list: mistake.Scheme}, {list: mistake.Signed, inside: true, known: true},
}

// candidate is a mistake that does not explain the signature alone.
type candidate struct {
	mistake.Mistake
	inside bool
	// unread reports that the headers have no signature of the expected form, whatever
	// the key and the signed bytes.
	unread bool
}

// excludes reports whether the second mistake cannot help beside the first.
func (c *candidate) excludes(second *candidate) bool { return c.unread && second.inside }

// budget bounds the bytes hashed for pairs: some seconds of work.
const budget = 1 << 30

// search looks for the reading under which a signature holds.
type search struct {
	judge  *judge
	given  mistake.Case
	others *others
	tried  int
}

// finding is the result of a search; without causes, it found nothing.
type finding struct {
	causes   []mistake.Cause
	senders  []string
	cutShort bool
}

// run finds the mistake, or the pair of mistakes, that explains the signature.
func (s *search) run() finding {
	senders := s.others.signing(s.given.Secret)
	found := make([][]candidate, len(areas))
	for i, area := range areas {
		if area.known && len(senders) > 0 {
			continue
		}
		for _, m := range area.list(s.given) {
			r := s.given.Without(m)
			if s.holds(&r) {
				return finding{causes: m.Causes, senders: senders}
			}
			found[i] = append(found[i], candidate{m, area.inside, ofSignature(s.judge.head(&r))})
		}
	}
	if len(senders) > 0 {
		return finding{causes: []mistake.Cause{s.others.cause(senders)}, senders: senders}
	}
	if result := s.otherAndSecret(found[0]); result.causes != nil {
		return result
	}
	result := s.pairs(found)
	if result.causes == nil {
		result.causes = cutBody(s.given.Request)
	}
	return result
}

// match judges the signature alone. A stamp that cannot be read is tried in other
// formats.
func (s *search) match() *webhook.Refusal {
	refused := s.judge.reading(&s.given.Reading)
	if refused == nil || ofSignature(refused) {
		return refused
	}
	for _, format := range []string{"", "unix", "unix_ms", "rfc3339"} {
		r := s.given.Reading
		r.Provider = mistake.StampFormat(r.Provider, format)
		r.Provider.EventTime = nil
		r.Lines = "stamp " + format
		if s.judge.reading(&r) == nil {
			return nil
		}
	}
	return webhook.Refuse(webhook.SignatureInvalid, "no secret matches")
}

// tokenAt is the request as a provider would send it that has its secret at a place and
// no stamps.
func (s *search) tokenAt(place string) mistake.Case {
	return mistake.Case{Reading: mistake.Reading{
		Provider: config.Provider{Token: place}, Lines: "token " + place, Secret: s.given.Secret, Request: s.given.Request,
	}}
}

// secretPlace returns the place in the request that holds the secret, as a token line writes it.
func (s *search) secretPlace() string {
	if s.given.Secret == "" {
		return ""
	}
	for _, place := range mistake.TokenPlaces(s.given.Request) {
		if r := s.tokenAt(place).Reading; s.judge.reading(&r) == nil {
			return place
		}
	}
	return ""
}

// otherAndSecret tries the mistakes with the secret on every other sender.
func (s *search) otherAndSecret(secrets []candidate) finding {
	for _, m := range secrets {
		r := s.given.Without(m.Mistake)
		if r.Lines != s.given.Lines {
			continue // another encoding: the others have their own
		}
		if senders := s.others.signing(r.Secret); len(senders) > 0 {
			return finding{causes: append(slices.Clone(m.Causes), s.others.cause(senders)), senders: senders}
		}
	}
	return finding{}
}

// pairs tries two mistakes of different kinds at once.
func (s *search) pairs(found [][]candidate) finding {
	left := budget
	for i, first := range found {
		for _, second := range found[i+1:] {
			for a := range first {
				for b := range second {
					if left -= len(s.given.Request.Body) + 1<<10; left < 0 {
						return finding{cutShort: true}
					}
					if s.bothHold(&first[a], &second[b]) {
						return finding{causes: slices.Concat(first[a].Causes, second[b].Causes)}
					}
				}
			}
		}
	}
	return finding{}
}

func (s *search) bothHold(a, b *candidate) bool {
	if a.excludes(b) || b.excludes(a) {
		s.tried++
		return false
	}
	r := s.given.Without(a.Mistake, b.Mistake)
	return s.holds(&r)
}

// holds reports whether the signature of a reading matches.
func (s *search) holds(r *mistake.Reading) bool {
	s.tried++
	return s.judge.reading(r) == nil
}

// cutBody explains a body that is not as long as the request says.
func cutBody(r signature.Request) []mistake.Cause {
	length := strings.Join(r.Header["Content-Length"], ",")
	if length == "" || length == strconv.Itoa(len(r.Body)) {
		return nil
	}
	return []mistake.Cause{{Code: "body_length", Why: "The body is not as long as the request's Content-Length says: it was cut or changed.",
		Do: "Capture the whole body, byte for byte."}}
}
