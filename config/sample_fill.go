package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// fill sets what the provider's lines read from a request: ID, type, times, and
// everything else that is signed.
func (s *Sample) fill(p Provider, id string, at time.Time) error {
	f := filler{sample: s, set: make(map[signature.Source]bool)}
	for _, stamp := range []*signature.StampSpec{p.Timestamp, p.EventTime} {
		if stamp != nil {
			f.put(stamp.Source, func(gjson.Result) any { return stampValue(*stamp, at) })
		}
	}
	if s.Event != "" {
		f.put(p.Event, func(before gjson.Result) any {
			if before.String() != "" {
				return before.Value() // one type has several samples
			}
			return s.Event
		})
	}
	for _, sources := range [][]signature.Source{s.ids(p), contentIDs(p.Content)} {
		for _, source := range ownIDs(sources) {
			f.put(source, func(before gjson.Result) any { return newID(before, id) })
		}
		for _, source := range sources { // a missing part is a missing ID
			f.put(source, orID(id))
		}
	}
	f.fillSigned(p, id)
	f.fillConditions(p)
	return f.err
}

// ids are the sources of the provider's ID that the sample has: those after `or` where the
// first ones are missing.
func (s *Sample) ids(p Provider) []signature.Source {
	missing := func(source signature.Source) bool {
		return source.Kind != signature.SourceBody || !gjson.GetBytes(s.Body, source.Name).Exists()
	}
	if len(p.OrID) > 0 && slices.ContainsFunc(p.ID, missing) && !slices.ContainsFunc(p.OrID, missing) {
		return p.OrID
	}
	return p.ID
}

// fillConditions sets what chooses among signature lines and keys, and what has to be the
// user's own.
func (f *filler) fillConditions(p Provider) {
	if len(p.Signature) > 0 && p.Signature[0].When != nil {
		f.put(p.Signature[0].When.Source, func(gjson.Result) any { return p.Signature[0].When.Value })
	}
	for _, allowed := range p.Allow {
		f.put(allowed.Source, func(before gjson.Result) any {
			if len(allowed.Values) == 0 || slices.Contains(allowed.Values, before.String()) {
				return before.Value()
			}
			return allowed.Values[0]
		})
	}
	name, example := p.Keys.Name()
	if name.Kind == signature.SourceHeader {
		if f.sample.Header == nil {
			f.sample.Header = make(map[string][]string)
		}
		f.sample.Header[name.Name] = []string{example}
	}
	f.put(name, func(gjson.Result) any { return example })
}

// filler writes values into a sample, each source once, until the first error.
type filler struct {
	sample *Sample
	set    map[signature.Source]bool
	err    error
}

// put replaces the value at a source, if the sample can have that source. value gets
// the one before.
func (f *filler) put(source signature.Source, value func(before gjson.Result) any) {
	if f.err != nil || f.set[source] {
		return
	}
	f.set[source] = true
	isJSON := f.sample.ContentType == contentJSON
	switch {
	case source.Kind == signature.SourceBody && isJSON && inList(source.Name) != gjson.ParseBytes(f.sample.Body).IsArray():
		// Some senders send one event, and others a list: it has not this place.
	case source.Kind == signature.SourceBody && isJSON:
		before := gjson.GetBytes(f.sample.Body, source.Name)
		f.sample.Body, f.err = sjson.SetBytes(f.sample.Body, source.Name, value(before))
	case source.Kind == signature.SourceForm && !isJSON:
		f.inForm(source.Name, func(text string) (string, error) {
			made := value(gjson.Result{Type: gjson.String, Str: text})
			if number, ok := made.(float64); ok {
				return strconv.FormatFloat(number, 'f', -1, 64), nil
			}
			return fmt.Sprint(made), nil
		})
	case source.Kind == signature.SourceFormJSON && !isJSON:
		field, path, _ := strings.Cut(source.Name, ".")
		f.inForm(field, func(text string) (string, error) {
			return sjson.Set(text, path, value(gjson.Get(text, path)))
		})
	}
}

// inList reports whether a path begins with the place in a list.
func inList(path string) bool {
	first, _, _ := strings.Cut(path, ".")
	_, err := strconv.Atoi(first)
	return err == nil
}

