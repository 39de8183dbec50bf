package signature

import (
	"bytes"
	"io"
	"net/url"
	"slices"
	"strings"
)

// FormPlan is what will be asked of a form, known before there is one, so that one walk of a
// body finds it all. It does not change, and may be used by many goroutines at once.
type FormPlan struct {
	fields []string // that are read
	json   []jsonPlace
	signed []likeness
}

// jsonPlace is a form_json source, taken apart.
type jsonPlace struct{ name, field, path string }

// likeness is a field that is signed without the whole of its form, and so may have no other
// beside it that an app could take for it.
type likeness struct {
	name  string
	paths [][]string
}

// NewFormPlan makes the plan of a scheme, and of what else is read from its requests. It is
// nil where that is nothing of a form.
func NewFormPlan(s *Scheme, more Reads) *FormPlan {
	plan := &FormPlan{}
	reads := s.Reads()
	reads.Add(more)
	for _, source := range reads.Sources {
		plan.add(source)
	}
	for _, c := range s.signed {
		if t, ok := c.(*templateContent); ok {
			plan.addSigned(t)
		}
	}
	for _, c := range s.claims {
		plan.addSigned(&c.templateContent)
	}
	sorts := s.spec.Named == namedTwilio || slices.ContainsFunc(s.signed, func(c content) bool { return c.uses(varFormSorted) }) ||
		slices.ContainsFunc(s.claims, func(c *claim) bool { return c.uses(varFormSorted) })
	if len(plan.fields) == 0 && !sorts {
		return nil
	}
	return plan
}

func (p *FormPlan) add(s Source) {
	switch s.Kind {
	case SourceForm:
		p.fields = addNew(p.fields, s.Name)
	case SourceFormJSON:
		field, path, err := splitFormJSON(s.Name)
		if err == nil { // the scheme refuses others
			p.fields, p.json = addNew(p.fields, field), append(p.json, jsonPlace{s.Name, field, path})
		}
	}
}

func (p *FormPlan) addSigned(t *templateContent) {
	for _, f := range t.fields {
		if name := fieldOf(nil, f.Source); f.Kind != SourceBody && p.like(name) < 0 {
			p.signed = append(p.signed, likeness{name, fieldPaths(name)})
		}
	}
}

func (p *FormPlan) like(name string) int {
	return slices.IndexFunc(p.signed, func(l likeness) bool { return l.name == name })
}

// ReadOnce has the form of a request read once, as the plan says, whatever of it is asked
// for and how often. Copies of the request share what was read.
func (r *Request) ReadOnce(p *FormPlan) {
	if p != nil {
		r.form = &formReading{plan: p}
	}
}

// formReading is one body's form.
type formReading struct {
	plan *FormPlan
	body []byte // that was read
	read bool

	values []Value // of the plan's fields
	seen   []bool
	alike  []bool // of its signed ones: another looks like it
	odd    bool   // readers see different names in it

	sorted sortedText
}

// sortedText is a form as it is signed by those who sort it.
type sortedText struct {
	made bool
	text []byte
	err  error
}

// formOf is the request's form, with this field in it.
func formOf(r *Request, field string) *formReading {
	f := r.form
	if f == nil || !slices.Contains(f.plan.fields, field) {
		f = &formReading{plan: &FormPlan{fields: []string{field}, signed: []likeness{{field, fieldPaths(field)}}}}
	}
	f.begin(r.Body)
	if f.read {
		return f
	}
	f.read = true
	if boundary, ok := bodyBoundary(r.Body); ok {
		f.readParts(boundary)
	} else {
		f.readPairs()
	}
	return f
}

// sortedOf is the text of the request's form as write makes it of the fields in their order.
// It is made once, for however many spellings of the URL it is signed with.
func sortedOf(r *Request, write func([]formField) ([]byte, error)) ([]byte, error) {
	f := r.form
	if f == nil {
		f = &formReading{plan: &FormPlan{}}
	}
	f.begin(r.Body)
	if s := &f.sorted; !s.made {
		s.made = true
		var fields []formField
		if fields, s.err = sortedForm(r.Body); s.err == nil {
			f.take(fields)
			s.text, s.err = write(fields)
		}
	}
	return f.sorted.text, f.sorted.err
}

// begin forgets what was read of another body. Elements of a list that are signed one by one
// have others.
func (f *formReading) begin(body []byte) {
	if f.values != nil && len(f.body) == len(body) && (len(body) == 0 || &f.body[0] == &body[0]) {
		return
	}
	n := len(f.plan.fields)
	*f = formReading{plan: f.plan, body: body, values: make([]Value, n), seen: make([]bool, n), alike: make([]bool, len(f.plan.signed))}
}

