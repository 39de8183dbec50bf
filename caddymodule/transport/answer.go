package transport

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/textproto"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// maxHeader bounds the headers of an answer, as in net/http.
const maxHeader = 10 << 20

// receive reads the head of the answer.
func (x *call) receive(req *http.Request) (*http.Response, error) {
	limit := x.transport.settings().MaxResponseHeaderBytes
	if limit == 0 {
		limit = maxHeader
	}
	x.conn.limit = limit
	res, err := x.readHead(req, limit)
	x.conn.limit = math.MaxInt64
	if errors.Is(err, errLimit) {
		return nil, fmt.Errorf("%w: more than %d bytes", errLimit, limit)
	}
	return res, err
}

// readHead passes informational answers on to the trace, and returns the one after them.
func (x *call) readHead(req *http.Request, limit int64) (*http.Response, error) {
	if _, err := x.conn.reader.Peek(1); err != nil {
		if err == io.EOF { //nolint:errorlint // as bufio returns it
			return nil, fmt.Errorf("the app closed the connection without an answer: %w", err)
		}
		return nil, err
	}
	if x.trace != nil && x.trace.GotFirstResponseByte != nil {
		x.trace.GotFirstResponseByte()
	}
	for {
		res, err := http.ReadResponse(x.conn.reader, req)
		if err != nil || !informational(res.StatusCode) {
			return res, err
		}
		if x.trace != nil && x.trace.Got1xxResponse != nil {
			if err := x.trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
			x.conn.limit = limit // for each, as in net/http: the trace could have stopped it
		}
	}
}

func informational(status int) bool {
	return 100 <= status && status <= 199 && status != http.StatusSwitchingProtocols
}

// answer makes the answer's body end the call, or ends it where there is none.
func (x *call) answer(req *http.Request, res *http.Response, unpack bool) *http.Response {
	x.hasAnswer()
	res.TLS = x.conn.state
	x.reusable = !res.Close && res.StatusCode > 199
	x.body = res.Body
	switch {
	case switchesProtocol(res):
		res.Body = switched{x}
	case req.Method == http.MethodHead || res.ContentLength == 0:
		x.finish(true)
	default:
		res.Body = x
		if unpack && strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") {
			res.Body = &unpacked{packed: x}
			res.Header.Del("Content-Encoding")
			res.Header.Del("Content-Length")
			res.ContentLength = -1
			res.Uncompressed = true
		}
	}
	return res
}

// Read implements io.Reader for the answer's body.
func (x *call) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	switch err {
	case nil:
	case io.EOF: //nolint:errorlint // a wrapped one is no end of a body
		x.finish(true)
	default:
		x.finish(false)
		if x.ctx.Err() != nil {
			err = context.Cause(x.ctx)
		}
	}
	return n, err
}

// Close implements io.Closer for the answer's body.
func (x *call) Close() error {
	x.finish(false)
	return nil
}

// switchesProtocol reports whether the connection is the caller's from now on.
func switchesProtocol(res *http.Response) bool {
	return res.StatusCode == http.StatusSwitchingProtocols &&
		httpguts.HeaderValuesContainsToken(res.Header["Connection"], "Upgrade")
}

// switched is the connection itself.
type switched struct{ call *call }

func (s switched) Read(p []byte) (int, error)  { return s.call.conn.reader.Read(p) }
func (s switched) Write(p []byte) (int, error) { return s.call.conn.Write(p) }
func (s switched) Close() error                { return s.call.Close() }

// unpacked is a body that we asked to be compressed, and nobody else did.
type unpacked struct {
	packed io.ReadCloser
	reader *gzip.Reader
	err    error
}

func (u *unpacked) Read(p []byte) (int, error) {
	if u.reader == nil && u.err == nil {
		u.reader, u.err = gzip.NewReader(u.packed)
	}
	if u.err != nil {
		return 0, u.err
	}
	return u.reader.Read(p)
}

func (u *unpacked) Close() error { return u.packed.Close() }
