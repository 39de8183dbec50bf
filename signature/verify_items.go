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

// matchItems verifies the one element of the list. Elements that are signed on their own
// have nothing that ties them together: a captured one could be put into another batch, or
// twice into the same. So a batch of several is refused; Adyen sends one.
func (m *matcher) matchItems(verdict *Verdict) error {
	requests, err := elements(m.r, m.scheme.spec.Items)
	if err != nil {
		return err
	}
	if len(requests) > 1 {
		return refuse(SignatureMalformed, "body %s has %d elements that are signed one by one: captured ones could be among them, so there may be one", m.scheme.spec.Items, len(requests))
	}
	var in Inspection
	if err := readSignatures(&in, m.scheme.lines, &requests[0], true); err != nil {
		return err
	}
	return m.match(verdict, &in, &requests[0])
}
