package capture

import (
	"bytes"
	"errors"
	"net/textproto"
	"strconv"
	"strings"
)

// parseHTTP reads a request as it is on the wire, or as editors save it: with LF
// instead of CRLF, or with a newline after the body.
func parseHTTP(text []byte) (*Capture, error) {
	c := newCapture(FormHTTP)
	line, rest := cutLine(text)
	words := strings.Fields(line)
	if len(words) != 3 {
		return nil, errors.New("the request line is not of the form POST /path HTTP/1.1")
	}
	c.Request.Method = strings.ToUpper(words[0])
	if err := c.setTarget(words[1]); err != nil {
		return nil, err
	}
	host := c.Request.Host // of a target that is a whole URL
	rest, err := c.readHeaders(rest)
	if err != nil {
		return nil, err
	}
	if host != "" {
		c.Request.Host = host // RFC 9112 section 3.2.2: it wins over Host
	}
	c.readBody(rest)
	return c, nil
}

// parseVerbose reads what curl -v prints: the head of the request, a > before each line,
// among other lines. The body is not there.
func parseVerbose(text []byte) (*Capture, error) {
	if len(verboseLine.FindAllIndex(text, 2)) > 1 {
		return nil, errors.New("there are several requests: keep the one to explain")
	}
	var head []byte
	for line := range bytes.Lines(text) {
		if sent, ok := bytes.CutPrefix(line, []byte(">")); ok {
			head = append(head, bytes.TrimPrefix(sent, []byte(" "))...)
		}
	}
	c, err := parseHTTP(head)
	if err != nil {
		return nil, err
	}
	c.Form, c.NoBody = FormVerbose, c.header("Content-Length") != "0"
	return c, nil
}

// cutLine returns the first line, without its line break, and the rest.
func cutLine(text []byte) (string, []byte) {
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	return strings.TrimSuffix(string(line), "\r"), rest
}

// readHeaders reads up to the blank line and returns the rest.
func (c *Capture) readHeaders(text []byte) ([]byte, error) {
	last := "" // the header that a folded line continues
	for len(text) > 0 {
		var line string
		line, text = cutLine(text)
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			values := c.Request.Header[last]
			if len(values) == 0 {
				return nil, errors.New("the first header begins with a blank")
			}
			values[len(values)-1] += " " + strings.TrimSpace(line)
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errors.New("a line among the headers has no colon; is the blank line before the body missing?")
		}
		if err := c.addHeader(name, strings.TrimSpace(value)); err != nil {
			return nil, err
		}
		last = textproto.CanonicalMIMEHeaderKey(name)
	}
	return text, nil
}

// readBody sets the body that the headers announce.
func (c *Capture) readBody(rest []byte) {
	if strings.EqualFold(c.header("Transfer-Encoding"), "chunked") {
		if body, ok := dechunk(rest); ok {
			c.Request.Body = body
			return
		}
		c.note("the headers say chunked, the body is not in chunks: it is used as it is")
		c.Request.Body = rest
		return
	}
	c.Request.Body = rest
	text := c.header("Content-Length")
	length, err := strconv.Atoi(text)
	switch {
	case text == "" && beginsMessage(rest):
		c.Request.Body = nil
	case text == "":
	case err == nil && length >= 0 && len(rest) > length && beginsMessage(rest[length:]):
		c.Request.Body = rest[:length] // a stream, with the answer in it
	case err != nil || length < 0:
		c.note("Content-Length is not a number and is ignored")
	case len(rest) > length && len(bytes.Trim(rest[length:], "\r\n")) == 0:
		c.Request.Body = rest[:length] // an editor's newline
	}
}

// beginsMessage reports whether a text begins with the first line of an answer or of a
// request.
func beginsMessage(text []byte) bool {
	line, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	return statusLine.Match(line) || requestLine.Match(line)
}

// dechunk decodes a chunked body, with CRLF or LF between its parts.
func dechunk(text []byte) ([]byte, bool) {
	body := []byte{}
	for {
		line, rest := cutLine(text)
		size, _, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		if err != nil || n > uint64(len(rest)) {
			return nil, false
		}
		if n == 0 {
			return body, true // trailers are ignored
		}
		body = append(body, rest[:n]...)
		text = bytes.TrimPrefix(rest[n:], []byte("\r"))
		if len(text) == 0 || text[0] != '\n' {
			return nil, false
		}
		text = text[1:]
	}
}
