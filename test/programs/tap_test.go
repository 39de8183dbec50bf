//go:build full

package programs

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// exchange is a request as the program sent it, and the gateway's answer: none, if the
// gateway was away.
type exchange struct {
	method, uri string
	header      http.Header
	body        []byte
	at          time.Time
	answer      testbed.Response
}

// tap is an address that passes each request on to the gateway, and records it.
type tap struct {
	t       *testing.T
	url     string
	gateway string

	mu   sync.Mutex
	seen map[string][]exchange // by URI, when answered
}

func startTap(t *testing.T, gateway string) *tap {
	t.Helper()
	w := &tap{t: t, gateway: gateway, seen: make(map[string][]exchange)}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *tap) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Errorf("the program's request breaks off: %v", err)
		return
	}
	e := exchange{method: r.Method, uri: r.RequestURI, header: r.Header.Clone(), body: body, at: time.Now()}
	req, err := e.make(w.gateway)
	if err == nil {
		e.answer, err = testbed.Try(req)
	}
	w.mu.Lock()
	w.seen[e.uri] = append(w.seen[e.uri], e)
	w.mu.Unlock()
	if err != nil {
		panic(http.ErrAbortHandler) // the program gets no answer either
	}
	maps.Copy(rw.Header(), e.answer.Header)
	rw.WriteHeader(e.answer.Status)
	_, _ = rw.Write(e.answer.Body) // the program may be gone, which is its own affair
}

// all returns the requests to a URI so far.
func (w *tap) all(uri string) []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]exchange(nil), w.seen[uri]...)
}

// wait returns the n-th request to a URI, once it was answered.
func (w *tap) wait(uri string, n int) exchange {
	w.t.Helper()
	testbed.Eventually(w.t, patience, func() bool { return len(w.all(uri)) >= n }, "the program's next request to "+uri)
	return w.all(uri)[n-1]
}

// until returns the first request to a URI, from the n-th on, with this result.
func (w *tap) until(uri string, n int, result string) exchange {
	w.t.Helper()
	for ; ; n++ {
		if e := w.wait(uri, n); e.answer.Guard == result {
			return e
		}
	}
}

// request makes the same request to the gateway, changed.
func (e exchange) request(t *testing.T, gateway string, change func(*http.Request)) *http.Request {
	t.Helper()
	req, err := e.make(gateway)
	if err != nil {
		t.Fatal(err)
	}
	change(req)
	return req
}

func (e exchange) make(gateway string) (*http.Request, error) {
	req, err := http.NewRequest(e.method, gateway+e.uri, nil)
	if err != nil {
		return nil, err
	}
	req.Header = e.header.Clone()
	setBody(req, e.body)
	return req, nil
}

func setBody(req *http.Request, body []byte) {
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
}
