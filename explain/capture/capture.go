// Package capture parses captured webhook requests: raw HTTP, a curl command line, what
// curl -v prints, one line of a Caddy access log, or an event that an inbox exports. It
// opens no file, and its errors never quote the input.
package capture

import (
	"bytes"
	"errors"
	"fmt"
	"net/textproto"
	"net/url"
	"regexp"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The forms of a capture.
const (
	FormHTTP    = "raw HTTP"
	FormCurl    = "a curl command"
	FormVerbose = "the output of curl -v"
	FormLog     = "an access log"
	FormEvent   = "an inbox event"
)

// Capture is a captured request.
type Capture struct {
	// Form is one of the forms above.
	Form    string
	Request signature.Request

	// At is when the request arrived; zero where the capture does not say.
	At time.Time

	// NoBody reports that the capture is of a form without bodies, and has none.
	NoBody bool

	// Unstripped is the body before curl's -d removed its line breaks; nil where it
	// removed none.
	Unstripped []byte

	// Notes state what was assumed. They quote nothing of the request but names of
	// headers.
	Notes []string
}

// ErrUnknown is returned for text of no known form.
var ErrUnknown = errors.New("this is no capture: give a raw HTTP request, a curl command line, what curl -v prints, or a line of Caddy's access log")

var (
	requestLine = regexp.MustCompile(`^[A-Za-z]+ [^ ]+ HTTP/[0-9.]+\r?$`)
	statusLine  = regexp.MustCompile(`^HTTP/[0-9.]+ [1-5][0-9][0-9]( .*)?\r?$`)
	verboseLine = regexp.MustCompile(`(?m)^> [A-Za-z]+ [^ ]+ HTTP/[0-9.]+\r?$`)
)

// Parse reads a capture of any form. A non-nil body replaces that of the capture. An access
// log has one where log_append put it there.
func Parse(text, body []byte) (*Capture, error) {
	if IsUTF16(text) {
		return nil, errors.New("the capture is in UTF-16, as PowerShell writes files: save it as UTF-8")
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	start := bytes.TrimLeft(text, " \t\r\n")
	first, _, _ := bytes.Cut(start, []byte("\n"))
	var c *Capture
	var err error
	switch {
	case len(start) == 0:
		return nil, errors.New("the capture is empty")
	case requestLine.Match(first):
		c, err = parseHTTP(start)
	case isCurl(first):
		c, err = parseCurl(string(start), body)
	case verboseLine.Match(start):
		c, err = parseVerbose(start)
	case start[0] == '{' || bytes.Contains(first, []byte(`"request"`)):
		c, err = parseLog(start)
	case isHeaderLine(string(first)):
		c, err = parseHTTP(append([]byte("POST / HTTP/1.1\n"), start...))
	default:
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	if body != nil && c.Form != FormCurl {
		c.Request.Body, c.NoBody = body, false
	}
	return c, nil
}

// IsUTF16 reports whether a text begins with the mark of UTF-16.
func IsUTF16(text []byte) bool {
	return bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff"))
}

func (c *Capture) note(format string, args ...any) {
	c.Notes = append(c.Notes, fmt.Sprintf(format, args...))
}

func newCapture(form string) *Capture {
	return &Capture{Form: form, Request: signature.Request{
		Method: "POST", Scheme: "http", Path: "/", Header: make(map[string][]string),
	}}
}

// setTarget sets the URL from a request's target: path and query, or a whole URL. It
// keeps the text as it is, since a sender may have signed it.
func (c *Capture) setTarget(target string) error {
	r := &c.Request
	if scheme, rest, whole := strings.Cut(target, "://"); whole && isScheme(scheme) {
		r.Scheme = strings.ToLower(scheme)
		end := strings.IndexAny(rest, "/?#")
		if end < 0 {
			end = len(rest)
		}
		r.Host, target = rest[:end], rest[end:]
		if at := strings.LastIndexByte(r.Host, '@'); at >= 0 {
			r.Host = r.Host[at+1:]
		}
		if r.Host == "" {
			return errors.New("the URL has no host")
		}
	}
	target, _, _ = strings.Cut(target, "#")
	r.Path, r.Query, _ = strings.Cut(target, "?")
	if r.Path == "" {
		r.Path = "/"
	}
	_, err := url.ParseRequestURI(r.Path)
	if err != nil || r.Path[0] != '/' && r.Path != "*" {
		return errors.New("the URL cannot be read: it begins with http://, https:// or /") // err would quote it
	}
	return nil
}

func isScheme(word string) bool {
	return strings.EqualFold(word, "http") || strings.EqualFold(word, "https")
}

// addHeader adds one header, as net/http would: Host is a field of its own.
func (c *Capture) addHeader(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return errors.New("a header has a name that no header can have; is the blank line before the body missing?")
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if name == "Host" {
		c.Request.Host = value
		return nil
	}
	c.Request.Header[name] = append(c.Request.Header[name], value)
	return nil
}

// header returns the first value of a header.
func (c *Capture) header(name string) string {
	if values := c.Request.Header[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

func isHeaderLine(line string) bool {
	name, _, ok := strings.Cut(line, ":")
	return ok && httpguts.ValidHeaderFieldName(name)
}
