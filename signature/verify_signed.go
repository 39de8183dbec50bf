package signature

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// checkMatched checks what requires that the sender signed the bytes. c is what matched.
func checkMatched(s *Scheme, c content, r *Request, p *Parts) error {
	if err := checkClaims(s.claims, r, p); err != nil {
		return err
	}
	if err := checkAllowed(s.spec.Allowed, r, p); err != nil {
		return err
	}
	if _, err := readOneName(s.spec.KeyName, r); err != nil {
		return err
	}
	var fields []signedField
	if t, ok := c.(*templateContent); ok {
		if err := t.checkBounds(r, p); err != nil {
			return err
		}
		if err := checkAbsent(t.absent, r); err != nil {
			return err
		}
		fields = t.fields
	}
	for _, c := range s.signed { // an app reads the query whichever of them matched
		if t, ok := c.(*templateContent); ok {
			if err := checkQuery(t, r); err != nil {
				return err
			}
		}
	}
	for _, c := range s.claims {
		if !c.optional && c.readsBody() {
			return nil // all of the body is signed
		}
		fields = append(fields, c.fields...)
	}
	return checkFields(fields, r)
}

// checkQuery requires that nothing in the query could be taken for what is signed: one of
// its own keys, or a field of the form, as some apps read both as one.
func checkQuery(t *templateContent, r *Request) error {
	if len(t.fields)+len(t.query) == 0 || !t.freeQuery || r.Query == "" {
		return nil // a key that is signed and missing has been refused
	}
	names, ok := pairNames(r.Query)
	for _, key := range t.query {
		if !ok || !soleField(names, key) {
			return refuse(SignatureMalformed, "query %s is signed, and was sent more than once or beside another name that could be taken for it", key)
		}
	}
	for _, f := range t.fields {
		field := fieldOf(r, f.Source)
		if f.Kind != SourceBody && (!ok || slices.ContainsFunc(names, func(name string) bool { return alikeFields(name, field) })) {
			return refuse(SignatureMalformed, "%s is signed, and the query has the field too", f)
		}
	}
	return nil
}

// checkAbsent requires that fields are not there which the sender signs where it sends them:
// what matched does not sign them, so anyone could have added them.
func checkAbsent(fields []Source, r *Request) error {
	for _, f := range fields {
		if !absentJSON(string(r.Body), f.Name) {
			return refuse(SignatureMalformed, "%s is there, and what is signed does not hold it", f)
		}
	}
	return nil
}

// checkFields checks a request of which only some fields are signed, once they are
// verified. With a second "id", or a body that parsers read in different ways, the app
// could read something that the guard did not see.
func checkFields(fields []signedField, r *Request) error {
	if len(fields) == 0 {
		return nil
	}
	inForm := fields[0].Kind != SourceBody
	if !readAs(r, inForm) {
		return refuse(SignatureMalformed, "%s is signed, and Content-Type or Content-Encoding says that it is in something else", fields[0])
	}
	if inForm && formOf(r, fieldOf(r, fields[0].Source)).odd {
		return refuse(SignatureMalformed, "%s is signed, and parsers would read the form in different ways", fields[0])
	}
	if !inForm && !validJSON(r.Body) {
		return refuse(SignatureMalformed, "%s is signed, and what it is in is not JSON", fields[0])
	}
	for _, f := range fields {
		if err := checkField(f, r); err != nil {
			return err
		}
	}
	return nil
}

// checkField requires that every parser reads one signed field as the guard does.
func checkField(f signedField, r *Request) error {
	text, field, path := "", f.Name, f.Name
	switch f.Kind {
	case SourceBody:
		text = string(r.Body)
	case SourceFormJSON:
		var err error
		if field, path, err = placeOfJSON(r, f.Name); err != nil {
			return err
		}
		text = readFormBody(r, field).Text
		if !validJSON([]byte(text)) {
			return refuse(SignatureMalformed, "%s is signed, and what it is in is not JSON", f)
		}
	}
	if f.Kind != SourceBody && !formOf(r, field).sole(field) || f.Kind != SourceForm && !uniqueJSON(text, path) {
		return refuse(SignatureMalformed, "%s is signed, and was sent more than once or beside another name that could be taken for it", f)
	}
	if f.Kind == SourceForm {
		return nil
	}
	switch value := findJSON([]byte(text), path); {
	case replaces(value):
		return refuse(SignatureMalformed, "%s is signed, and holds half of a character", f)
	case value.Type == gjson.String && f.object:
		return refuse(SignatureMalformed, "%s is signed, and not the object that it should be", f)
	}
	return nil
}

// readAs reports whether the headers, which are not signed, have an app read the body as the
// guard does: as the form that it is, or as JSON.
func readAs(r *Request, form bool) bool {
	if r.Encoded() {
		return false
	}
	if len(r.Header["Content-Type"]) == 0 {
		return true // no app reads anything else then
	}
	mediaType, params := contentType(r)
	if mediaType == "" || !plainCharset(params["charset"]) {
		return false
	}
	if boundary, ok := bodyBoundary(r.Body); ok && form {
		return mediaType == "multipart/form-data" && params["boundary"] == boundary
	}
	if form {
		return mediaType == "application/x-www-form-urlencoded"
	}
	return mediaType != "application/x-www-form-urlencoded" && !strings.HasPrefix(mediaType, "multipart/") && !strings.HasSuffix(mediaType, "xml") && !strings.HasSuffix(mediaType, "yaml")
}

// validJSON also requires UTF-8, as RFC 8259 does. Readers differ in what they make of other
// bytes, and some refuse the whole of it.
func validJSON(text []byte) bool { return json.Valid(text) && utf8.Valid(text) }

// Encoded reports whether an app may decode the body before it reads it, by a header that
// is not signed. A form can begin with a compressed one: x^ is how a zlib stream begins, and
// a name of a field. Some senders take the header for that of the charset.
func (r *Request) Encoded() bool {
	return slices.ContainsFunc(r.Header["Content-Encoding"], func(name string) bool {
		return !strings.EqualFold(name, "identity") && !plainCharset(name)
	})
}

// plainCharset reports whether a charset reads the bytes of JSON and forms as they are.
func plainCharset(name string) bool {
	switch strings.ToLower(name) {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1":
		return true
	}
	return false
}
