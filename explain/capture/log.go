package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// logLine is an entry of Caddy's access log, or an event of an inbox as the command line
// exports it.
type logLine struct {
	Time     json.RawMessage `json:"ts"`
	Accepted json.RawMessage `json:"accepted"` // of an event
	Request  *struct {
		Method  string                     `json:"method"`
		Host    string                     `json:"host"`
		URI     string                     `json:"uri"`
		Headers map[string]json.RawMessage `json:"headers"`
		TLS     json.RawMessage            `json:"tls"`

		// Of an event.
		Header map[string]json.RawMessage `json:"header"`
		Scheme string                     `json:"scheme"`
		Body   json.RawMessage            `json:"body"`
	} `json:"request"`
}

// redacted is what Caddy logs instead of credentials.
const redacted = "REDACTED"

// parseLog reads one entry of an access log, or an object of headers alone.
func parseLog(text []byte) (*Capture, error) {
	// Caddy's console format puts time, level and message before the object.
	brace := bytes.IndexByte(text, '{')
	if brace < 0 {
		return nil, ErrUnknown
	}
	text = text[brace:]
	decoder := json.NewDecoder(bytes.NewReader(text))
	var raw json.RawMessage
	if decoder.Decode(&raw) != nil {
		return nil, errors.New("the JSON cannot be read; is the line whole?")
	}
	var more json.RawMessage
	if decoder.Decode(&more) == nil {
		return nil, errors.New("there are several entries: keep the one to explain")
	}
	c := newCapture(FormLog)
	c.NoBody = true
	var line logLine
	if json.Unmarshal(raw, &line) != nil {
		line.Request = nil // a header may be named Request or Ts
	}
	if line.Request == nil {
		if entry := collected(raw); entry != nil {
			return parseLog(entry)
		}
		return c, c.bareHeaders(raw)
	}
	if line.Request.Method != "" {
		c.Request.Method = line.Request.Method
	}
	if len(line.Request.TLS) > 0 && string(line.Request.TLS) != "null" {
		c.Request.Scheme = "https"
	}
	if line.Request.URI != "" {
		if err := c.setTarget(line.Request.URI); err != nil {
			return nil, err
		}
	}
	c.At = readTime(line.Time)
	headers, isEvent := line.Request.Headers, line.Request.Header != nil
	if isEvent {
		c.Form, c.At, headers = FormEvent, readTime(line.Accepted), line.Request.Header
		if isScheme(line.Request.Scheme) {
			c.Request.Scheme = line.Request.Scheme
		}
		if json.Unmarshal(line.Request.Body, &c.Request.Body) != nil {
			return nil, errors.New("the event has no body: export it, or show it with --body")
		}
		c.NoBody = false
	}
	if len(headers) == 0 {
		return nil, errors.New("the entry has no headers: does a filter of the log delete them?")
	}
	if err := c.jsonHeaders(headers); err != nil {
		return nil, err
	}
	if line.Request.Host != "" {
		c.Request.Host = line.Request.Host
	}
	if !isEvent {
		c.loggedBody(raw)
	}
	return c, nil
}

// collected returns the entry in the object that a collector of logs made of it, such as
// Docker's json-file ({"log": "…"}) or journald's JSON ({"MESSAGE": "…"}); nil where there
// is none.
func collected(raw json.RawMessage) (entry []byte) {
	gjson.ParseBytes(raw).ForEach(func(_, member gjson.Result) bool {
		text := member.Raw
		if member.Type == gjson.String {
			text = member.Str
		}
		if brace := strings.IndexByte(text, '{'); brace >= 0 && gjson.Get(text[brace:], "request.headers").IsObject() {
			entry = []byte(text)
		}
		return entry == nil
	})
	return entry
}

// bodyFields are the names that people give log_append for a body.
var bodyFields = []string{"body", "request_body", "req_body", "body_base64", "request_body_base64", "req_body_base64"}

// loggedBody takes the body from where `log_append <body {http.request.body}` puts it, or
// body_base64. Of two fields of one name the first counts: without the < Caddy adds the
// field once more after the handlers have read the body.
func (c *Capture) loggedBody(raw []byte) {
	for _, name := range bodyFields {
		field := gjson.GetBytes(raw, name)
		if field.Type != gjson.String {
			continue
		}
		c.NoBody, c.Request.Body = false, []byte(field.Str)
		decoded, err := base64.StdEncoding.DecodeString(field.Str)
		if err == nil && (strings.HasSuffix(name, "base64") || c.isLong(len(decoded)) && !c.isLong(len(field.Str))) {
			c.Request.Body = decoded
		}
		if bytes.ContainsRune(c.Request.Body, utf8.RuneError) {
			c.note("the body in the log has characters in place of bytes that are not UTF-8: log {http.request.body_base64} instead")
		}
		return
	}
}

// isLong reports whether the request states this length of its body.
func (c *Capture) isLong(length int) bool {
	return c.header("Content-Length") == strconv.Itoa(length)
}

func (c *Capture) bareHeaders(raw json.RawMessage) error {
	var headers map[string]json.RawMessage
	if json.Unmarshal(raw, &headers) != nil || len(headers) == 0 {
		return errors.New("the JSON is neither an entry of Caddy's access log nor an object of headers")
	}
	for _, member := range []string{"headers", "header"} {
		var inner map[string]json.RawMessage
		if json.Unmarshal(headers[member], &inner) == nil && len(inner) > 0 {
			if err := c.jsonHeaders(inner); err != nil {
				return err
			}
			c.loggedBody(raw) // as the gateways of clouds have it
			return nil
		}
	}
	return c.jsonHeaders(headers)
}

// jsonHeaders adds headers whose values are lists, as Caddy writes them, or single
// texts.
func (c *Capture) jsonHeaders(headers map[string]json.RawMessage) error {
	for name, value := range headers {
		var values []string
		if json.Unmarshal(value, &values) != nil {
			var single string
			if json.Unmarshal(value, &single) != nil {
				return errors.New("the JSON is no object of headers: each value is a text or a list of texts")
			}
			values = []string{single}
		}
		for _, v := range values {
			if err := c.addHeader(name, v); err != nil {
				return err
			}
			if v == redacted {
				c.note("header %s is redacted in the log: replace it with the value that was sent", name)
			}
		}
	}
	return nil
}

// readTime reads a time as Caddy's log encoders write it; zero in any other form.
func readTime(raw json.RawMessage) time.Time {
	var seconds float64
	if json.Unmarshal(raw, &seconds) == nil && seconds > 0 && seconds < 1e14 {
		switch {
		case seconds > 1e11:
			return time.UnixMilli(int64(seconds))
		default:
			whole, fraction := math.Modf(seconds)
			return time.Unix(int64(whole), int64(fraction*1e9))
		}
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z0700", "2006/01/02 15:04:05"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at
		}
	}
	return time.Time{}
}
