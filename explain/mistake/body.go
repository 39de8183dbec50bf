package mistake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// keepRaw is the fix for a body that was changed.
const keepRaw = "Hand the raw bytes on as they arrived: capture them before any JSON or form parser, and send them with --data-binary."

// bodies collects other bodies, each one once.
type bodies struct {
	seen map[[sha256.Size]byte]bool
	list []Mistake
}

func newBodies(body []byte) *bodies {
	return &bodies{seen: map[[sha256.Size]byte]bool{sha256.Sum256(body): true}}
}

func (b *bodies) add(body []byte, code, why, do string) {
	digest := sha256.Sum256(body)
	if b.seen[digest] {
		return
	}
	b.seen[digest] = true
	b.list = append(b.list, Mistake{Causes: []Cause{{code, why, do}}, apply: func(r *Reading) { r.Request.Body = body }})
}

// BodyText lists mistakes within a body.
func BodyText(c Case) []Mistake {
	body := c.Request.Body
	b := newBodies(body)
	if c.Unstripped != nil {
		b.add(c.Unstripped, "body_curl_stripped", "curl's -d takes the line breaks out of a file, and they were signed.", "Send the file with --data-binary.")
	}
	if len(body) == 0 {
		return b.list
	}
	lf := bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	b.add(lf, "body_line_endings", "The body's line breaks were LF when it was signed and are CRLF now.", keepRaw)
	b.add(bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n")), "body_line_endings",
		"The body's line breaks were CRLF when it was signed and are LF now.", keepRaw)
	for other, how := range reserialized(body) {
		b.add(other, "body_reserialized", "The body was parsed and written anew. When it was signed, its JSON was "+how+".", keepRaw)
	}
	if latin := toLatin1(body); latin != nil {
		b.add(latin, "body_charset", "The body was read in another character set than UTF-8 and written anew.", keepRaw)
	}
	if !utf8.Valid(body) {
		b.add(fromLatin1(body), "body_charset", "The body was UTF-8 when it was signed and is ISO 8859-1 now.", keepRaw)
	}
	if plain := gunzip(body); plain != nil {
		b.add(plain, "body_compressed", "The signature is of the body before it was compressed.", "Decompress before the guard, or have the sender sign what it sends.")
	}
	b.formBodies(c.Request)
	b.quoted(body)
	b.add([]byte{}, "body_not_signed", "The signature is of an empty body.",
		"Something signed before the body was there, or this capture is not of the request that the signature came with.")
	return b.list
}

// quoted adds a body that was written as the text of a string: as JSON, or as logs and
// shells escape it.
func (b *bodies) quoted(body []byte) {
	const why = "The body was escaped: when it was signed, it was the text that this one writes as a string."
	for _, text := range []string{string(body), `"` + string(body) + `"`} {
		var plain string
		if json.Unmarshal([]byte(text), &plain) == nil {
			b.add([]byte(plain), "body_escaped", why, keepRaw)
		}
	}
}

// BodyEnds lists mistakes at a body's ends. They work on what another mistake has made
// of the body.
func BodyEnds(c Case) []Mistake {
	var list []Mistake
	add := func(code, why string, f func(body []byte) []byte) {
		if bytes.Equal(f(c.Request.Body), c.Request.Body) {
			return
		}
		list = append(list, Mistake{
			Causes: []Cause{{code, why, keepRaw}},
			apply:  func(r *Reading) { r.Request.Body = f(r.Request.Body) },
			last:   true,
		})
	}
	add("body_newline_added", "The body ends in a newline that was not signed: an editor, echo or a log added it.", func(body []byte) []byte {
		return bytes.TrimSuffix(bytes.TrimSuffix(body, []byte("\n")), []byte("\r"))
	})
	add("body_newline_added", `The body ends in a backslash and an n that were not signed: something printed a newline as \n.`, func(body []byte) []byte {
		return bytes.TrimSuffix(bytes.TrimSuffix(body, []byte(`\n`)), []byte(`\r`))
	})
	add("body_space", "The body has spaces or line breaks around it that were not signed.", bytes.TrimSpace)
	for _, end := range []string{"\n", "\r\n"} {
		add("body_newline_missing", "The body was signed with a newline at its end, which is gone.", func(body []byte) []byte {
			return append(bytes.Clone(body), end...)
		})
	}
	bom := []byte("\xef\xbb\xbf")
	add("body_bom", "The body begins with a byte order mark that was not signed.", func(body []byte) []byte {
		return bytes.TrimPrefix(body, bom)
	})
	add("body_bom", "The body was signed with a byte order mark, which is gone.", func(body []byte) []byte {
		if len(body) == 0 || bytes.HasPrefix(body, bom) {
			return body
		}
		return append(bytes.Clone(bom), body...)
	})
	return list
}

// toLatin1 decodes UTF-8 that was taken for ISO 8859-1 and encoded again; nil where
// that did not happen.
func toLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body))
	wide := false
	for _, r := range string(body) {
		if r > 0xff {
			return nil
		}
		wide = wide || r > 0x7f
		out = append(out, byte(r))
	}
	if !wide {
		return nil
	}
	return out
}

func fromLatin1(body []byte) []byte {
	out := make([]byte, 0, len(body)*2)
	for _, c := range body {
		out = utf8.AppendRune(out, rune(c))
	}
	return out
}

// maxPlain bounds a decompressed body.
const maxPlain = 16 << 20

func gunzip(body []byte) []byte {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	plain, err := io.ReadAll(io.LimitReader(reader, maxPlain))
	if err != nil {
		return nil
	}
	return plain
}