// inForm changes one field of a form and leaves the others unchanged. A sample that is
// made gets the field; a documented one has it only where its event does.
func (f *filler) inForm(field string, change func(string) (string, error)) {
	pairs := strings.Split(string(f.sample.Body), "&")
	has := func(pair string) bool { return strings.HasPrefix(pair, field+"=") }
	if f.sample.made && !slices.ContainsFunc(pairs, has) {
		pairs = append(pairs, field+"=")
	}
	for i, pair := range pairs {
		name, escaped, _ := strings.Cut(pair, "=")
		if name != field {
			continue
		}
		text, err := url.QueryUnescape(escaped)
		if err == nil {
			text, err = change(text)
		}
		if err != nil {
			f.err = err
			return
		}
		pairs[i] = name + "=" + url.QueryEscape(text)
	}
	f.sample.Body = []byte(strings.Join(pairs, "&"))
}

// orID keeps a value that is there, and makes it the ID where none is.
func orID(id string) func(before gjson.Result) any {
	return func(before gjson.Result) any {
		if before.String() == "" {
			return id
		}
		return before.Value()
	}
}

// fillSigned adds what is signed and still missing. It does nothing for a provider
// that does not resolve without its user's own lines.
func (f *filler) fillSigned(p Provider, id string) {
	rules, err := p.WithParams().Resolve()
	if err != nil || f.err != nil {
		return
	}
	keep := orID(id)
	fields := rules.Scheme.CoveredFields()
	for i, field := range fields {
		if field.Kind == signature.SourceForm && f.sample.made {
			f.put(field, keep)
		}
		if field.Kind != signature.SourceBody {
			continue
		}
		if p.Items != "" {
			field.Name = p.Items + ".0." + field.Name
			fields[i] = field
		}
		if !gjson.GetBytes(f.sample.Body, field.Name).Exists() {
			f.put(field, keep)
		}
	}
	for _, reads := range p.SignedReads() {
		for _, name := range reads.Headers() {
			if f.sample.Header == nil {
				f.sample.Header = make(map[string][]string)
			}
			f.sample.Header[name] = []string{id}
		}
	}
	if p.Scheme == "contentful" {
		f.sample.Header = map[string][]string{
			"X-Contentful-Signed-Headers": {"x-contentful-signed-headers,x-contentful-timestamp"},
		}
	}
	f.vary(fields, id)
}

// MissingParams names the constants that only the provider's user knows: the templates
// use them, and no param line sets them.
func (p Provider) MissingParams() []string {
	templates := append(slices.Clone(p.Signed), p.Content)
	for _, claim := range p.Claim {
		templates = append(append(templates, claim.Template), claim.OrTemplate...)
	}
	var all signature.Reads
	for _, reads := range templateReads(templates) {
		all.Add(reads)
	}
	return slices.DeleteFunc(all.Params, func(name string) bool { return p.Param[name] != "" })
}

// WithParams sets each missing constant to a sample value, and leaves out the lines for values
// that only the provider's user knows, so that the provider
// resolves.
func (p Provider) WithParams() Provider {
	params := make(map[string]string)
	maps.Copy(params, p.Param)
	for _, name := range p.MissingParams() {
		params[name] = "sample"
	}
	p.Param = params
	return p.WithoutOpenAllows()
}

// contentIDs returns the sources of the IDs in a content template, and where it contains
// those of a batch, of the first event's. The words of a content line have none.
func contentIDs(content string) (sources []signature.Source) {
	template, err := signature.ParseTemplate(content)
	if err != nil {
		return nil
	}
	reads := template.Reads()
	for _, source := range slices.Concat(reads.Sources, reads.Each) {
		if source.Kind != signature.SourceBody && source.Kind != signature.SourceForm {
			continue
		}
		if last := lastKey(source.Name); strings.HasSuffix(strings.ToLower(last), "id") || last == "pspReference" {
			sources = append(sources, source)
		}
	}
	return sources
}

// stampValue returns a time for JSON: text for RFC 3339, else a number.
func stampValue(stamp signature.StampSpec, at time.Time) any {
	text := signature.FormatStamp(at, stamp.Format)
	if stamp.Format == "rfc3339" {
		return text
	}
	return gjson.Parse(text).Value()
}
