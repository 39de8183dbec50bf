package signature

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// maxItems bounds the elements of one request: each costs a MAC per secret.
const maxItems = 1000

// compileItems checks the line items, for senders that sign each element of a
// list on its own. The element then takes the place of the body: for body
// paths in signed and for the place of the signature.
func (s *Scheme) compileItems() error {
	path := s.spec.Items
	if path == "" {
		return nil
	}
	if _, err := splitPath(path); err != nil {
		return fmt.Errorf("items: %w", err)
	}
	if s.spec.Named != "" {
		return fmt.Errorf("items: the scheme %s has its own content, so remove this line", s.spec.Named)
	}
	if len(s.lines) == 0 {
		return errors.New("items: there is no signature line to go with it")
	}
	for i := range s.lines {
		if l := &s.lines[i]; l.source.Kind != SourceBody {
			return fmt.Errorf("items: each element holds its own signature, so write signature body <path in the element> instead of %s", l)
		}
	}
	s.items = path
	return nil
}

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

// inItem is a path of the whole body as it is called in the element it leads
// into.
func (s *Scheme) inItem(path string) (string, bool) {
	outer, err := splitPath(s.items)
	if err != nil {
		return "", false
	}
	segments := splitUnescaped(path, '.')
	if len(segments) <= len(outer)+1 || !holdsPath(s.items, path) {
		return "", false
	}
	if _, err := strconv.Atoi(segments[len(outer)]); err != nil {
		return "", false
	}
	return joinPath(segments[len(outer)+1:]), true
}

// joinPath puts segments that were cut at their dots together again.
func joinPath(segments []string) string { return strings.Join(segments, ".") }
