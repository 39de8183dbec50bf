//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// response reads one answer as its bytes arrive. It keeps the measured parts of the
// head, and only counts the bytes of the body.
type response struct {
	status int
	guard  []byte // the Webhook-Guard header; valid until reset
	close  bool   // the server closes the connection after this answer

	step responseStep
	head []byte // up to the end of the head
	line []byte // of a chunk's size, or of the trailer
	left int64  // bytes of the body, or of the chunk and its line end
}

type responseStep int

const (
	inHead responseStep = iota
	inBody
	inChunkSize
	inChunk
	inTrailer
)

// mostHead bounds the head of an answer.
const mostHead = 64 << 10

func (r *response) reset() {
	*r = response{head: r.head[:0], line: r.line[:0]}
}

var errTrailing = errors.New("bytes after the end of an answer")

// feed takes bytes of the answer and reports whether they complete it. Nothing
// may follow: the generator never sends a request before the last one's answer.
func (r *response) feed(data []byte) (done bool, err error) {
	for len(data) > 0 && !done {
		var used int
		switch r.step {
		case inHead:
			used, done, err = r.feedHead(data)
		case inBody:
			used = int(min(r.left, int64(len(data))))
			r.left -= int64(used)
			done = r.left == 0
		case inChunk:
			used = int(min(r.left, int64(len(data))))
			if r.left -= int64(used); r.left == 0 {
				r.step = inChunkSize
			}
		case inChunkSize, inTrailer:
			used, done, err = r.feedLine(data)
		}
		if err != nil {
			return false, err
		}
		data = data[used:]
	}
	if len(data) > 0 {
		return false, errTrailing
	}
	return done, nil
}

var headEnd = []byte("\r\n\r\n")

func (r *response) feedHead(data []byte) (used int, done bool, err error) {
	before := len(r.head)
	r.head = append(r.head, data...)
	from := max(0, before-len(headEnd)+1)
	end := bytes.Index(r.head[from:], headEnd)
	if end < 0 {
		if len(r.head) > mostHead {
			return 0, false, errors.New("the head of an answer does not end")
		}
		return len(data), false, nil
	}
	end += from + len(headEnd)
	r.head = r.head[:end]
	done, err = r.parseHead()
	return end - before, done, err
}

func (r *response) parseHead() (done bool, err error) {
	line, rest, _ := bytes.Cut(r.head, []byte("\r\n"))
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return false, fmt.Errorf("%q is no status line", line)
	}
	if r.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return false, fmt.Errorf("%q is no status line", line)
	}
	r.close = line[7] == '0'
	chunked, length := false, int64(-1)
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case bytes.EqualFold(name, []byte("Webhook-Guard")):
			r.guard = value
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil || length < 0 {
				return false, fmt.Errorf("%q is no length", value)
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = bytes.EqualFold(value, []byte("chunked"))
		case bytes.EqualFold(name, []byte("Connection")):
			r.close = bytes.EqualFold(value, []byte("close"))
		}
	}
	switch {
	case r.status < 200:
		return false, fmt.Errorf("status %d, which nothing asked for", r.status)
	case r.status == 204 || r.status == 304:
		return true, nil
	case chunked:
		r.step = inChunkSize
	case length < 0:
		return false, errors.New("an answer without a length, which is not measured here")
	case length == 0:
		return true, nil
	default:
		r.step, r.left = inBody, length
	}
	return false, nil
}

// feedLine takes a line of the chunked coding: a chunk's size, or the trailer's.
func (r *response) feedLine(data []byte) (used int, done bool, err error) {
	end := bytes.IndexByte(data, '\n')
	if end < 0 {
		if r.line = append(r.line, data...); len(r.line) > mostHead {
			return 0, false, errors.New("a line of a chunk does not end")
		}
		return len(data), false, nil
	}
	line := bytes.TrimRight(append(r.line, data[:end]...), "\r")
	r.line = r.line[:0]
	if r.step == inTrailer {
		return end + 1, len(line) == 0, nil
	}
	size, _, _ := bytes.Cut(line, []byte(";"))
	if r.left, err = strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 63); err != nil {
		return 0, false, fmt.Errorf("%q is no size of a chunk", line)
	}
	if r.left == 0 {
		r.step = inTrailer
	} else {
		r.step = inChunk
		r.left += int64(len("\r\n"))
	}
	return end + 1, false, nil
}
