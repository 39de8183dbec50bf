package signature

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is where a [Source] looks.
type Kind string

// The kinds of [Source], in the words of a config line.
const (
	SourceHeader     Kind = "header"
	SourceHeaderJSON Kind = "header_json"
	SourceQuery      Kind = "query"
	SourceBody       Kind = "body"
	SourceForm       Kind = "form"
	SourceFormJSON   Kind = "form_json"
	SourceClaim      Kind = "claim"
	SourceSignature  Kind = "signature"
)

// sourceList names them in errors.
const sourceList = "header <name>, header_json <name>.<path>, query <key>, body <path>, form <field>, form_json <field>.<path>, claim <name> or signature"

// Source is a place in a request: header <name>, header_json <name>.<path>, which is
// a value of the JSON whose base64 a header holds, query <key>, body <path>,
// form <field>, form_json <field>.<path>, which is a value of the JSON that a
// form field holds, claim <name> of a token (scheme jwt), or signature, which
// is a part of the signature header. In JSON it is one string.
//
// Name is what follows the kind. For a body it is a dotted path
// (data.job_id, items.0.id) with `\.` for a dot in a key. Sources can be
// compared with ==.
type Source struct {
	Kind Kind
	Name string
}

// wholeBody is the source of a token that is the whole body.
var wholeBody = Source{Kind: SourceBody}

// ParseSource takes one source off the front of words and returns the rest,
// so that lines of several sources or with options can be read in turns.
func ParseSource(words []string) (Source, []string, error) {
	if len(words) == 0 {
		return Source{}, nil, errors.New("a source is missing: " + sourceList)
	}
	kind := Kind(words[0])
	if kind == SourceSignature {
		return Source{Kind: kind}, words[1:], nil
	}
	if len(words) < 2 {
		if err := (Source{Kind: kind, Name: "x.x"}).Check(); err != nil {
			return Source{}, nil, err
		}
		return Source{}, nil, fmt.Errorf("source %q needs a name after it", words[0])
	}
	s := Source{Kind: kind, Name: words[1]}
	if err := s.Check(); err != nil {
		return Source{}, nil, err
	}
	return s.canonical(), words[2:], nil
}

// Check reports whether the source can be read at all. [Compile] checks those of
// its spec.
func (s Source) Check() error {
	switch s.Kind {
	case SourceHeader:
		return checkHeaderName(s.Name)
	case SourceBody, SourceClaim:
		_, err := splitPath(s.Name)
		return err
	case SourceHeaderJSON:
		_, _, err := splitHeaderJSON(s.Name)
		return err
	case SourceFormJSON:
		_, _, err := splitFormJSON(s.Name)
		return err
	case SourceQuery, SourceForm:
		if s.Name == "" {
			return fmt.Errorf("source %q needs a name after it", s.Kind)
		}
		return nil
	case SourceSignature:
		if s.Name != "" {
			return fmt.Errorf("source signature takes no name, got %q", s.Name)
		}
		return nil
	}
	return fmt.Errorf("unknown source %q: use %s", s.Kind, sourceList)
}

// checkHeaderName accepts the token characters of RFC 9110 section 5.6.2.
func checkHeaderName(name string) error {
	if name == "" {
		return errors.New("a header name is missing")
	}
	for _, c := range []byte(name) {
		if !isAlphanumeric(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return fmt.Errorf("%q cannot be a header name", name)
		}
	}
	// Go keeps these separately, so they would never be found.
	switch canonical(name) {
	case "Host":
		return errors.New("the Host header is not among the headers: use {host}")
	case "Transfer-Encoding", "Trailer":
		return fmt.Errorf("the header %s concerns one connection and is never read: name another one", name)
	}
	return nil
}

// canonical returns the source with a canonical header name. Go code may write it in
// any case, and converting it costs more than looking it up.
func (s Source) canonical() Source {
	switch s.Kind {
	case SourceHeader:
		s.Name = canonical(s.Name)
	case SourceHeaderJSON:
		header, path, _ := strings.Cut(s.Name, ".")
		s.Name = canonical(header) + "." + path
	}
	return s
}

// Read returns what the source holds in r. The source signature stands for
// the {id} of the signature that matched, so it reads p.ID; a claim is read
// from the token that matched, which p holds too.
func (s Source) Read(r *Request, p Parts) Value {
	s = s.canonical()
	return s.readPart(r, &p, p.ID)
}

// readPart is Read, of a canonical source, with part as the value of the source
// signature.
func (s *Source) readPart(r *Request, p *Parts, part string) Value {
	if s.Kind == SourceClaim {
		return jsonValue([]byte(p.claims), s.Name)
	}
	return s.read(r, part)
}

// read is Read with part as the value of the source signature: the ID where
// an ID is wanted, the timestamp where a stamp is.
func (s Source) read(r *Request, part string) Value {
	switch s.Kind {
	case SourceHeader:
		return headerValue(r.Header, s.Name)
	case SourceHeaderJSON:
		return readHeaderJSON(r, s.Name)
	case SourceQuery:
		return readForm([]byte(r.Query), s.Name)
	case SourceForm:
		return readFormBody(r, s.Name)
	case SourceFormJSON:
		return readFormJSON(r, s.Name)
	case SourceBody:
		return jsonValue(r.Body, s.Name)
	case SourceSignature:
		return Value{Text: part, Found: part != ""}
	}
	return Value{}
}

// Header is the name of the header that the source reads, if it reads one.
func (s Source) Header() (name string, ok bool) {
	switch s.Kind {
	case SourceHeader:
		return s.Name, true
	case SourceHeaderJSON:
		name, _, _ = strings.Cut(s.Name, ".")
		return name, true
	}
	return "", false
}

// inBody reports whether the source can only be read once the body is there.
func (s Source) inBody() bool {
	return s.Kind == SourceBody || s.Kind == SourceForm || s.Kind == SourceFormJSON
}