// take takes the fields of the plan out of all that there are, in order. Where fields may be
// signed without the whole form, it leaves them to the walk that compares their names.
func (f *formReading) take(fields []formField) {
	if len(f.plan.signed) > 0 {
		return
	}
	f.read = true
	for i, name := range f.plan.fields {
		at, found := slices.BinarySearchFunc(fields, name, func(field formField, name string) int { return strings.Compare(field.key, name) })
		if found {
			values := fields[at].values
			f.values[i] = Value{Text: values[0], Found: values[0] != "", Repeated: len(values) > 1}
		}
	}
}

// placeOfJSON takes a form_json source apart, as the plan has it where there is one.
func placeOfJSON(r *Request, name string) (field, path string, err error) {
	if r != nil && r.form != nil {
		for i := range r.form.plan.json {
			if j := &r.form.plan.json[i]; j.name == name {
				return j.field, j.path, nil
			}
		}
	}
	return splitFormJSON(name)
}

// fieldOf is the name of the form field that a source is in.
func fieldOf(r *Request, s Source) string {
	if s.Kind != SourceFormJSON {
		return s.Name
	}
	field, _, _ := placeOfJSON(r, s.Name)
	return field
}

func (f *formReading) value(field string) Value { return f.values[slices.Index(f.plan.fields, field)] }

// sole reports whether every reader finds a signed field once at most, and nothing that
// could be taken for it.
func (f *formReading) sole(field string) bool {
	return !f.value(field).Repeated && !f.alike[f.plan.like(field)]
}

// readPairs walks a form that is no multipart body. It does so in place: a form of a
// megabyte must not become a map of a megabyte to read a field of it.
func (f *formReading) readPairs() {
	f.odd = bytes.IndexByte(f.body, ';') >= 0 // some take it for an ampersand
	for text := f.body; len(text) > 0; {
		var pair []byte
		pair, text, _ = bytes.Cut(text, []byte("&"))
		raw, value, _ := bytes.Cut(pair, []byte("="))
		if bytes.ContainsAny(raw, "%+") {
			name, err := url.QueryUnescape(string(raw))
			if err != nil {
				f.odd = true
				continue
			}
			raw = []byte(name)
		}
		f.compare(raw)
		for i, field := range f.plan.fields {
			if string(raw) == field && f.first(i) { // compared without a copy
				f.values[i] = unescapedValue(value)
			}
		}
	}
}

func unescapedValue(raw []byte) Value {
	text, err := url.QueryUnescape(string(raw))
	if err != nil {
		return Value{Bad: true}
	}
	return Value{Text: text, Found: text != ""}
}

// readParts walks a multipart body. A file of a field's name counts as the field, as apps
// differ in which of the two they would read.
func (f *formReading) readParts(boundary string) {
	err := eachPart(f.body, boundary, func(p *part) error {
		if len(f.plan.signed) > 0 {
			name, ok := partName(p)
			f.odd = f.odd || !ok
			f.compare([]byte(name))
		}
		i := slices.Index(f.plan.fields, p.FormName())
		if i < 0 || !f.first(i) {
			return nil
		}
		text, err := io.ReadAll(p)
		f.values[i] = Value{Text: string(text), Found: len(text) > 0}
		if err != nil { // the body is cut off in it
			f.values[i], f.odd = Value{Bad: true}, true
		}
		return nil
	})
	if err != nil {
		for i := range f.values {
			f.values[i] = Value{Bad: true}
		}
	}
	f.odd = f.odd || err != nil || len(f.plan.signed) > 0 && !wellFormed(f.body, boundary)
}

// first reports whether a field is there for the first time.
func (f *formReading) first(i int) bool {
	if f.seen[i] {
		f.values[i].Repeated = true
		return false
	}
	f.seen[i] = true
	return true
}

// maxName bounds the names that are compared: one of megabytes would take many times its
// size. No sender has such a name.
const maxName = 1 << 10

// compare finds the signed fields that a name looks like.
func (f *formReading) compare(name []byte) {
	if len(name) > maxName {
		f.odd = true
		return
	}
	for i := range f.plan.signed {
		if l := &f.plan.signed[i]; !f.alike[i] && string(name) != l.name {
			f.alike[i] = l.like(name)
		}
	}
}

// like reports whether some reader takes a name for the field. The usual names are compared
// without a copy: a forged form has as many as fit into it.
func (l *likeness) like(name []byte) bool {
	if isPlainName(name) {
		return slices.ContainsFunc(l.paths, func(path []string) bool { return equalFold(name, path[0]) })
	}
	return alikePaths(fieldPaths(string(name)), l.paths)
}

func isPlainName(name []byte) bool {
	for _, c := range name {
		if !isAlphanumeric(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func equalFold(name []byte, folded string) bool {
	return len(name) == len(folded) && strings.EqualFold(string(name), folded)
}
