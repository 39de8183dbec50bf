package signature

import (
	"fmt"
	"strings"
	"unicode"
)

// String is the source as it stands in a config line.
func (s Source) String() string {
	if s.Name == "" {
		return string(s.Kind)
	}
	return string(s.Kind) + " " + quoteName(s.Name)
}

// MarshalText writes the source as [Source.String] does.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [Source.MarshalText] writes, without loss for any
// name. An empty text is no source. [Source.Check] checks the result.
func (s *Source) UnmarshalText(text []byte) error {
	kind, name := strings.TrimSpace(string(text)), ""
	if i := strings.IndexFunc(kind, unicode.IsSpace); i >= 0 {
		kind, name = kind[:i], strings.TrimLeftFunc(kind[i:], unicode.IsSpace)
	}
	name, err := unquoteName(name)
	if err != nil {
		return fmt.Errorf("source %s %w", kind, err)
	}
	*s = Source{Kind(kind), name}.canonical()
	return nil
}

// quoteName puts a name in quotes where a config line needs them. In double
// quotes `\"` is a quote, and every other backslash is itself.
func quoteName(name string) string {
	special := strings.ContainsAny(name, "\"`{}#<") || strings.ContainsFunc(name, unicode.IsSpace) || strings.HasSuffix(name, `\`)
	switch {
	case !special:
		return name
	case strings.Contains(name+`"`, `\"`) && !strings.Contains(name, "`"):
		// Caddy's lexer cannot read a backslash before a quote in double quotes.
		return "`" + name + "`"
	}
	return `"` + strings.ReplaceAll(name, `"`, `\"`) + `"`
}

// unquoteName is the inverse of quoteName. The closing quote is the last
// character and no other, so a backslash before it is part of the name.
func unquoteName(text string) (string, error) {
	if text == "" || text[0] != '"' && text[0] != '`' {
		return text, nil // even with spaces in it, as older configurations have it
	}
	inner := strings.TrimSuffix(text[1:], text[:1])
	unescaped := inner
	if text[0] == '"' {
		unescaped = strings.ReplaceAll(inner, `\"`, "")
	}
	if len(inner) != len(text)-2 || strings.Contains(unescaped, text[:1]) {
		return "", fmt.Errorf("%s: quotes have to be around the whole name", text)
	}
	if text[0] == '"' {
		inner = strings.ReplaceAll(inner, `\"`, `"`)
	}
	return inner, nil
}
