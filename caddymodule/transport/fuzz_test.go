package transport

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// script is a connection to an app that says its lines once it was asked, and closes.
type script struct {
	net.Conn
	lines *bytes.Reader
	asked chan struct{}
	once  sync.Once
}

func newScript(lines []byte) *script {
	return &script{lines: bytes.NewReader(lines), asked: make(chan struct{})}
}

func (s *script) Read(p []byte) (int, error) {
	<-s.asked
	return s.lines.Read(p)
}

func (s *script) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.asked) })
	return len(p), nil
}

func (s *script) Close() error {
	s.once.Do(func() { close(s.asked) })
	return nil
}

func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// mostHeader is the limit in the fuzz test.
const mostHeader = 4 << 10

func settingsOver(conn net.Conn) *http.Transport {
	return &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		MaxResponseHeaderBytes: mostHeader,
		MaxIdleConnsPerHost:    1,
	}
}

// ours sends one message over the connection, our own way.
func ours(req *http.Request, conn net.Conn) (*http.Response, error) {
	t := new(Transport)
	t.HTTPTransport.Transport = settingsOver(conn)
	t.pool.limit(t.settings())
	m := newMessage(req, upstream{}, nil, t.settings())
	defer m.release()
	c := newConn(conn, upstream{})
	c.ready(0)
	return roundTrip(t, c, req, m, nil)
}

// told is all that a caller learns of an answer.
func told(res *http.Response, err error) (got outcome) {
	if err != nil {
		return outcome{broken: true}
	}
	data, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return outcome{
		status: res.StatusCode, header: flatten(res.Header), body: string(data),
		broken: err != nil, trailer: flatten(res.Trailer), next: res.Status + res.Proto + strings.Join(res.TransferEncoding, ","),
	}
}

// FuzzAnswer checks that an answer comes to the same as through net/http's transport.
func FuzzAnswer(f *testing.F) {
	for _, tc := range answers() {
		if len(tc.text) < 2*mostHeader {
			f.Add([]byte(tc.text), tc.method == http.MethodHead)
		}
	}
	f.Fuzz(func(t *testing.T, lines []byte, head bool) {
		method := http.MethodPost
		if head {
			method = http.MethodHead
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://app/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		net := newScript(lines)
		theirs := told(settingsOver(net).RoundTrip(req))
		if got := told(ours(req, newScript(lines))); got != theirs {
			t.Errorf("through net/http:\n%s\nthrough ours:\n%s", theirs, got)
		}
	})
}
