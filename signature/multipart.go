package signature

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
)

// part is one part of a multipart body.
type part = multipart.Part

// maxParts bounds the parts of a body, as net/http does. Each costs far more than its bytes.
const maxParts = 1000

var errParts = errors.New("a multipart body has too many parts")

// maxBoundary is the longest boundary (RFC 2046 section 5.1.1).
const maxBoundary = 70

// bodyBoundary returns the boundary of a multipart body: its first line has it, and the
// next one is a part's header. It is false for every other body.
func bodyBoundary(body []byte) (string, bool) {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(body, "\r\n"), []byte("--"))
	if !ok {
		return "", false
	}
	line, rest, ok := bytes.Cut(rest, []byte("\n"))
	line = bytes.TrimRight(line, " \t\r")
	const header = "content-"
	if !ok || len(line) == 0 || len(line) > maxBoundary || len(rest) < len(header) {
		return "", false
	}
	return string(line), bytes.EqualFold(rest[:len(header)], []byte(header))
}

// wellFormed reports whether every reader cuts a multipart body into the same parts. Werkzeug
// takes a line feed alone for the end of a line, others the boundary within one, and some
// read on behind the end. So the boundary is nowhere but before each part and at the end, and
// heads have whole lines.
func wellFormed(body []byte, boundary string) bool {
	mark := []byte("--" + boundary)
	before, rest, found := bytes.Cut(bytes.TrimLeft(body, "\r\n"), mark)
	if !found || len(before) > 0 {
		return false
	}
	for {
		part, after, more := bytes.Cut(rest, mark)
		if !more {
			end, is := bytes.CutPrefix(rest, []byte("--"))
			return is && len(bytes.TrimSpace(end)) == 0
		}
		part, begins := bytes.CutPrefix(part, []byte("\r\n"))
		part, ends := bytes.CutSuffix(part, []byte("\r\n"))
		head, _, whole := bytes.Cut(part, []byte("\r\n\r\n"))
		if !begins || !ends || !whole || !plainHead(head) {
			return false
		}
		rest = after
	}
}

// plainHead reports whether the lines of a part's head are whole, and each is one field.
func plainHead(head []byte) bool {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			return false
		}
	}
	return true
}

// eachPart calls do for each part, until it returns an error. io.EOF only ends it.
func eachPart(body []byte, boundary string, do func(*part) error) error {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for count := 0; ; count++ {
		p, err := parts.NextRawPart()
		if err == nil && count == maxParts {
			err = errParts
		}
		if err == nil {
			err = do(p)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// partName returns the name of a part, where every reader of multipart bodies sees the
// same one: there is one Content-Disposition, with one name, and nothing is encoded or in
// a charset that reads the bytes otherwise.
func partName(p *part) (string, bool) {
	dispositions := p.Header["Content-Disposition"]
	if len(dispositions) != 1 || len(dispositions[0]) > 4*maxName || !plainTransfer(p.Header["Content-Transfer-Encoding"]) || !plainPart(p.Header["Content-Type"]) {
		return "", false
	}
	kind, params, err := mime.ParseMediaType(dispositions[0])
	text := strings.NewReplacer(" ", "", "\t", "", "filename", "").Replace(strings.ToLower(dispositions[0]))
	before, _, _ := strings.Cut(dispositions[0], "filename")
	if err != nil || kind != "form-data" || strings.Contains(before, `\`) || strings.Count(text, "name=") != 1 || strings.Contains(text, "name*") {
		return "", false
	}
	return params["name"], true
}

// plainTransfer reports whether a part is sent as it is, which some HTTP clients say of it.
func plainTransfer(encodings []string) bool {
	return len(encodings) == 0 || len(encodings) == 1 && slices.Contains([]string{"7bit", "8bit", "binary"}, strings.ToLower(encodings[0]))
}

// plainPart reports whether the Content-Type of a part reads its bytes as they are.
func plainPart(types []string) bool {
	if len(types) == 0 {
		return true
	}
	_, params, err := mime.ParseMediaType(types[0])
	return err == nil && len(types) == 1 && plainCharset(params["charset"])
}
