package signature

import (
	"encoding/json"
	"time"

	"github.com/tidwall/gjson"
)

// maxItems bounds the elements of one request: each costs a MAC per secret.
const maxItems = 1000

// elements are the items of a request, each as the body of a request of its
// own.
func (s *Scheme) elements(r *Request) ([]Request, error) {
	raw, kind := readJSON(r.Body, s.items)
	list := gjson.Parse(raw)
	switch {
	case kind == jsonMissing:
		return nil, refuse(SignatureMissing, "no body %s", s.items)
	case kind != jsonNested || !list.IsArray():
		return nil, refuse(SignatureMalformed, "body %s is not a list", s.items)
	case !json.Valid(r.Body) || !uniqueJSON(string(r.Body), s.items):
		return nil, refuse(SignatureMalformed, "body %s was sent more than once, or is not in JSON", s.items)
	}
	var requests []Request
	list.ForEach(func(_, element gjson.Result) bool {
		one := *r
		one.Body = []byte(element.Raw)
		requests = append(requests, one)
		return len(requests) <= maxItems
	})
	switch {
	case len(requests) == 0:
		return nil, refuse(SignatureMissing, "body %s is empty", s.items)
	case len(requests) > maxItems:
		return nil, refuse(SignatureMalformed, "body %s has more than %d elements", s.items, maxItems)
	}
	return requests, nil
}

// matchItems wants one secret under which every element holds: one that does
// not would be an event that nobody signed.
func (s *Scheme) matchItems(verdict *Verdict, r *Request, secrets []Secret, now time.Time) error {
	requests, err := s.elements(r)
	if err != nil {
		return err
	}
	inspections := make([]Inspection, len(requests))
	for i := range requests {
		if err := s.readSignatures(&inspections[i], &requests[i], true); err != nil {
			return err
		}
	}
	last := error(refuse(SignatureInvalid, "no secret is in force"))
	for i := range secrets {
		err := error(nil)
		for j := range requests {
			if err = s.match(verdict, &inspections[j], r, &requests[j], secrets[i:i+1], now); err != nil {
				break
			}
		}
		if err == nil {
			verdict.Secret = i
			return nil
		}
		if secrets[i].InForce(now) {
			last = err
		}
	}
	return last
}
