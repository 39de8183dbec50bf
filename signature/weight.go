package signature

// What reading a value out of a body takes in memory at most, as multiples of the body:
// the value, what it is decoded from, and the room that a growing buffer leaves behind.
const (
	weightJSON     = 3
	weightForm     = 4 // of either type
	weightFormJSON = 6
	weightSorted   = 5 // the fields of a form, their order and their text
	weightToken    = 4 // the text, and the claims that are decoded from it
	weightItems    = 5 // the list, and each of its elements
	weightDetached = 9 // a text in base64url of what is in it already, which Ed25519 signs
	weightCopy     = 3 // the body itself, where a function or an algorithm needs all of it
	weightPHP      = 9 // JSON that is written anew, where one character may become six
)

// Weight is how many times its own size a body may take in memory until the request is
// verified: once for itself, and more where verifying reads values out of it. A forgery
// is as expensive, so whoever bounds the memory of bodies counts by it.
func Weight(s *Scheme) int {
	most := 0
	if s.spec.Items != "" {
		most = weightItems
	}
	for i := range s.lines {
		most = max(most, s.lines[i].weight())
	}
	if s.signsTimestamp { // a stamp under the MAC is read for that
		most = max(most, s.stampSource.Weight())
	}
	if s.signsID {
		most = max(most, s.idSource.Weight())
	}
	for _, c := range s.signed {
		most = max(most, contentWeight(c))
	}
	for _, c := range s.claims {
		most = max(most, contentWeight(c))
	}
	return 1 + most
}

// Weight is what reading the source takes, as a multiple of the body.
func (s Source) Weight() int {
	switch s.Kind {
	case SourceBody:
		return weightJSON
	case SourceForm:
		return weightForm
	case SourceFormJSON:
		return weightFormJSON
	}
	return 0
}

func (l *signatureLine) weight() int {
	switch {
	case l.source == wholeBody:
		return weightToken
	case algorithms[l.algorithm].name == nameEd25519 && l.detached:
		return weightDetached
	case algorithms[l.algorithm].name == nameEd25519:
		return max(weightCopy, l.source.Weight()) // it signs the text itself, not a digest
	}
	return l.source.Weight()
}

func contentWeight(c content) int {
	var t *Template
	switch c := c.(type) {
	case *templateContent:
		t = c.Template
	case *claim:
		t = c.Template
	case twilioContent:
		return weightSorted
	default:
		return 0
	}
	most := 0
	for _, p := range t.pieces {
		if p.placeholder != nil {
			most = max(most, p.placeholder.weight())
		}
	}
	return most
}

func (ph *placeholder) weight() int {
	most := 0
	switch ph.variable {
	case varBody:
		if !ph.isRaw() && ph.funcs[0] != "sha256" && ph.funcs[0] != functionCRC32 {
			most = 2 * weightCopy
		}
	case varBodyPath:
		most = weightJSON + 1
	case varFormField:
		most = weightForm + 1
	case varFormJSON:
		most = weightFormJSON + 1
	case varFormSorted:
		most = weightSorted
	}
	for _, f := range ph.funcs {
		if f == "php_json" {
			most = max(most, weightPHP)
		}
	}
	return most
}
