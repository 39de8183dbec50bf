package signature

import (
	"slices"
	"time"
)

// NamesKey reports whether each request names the key that it was signed with.
func NamesKey(s *Scheme) bool { return s.spec.KeyName != (Source{}) || s.spec.KeyByID }

// KeyName reads the name of the key that an inspected request says it was signed with. The
// body is there now. A request that no key could verify is refused, so that no key is
// fetched for it.
func KeyName(s *Scheme, in *Inspection, r *Request, w Window, now time.Time) (string, error) {
	all := in
	if s.inBody {
		read := in.copy()
		if err := readSignatures(&read, s.lines, r, true); err != nil {
			return "", err
		}
		all = &read
	}
	if t := s.spec.Timestamp; t != nil && t.Source.inBody() {
		c := clock{s, r, w, now}
		if err := c.stamp(&readTime{}, &Parts{}); err != nil {
			return "", err
		}
	}
	if err := checkAllowed(s.spec.Allowed, r, nil); err != nil {
		return "", err
	}
	if s.spec.KeyByID {
		return keyIDOf(all)
	}
	name, err := readOneName(s.spec.KeyName, r)
	if err == nil && name == "" {
		err = refuse(SignatureMalformed, "no %s, which names the key", s.spec.KeyName)
	}
	return name, err
}

// readOneName reads the name of a key, which may be there once.
func readOneName(source Source, r *Request) (string, error) {
	if source == (Source{}) {
		return "", nil
	}
	value := source.Read(r, Parts{})
	if value.Repeated || value.Bad || source.Kind == SourceBody && !uniqueJSON(string(r.Body), source.Name) {
		return "", refuse(SignatureMalformed, "%s, which names the key, was sent more than once or cannot be read", source)
	}
	return value.Text, nil
}

// keyIDOf is the ID of the key that the signatures of a request name: all of them the same.
func keyIDOf(in *Inspection) (string, error) {
	id := ""
	for i := range in.groups.count {
		switch named := in.groups.at(i).keyID; {
		case named == "":
			return "", refuse(SignatureMalformed, "the request does not name the key that signed it")
		case id != "" && id != named:
			return "", refuse(SignatureMalformed, "the request names two keys")
		default:
			id = named
		}
	}
	return id, nil
}

// Allowed is a signed value that has to be one of the user's own, where a sender signs the
// requests of all its customers with one key.
type Allowed struct {
	// Source is where the value is.
	Source Source `json:"source"`
	// Values are those that are accepted.
	Values []string `json:"values,omitempty"`
}

// checkAllowed refuses a request that is signed for somebody else. It proves nothing before
// the signature is verified; the claims of a token are not there before that, and parts is nil.
func checkAllowed(all []Allowed, r *Request, parts *Parts) error {
	for i := range all {
		allowed := &all[i]
		var value Value
		switch {
		case parts != nil:
			value = allowed.Source.Read(r, *parts)
		case allowed.Source.Kind == SourceClaim:
			continue
		default:
			value = allowed.Source.Read(r, Parts{})
		}
		switch {
		case value.Repeated, value.Bad, !value.Found:
			return refuse(SignatureMalformed, "%s is not one text", allowed.Source)
		case !slices.Contains(allowed.Values, value.Text):
			return refuse(SignatureInvalid, "%s is none of those in the allow line", allowed.Source)
		}
	}
	return nil
}
