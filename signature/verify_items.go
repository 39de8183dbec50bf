package signature

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// maxItems bounds the elements of one request: each costs a MAC per secret.
const maxItems = 1000

// Elements returns the items of a list in the body, each as the body of a request of its
// own. It refuses a list that is empty, too long, or there more than once.
func Elements(r *Request, path string) ([]Request, error) { return elements(r, path) }

// elements are the items of a request, each as the body of a request of its
// own.
func elements(r *Request, path string) ([]Request, error) {
	raw, kind := readJSON(r.Body, path)
	list := gjson.Parse(raw)
	switch {
	case kind == jsonMissing:
		return nil, refuse(SignatureMissing, "no body %s", path)
	case kind != jsonNested || !list.IsArray():
		return nil, refuse(SignatureMalformed, "body %s is not a list", path)
	case !json.Valid(r.Body) || !uniqueJSON(string(r.Body), path):
		return nil, refuse(SignatureMalformed, "body %s was sent more than once, or is not in JSON", path)
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
		return nil, refuse(SignatureMissing, "body %s is empty", path)
	case len(requests) > maxItems:
		return nil, refuse(SignatureMalformed, "body %s has more than %d elements", path, maxItems)
	}
	return requests, nil
}

// matchItems requires one secret that verifies every element. An element that does not
// verify would be an event that nobody signed.
func (m *matcher) matchItems(verdict *Verdict) error {
	requests, err := elements(m.r, m.scheme.spec.Items)
	if err != nil {
		return err
	}
	inspections := make([]Inspection, len(requests))
	for i := range requests {
		if err := readSignatures(&inspections[i], m.scheme.lines, &requests[i], true); err != nil {
			return err
		}
	}
	last := error(refuse(SignatureInvalid, "no secret is in force"))
	for i := range m.secrets {
		alone := *m
		alone.secrets = m.secrets[i : i+1]
		err := error(nil)
		for j := range requests {
			if err = alone.match(verdict, &inspections[j], &requests[j]); err != nil {
				break
			}
		}
		if err == nil {
			verdict.Secret = i
			return nil
		}
		if m.secrets[i].InForce(m.now) {
			last = err
		}
	}
	return last
}
