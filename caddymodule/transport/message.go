package transport

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// message is a request as it goes out.
type message struct {
	to     upstream
	head   []byte       // up to the empty line; its memory is used again
	body   []byte       // the verified bytes, lent by reader
	reader *body.Reader // nil without a body
	gzip   bool         // we ask for a compressed answer, and unpack it
}

var messages = sync.Pool{New: func() any { return new(message) }}

// largestHead is what is kept of a head's memory for the next message.
const largestHead = 64 << 10

// newMessage returns nil where the request has anything unusual: Caddy's own transport knows
// what to make of that.
func newMessage(req *http.Request, to upstream, reader *body.Reader, settings *http.Transport) *message {
	m := messages.Get().(*message)
	m.to = to
	if reader != nil {
		if m.body = reader.Lend(); m.body != nil {
			m.reader = reader
		}
	}
	if !m.write(req, settings) || int64(len(m.body)) != req.ContentLength {
		m.release()
		return nil
	}
	return m
}

// release gives the memory back, which nothing may read any more, and the message itself.
func (m *message) release() {
	if m.reader != nil {
		m.reader.Return()
	}
	head := m.head[:0]
	if cap(head) > largestHead {
		head = nil
	}
	*m = message{head: head}
	messages.Put(m)
}

// detach moves the memory to a message that is released for itself.
func (m *message) detach() *message {
	d := messages.Get().(*message)
	d.head, d.body, d.reader = m.head, m.body, m.reader
	m.head, m.body, m.reader = nil, nil, nil
	return d
}

// write writes the head. It reports whether that says all that there is to the request.
func (m *message) write(req *http.Request, settings *http.Transport) bool {
	uri := req.URL.RequestURI()
	if !plainMethod(req.Method) || !printable(uri) || !plainHost(req.Host) || req.Close || len(req.TransferEncoding) > 0 || len(req.Trailer) > 0 {
		return false
	}
	m.gzip = !settings.DisableCompression && req.Header.Get("Accept-Encoding") == "" &&
		req.Header.Get("Range") == "" && req.Method != http.MethodHead

	b := m.head[:0]
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, uri...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, req.Host...)
	b = append(b, "\r\n"...)
	if len(m.body) > 0 || saysLength(req.Method) {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(m.body)), 10)
		b = append(b, "\r\n"...)
	}
	b, plain := appendHeader(b, req.Header)
	if m.gzip {
		b = append(b, "Accept-Encoding: gzip\r\n"...)
	}
	if settings.DisableKeepAlives {
		b = append(b, "Connection: close\r\n"...)
	}
	m.head = append(b, "\r\n"...)
	return plain
}

// appendHeader reports whether every header is one that may be sent as it is.
func appendHeader(b []byte, header http.Header) (_ []byte, plain bool) {
	for name, values := range header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer":
			continue // written from the request's fields
		case "Connection", "Upgrade", "Expect":
			return b, false
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return b, false
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return b, false
			}
			if name == "User-Agent" && value == "" {
				break // how a proxy says that there is none
			}
			b = append(b, name...)
			b = append(b, ": "...)
			b = append(b, textproto.TrimString(value)...)
			b = append(b, "\r\n"...)
			if name == "User-Agent" {
				break
			}
		}
	}
	return b, true
}

// saysLength reports whether a request of this method says that it has no body.
func saysLength(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

func plainMethod(method string) bool {
	return method != http.MethodConnect && httpguts.ValidHeaderFieldName(method)
}

// plainHost reports whether the name goes out as it is: no other alphabet, no zone.
func plainHost(host string) bool {
	for _, c := range []byte(host) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return host != ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// traceHeader names the fields to a trace that asks for them.
func (m *message) traceHeader(req *http.Request, trace *httptrace.ClientTrace) {
	if trace == nil || trace.WroteHeaderField == nil {
		return
	}
	trace.WroteHeaderField("Host", []string{req.Host})
	for name, values := range req.Header {
		trace.WroteHeaderField(name, values)
	}
}
