package signature

import "strings"

// item is what one item of a header holds.
type item struct {
	signature, timestamp, id, nonce string
}

// matchItem finds the pattern of the item at one place. Text decides before
// place does. The last positional {signature} also takes what comes after it.
func (f *format) matchItem(found *item, text string, index int) bool {
	for i := range f.patterns {
		p := &f.patterns[i]
		if p.positional {
			continue
		}
		if p.match(found, text) {
			return true
		}
	}
	if index >= len(f.patterns) {
		index = len(f.patterns) - 1
		if !f.patterns[index].parts.has(varSignature) {
			return false
		}
	}
	p := &f.patterns[index]
	return p.positional && p.match(found, text)
}

// match reads text into found as the pattern says. It returns false where the
// text does not match as a whole, and found is then undefined. Parts are never empty.
func (p *pattern) match(found *item, text string) bool {
	*found = item{}
	for i := range p.pieces {
		piece := &p.pieces[i]
		if piece.text != "" {
			rest, ok := strings.CutPrefix(text, piece.text)
			if !ok {
				return false
			}
			text = rest
			continue
		}
		end := len(text)
		if i+1 < len(p.pieces) {
			// Text always follows a part. At the end of the pattern it is
			// the end of the item, before that the first place where it is.
			next := p.pieces[i+1].text
			if i+2 == len(p.pieces) {
				if !strings.HasSuffix(text, next) {
					return false
				}
				end -= len(next)
			} else if end = strings.Index(text, next); end < 0 {
				return false
			}
		}
		if end == 0 {
			return false
		}
		found.set(piece.part, text[:end])
		text = text[end:]
	}
	return text == ""
}

func (it *item) set(part variable, value string) {
	switch part {
	case varSignature:
		it.signature = value
	case varTimestamp:
		it.timestamp = value
	case varID:
		it.id = value
	case varNonce:
		it.nonce = value
	}
}

// add copies the parts of another item. It returns false where one is set already.
func (it *item) add(more *item) bool {
	return addPart(&it.timestamp, more.timestamp) && addPart(&it.id, more.id) && addPart(&it.nonce, more.nonce)
}

func addPart(to *string, from string) bool {
	if from == "" {
		return true
	}
	if *to != "" {
		return false
	}
	*to = from
	return true
}
