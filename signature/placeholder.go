package signature

import (
	"fmt"
	"slices"
	"strings"
)

// variable is what one placeholder stands for.
type variable int

const (
	varBody variable = iota
	varTimestamp
	varID
	varNonce
	varMethod
	varScheme
	varURL
	varHost
	varPath
	varQuery
	varURI
	varHeader
	varParam
	varBodyPath
	varFormField
	varQueryKey
	varFormJSON
	varFormSorted
	varSecret    // under a plain hash only
	varSignature // in formats only
)

// plainVariables stand alone, namedVariables take a name after a dot.
var plainVariables = map[string]variable{
	"body": varBody, "timestamp": varTimestamp, "id": varID, "nonce": varNonce,
	"method": varMethod, "scheme": varScheme, "url": varURL, "host": varHost,
	"path": varPath, "query": varQuery, "uri": varURI,
	"form_sorted": varFormSorted, "secret": varSecret,
}

var namedVariables = map[string]variable{
	"header": varHeader, "param": varParam, "body": varBodyPath,
	"form": varFormField, "query": varQueryKey, "form_json": varFormJSON,
}

const variableList = "{body} {timestamp} {id} {nonce} {method} {scheme} {url} {host} {path} {query} {uri} " +
	"{header.NAME} {param.NAME} {body.PATH} {form.FIELD} {form_json.FIELD.PATH} {form_sorted} {query.KEY} {secret}"

// caddyNames are the long forms that Caddy makes of some placeholders inside
// site blocks, before any module sees them.
var caddyNames = []struct{ long, short string }{
	{"http.request.uri.query.", "query."},
	{"http.request.header.", "header."},
	{"http.request.uri.query", "query"},
	{"http.request.uri.path", "path"},
	{"http.request.uri", "uri"},
	{"http.request.method", "method"},
	{"http.request.scheme", "scheme"},
	{"http.request.host", "host"},
}

func shortName(name string) string {
	for _, c := range caddyNames {
		rest, ok := strings.CutPrefix(name, c.long)
		if ok && (rest == "" || strings.HasSuffix(c.long, ".")) {
			return c.short + rest
		}
	}
	return name
}

// placeholder is one {…} of a template.
type placeholder struct {
	variable variable
	name     string   // of a header, param, query key or form field; a body path
	funcs    []string // applied in this order
	each     bool     // a body path with a * for every element
}

// parsePlaceholder reads what is between the braces.
func parsePlaceholder(text string) (placeholder, error) {
	words := splitUnescaped(text, '|')
	full := shortName(words[0])
	base, name, named := strings.Cut(full, ".")
	table := plainVariables
	if named {
		table = namedVariables
	}
	v, ok := table[base]
	if !ok {
		return placeholder{}, fmt.Errorf("unknown placeholder {%s}: there are %s", full, variableList)
	}
	ph := placeholder{variable: v, name: name, funcs: words[1:]}
	if err := ph.checkName(); err != nil {
		return placeholder{}, fmt.Errorf("placeholder {%s}: %w", full, err)
	}
	if slices.Contains(ph.funcs, functionJSON) && !ph.isJSON() {
		return placeholder{}, fmt.Errorf("placeholder {%s}: json is for {body|json} alone", full)
	}
	for _, f := range ph.funcs {
		if _, ok := functions[f]; !ok {
			return placeholder{}, fmt.Errorf("placeholder {%s}: unknown function %q: there are %s", full, f, functionList)
		}
	}
	return ph, nil
}

func (ph *placeholder) checkName() error {
	switch ph.variable {
	case varHeader:
		if err := checkHeaderName(ph.name); err != nil {
			return err
		}
		ph.name = canonical(ph.name)
	case varBodyPath:
		// Kept as written, since the path has escapes of its own.
		ph.each = slices.Contains(splitUnescaped(ph.name, '.'), "*")
		_, err := splitPath(ph.name)
		return err
	case varFormJSON:
		_, _, err := splitFormJSON(ph.name)
		return err
	case varParam, varFormField, varQueryKey:
		ph.name = unescapeName(ph.name)
		if ph.name == "" {
			return fmt.Errorf("a name is missing after the dot")
		}
	}
	return nil
}

// String prints the short form, which parses to the same placeholder.
func (ph placeholder) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for name, v := range plainVariables {
		if v == ph.variable {
			b.WriteString(name)
		}
	}
	for name, v := range namedVariables {
		if v != ph.variable {
			continue
		}
		b.WriteString(name)
		b.WriteByte('.')
		if v == varBodyPath || v == varHeader || v == varFormJSON {
			b.WriteString(ph.name)
		} else {
			b.WriteString(escapeName.Replace(ph.name))
		}
	}
	for _, f := range ph.funcs {
		b.WriteByte('|')
		b.WriteString(f)
	}
	b.WriteByte('}')
	return b.String()
}
