package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// stalled is a body that stops until it is told to go on.
type stalled struct{ goOn <-chan struct{} }

func (s stalled) Read([]byte) (int, error) {
	<-s.goOn
	return 0, io.EOF
}

// Uploads that bring nothing, or stop half-way, take no room from requests that can be judged.
func TestShadowIsNotBlindedBySlowUploads(t *testing.T) {
	const uploads = maxShadowed/mostShadowRead + 1
	for _, first := range []string{"", "{"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
			goOn := make(chan struct{})
			results := make(chan string, uploads)
			for range uploads {
				r := b.request("")
				r.ContentLength, r.Body = mostShadowRead, io.NopCloser(io.MultiReader(strings.NewReader(first), stalled{goOn}))
				go func() {
					_, _ = b.serve(r, says(http.StatusOK, ""))
					results <- r.Header.Get(headerShadow)
				}()
			}
			synctest.Wait()
			if held := shadowed.Load(); held > uploads {
				t.Errorf("%d uploads of %q hold %d bytes", uploads, first, held)
			}
			r := b.request(event("1"))
			if _, err := b.serve(r, says(http.StatusOK, "")); err != nil || r.Header.Get(headerShadow) != "forwarded" {
				t.Errorf("a genuine event is %s, %v", r.Header.Get(headerShadow), err)
			}
			for range uploads { // each is given to the app after body_timeout
				if result := <-results; result != "body_timeout" {
					t.Fatalf("an upload is %s", result)
				}
			}
			close(goOn)
			if held := shadowed.Load(); held != 0 {
				t.Errorf("%d bytes are held for nobody", held)
			}
		})
	}
}

// The last read may bring the end of the body together with the byte that is too much.
func TestShadowSeesABodyThatIsOneByteTooLarge(t *testing.T) {
	for over, want := range map[int64]string{0: "forwarded", 1: "body_too_large", mostShadowRead: "body_too_large"} {
		b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
		text := event("1")
		text += strings.Repeat(" ", int(b.guard.sender.Rules.MaxBody+over)-len(text))
		r := b.request("")
		r.ContentLength, r.Body = -1, io.NopCloser(iotest.DataErrReader(strings.NewReader(text)))
		got := 0
		_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
			body, err := io.ReadAll(r.Body)
			got = len(body)
			w.WriteHeader(http.StatusOK)
			return err
		})
		if result := r.Header.Get(headerShadow); err != nil || result != want || got != len(text) {
			t.Errorf("%d bytes too many: %s, and the app got %d of %d bytes, %v", over, result, got, len(text), err)
		}
	}
}

// What did not come in time is the app's as it comes, to the last byte and its end.
func TestShadowPassesASlowUploadOn(t *testing.T) {
	for name, end := range map[string]error{"a whole one": nil, "a broken one": io.ErrUnexpectedEOF} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
				in, out := io.Pipe()
				go func() {
					_, _ = out.Write([]byte("first "))
					time.Sleep(time.Minute)
					_, _ = out.Write([]byte("then "))
					time.Sleep(time.Minute)
					_, _ = out.Write([]byte("last"))
					_ = out.CloseWithError(end)
				}()
				r := b.request("")
				r.ContentLength, r.Body = -1, in
				begun := time.Now()
				_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
					if took := time.Since(begun); took != b.guard.sender.Rules.BodyTimeout || r.Header.Get(headerShadow) != "body_timeout" {
						t.Errorf("the app gets it after %s: %s", took, r.Header.Get(headerShadow))
					}
					sent, err := io.ReadAll(r.Body)
					if string(sent) != "first then last" || !errors.Is(err, end) {
						t.Errorf("the app got %q, %v", sent, err)
					}
					return says(http.StatusOK, "")(w, r)
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// trailing is a body whose trailers come with its end, as net/http has them: whenever that is.
type trailing struct {
	io.Reader
	goOn    <-chan struct{}
	trailer http.Header
}

func (b trailing) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n == 0 {
		<-b.goOn
		b.trailer["X-Sum"], b.trailer["Webhook_guard"] = []string{"1"}, []string{verified}
	}
	return n, err
}

// Trailers come when the body ends, in whatever state the request is then. The app gets them, less
// those in the guard's own names, and nothing that looks at them meets their coming.
func TestShadowPassesTrailersOn(t *testing.T) {
	for _, result := range []string{"forwarded", "token_missing", "body_too_large", "body_timeout"} {
		t.Run(result, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(g *Guard) { g.Mode, g.MaxBody = modeShadow, 1<<10 })
				text := event("1")
				if result == "body_too_large" {
					text += strings.Repeat(" ", 2<<10)
				}
				r, ended := b.request(text), make(chan struct{})
				r.Trailer = http.Header{"X-Sum": nil}
				r.ContentLength, r.Body = -1, io.NopCloser(trailing{strings.NewReader(text), ended, r.Trailer})
				switch result {
				case "forwarded":
					close(ended)
				case "token_missing":
					r.Header = http.Header{}
				}
				_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
					if got := r.Header.Get(headerShadow); got != result {
						t.Errorf("it is %s, want %s", got, result)
					}
					if result != "forwarded" {
						close(ended)
					}
					announced := r.Trailer.Clone() // as a proxy does, while the body may end
					sent, err := io.ReadAll(r.Body)
					if err != nil || string(sent) != text || len(announced) != 1 {
						t.Errorf("the app got %d bytes of %d, %v, announced %v", len(sent), len(text), err, announced)
					}
					if r.Trailer.Get("X-Sum") != "1" || len(r.Trailer) != 1 {
						t.Errorf("the app got the trailers %v", r.Trailer)
					}
					return says(http.StatusOK, "")(w, r)
				})
				if err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A body that the app has is held no longer, however long the app works on it.
func TestShadowHoldsNoBodyThatTheAppHas(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.Mode = modeShadow })
	_, err := b.serve(b.request(event("1")), func(w http.ResponseWriter, r *http.Request) error {
		if held := shadowed.Load(); held != int64(len(event("1"))) {
			t.Errorf("%d bytes are held for the app", held)
		}
		if sent, err := io.ReadAll(r.Body); err != nil || string(sent) != event("1") {
			t.Errorf("the app got %q, %v", sent, err)
		}
		if held := shadowed.Load(); held != 0 {
			t.Errorf("%d bytes are held while the app works", held)
		}
		return says(http.StatusOK, "")(w, r)
	})
	if held := shadowed.Load(); err != nil || held != 0 {
		t.Errorf("%d bytes are held at the end, %v", held, err)
	}
}

// On a connection that stalls, an app that does not read answers at once, and one that reads gets
// the rest when it comes.
func TestShadowOnAConnectionThatStalls(t *testing.T) {
	b := newBench(t, func(g *Guard) { g.Mode, g.BodyTimeout = modeShadow, 1 })
	for name, reads := range map[string]bool{"an app that does not read": false, "an app that reads": true} {
		t.Run(name, func(t *testing.T) {
			begun := make(chan struct{})
			app := func(w http.ResponseWriter, r *http.Request) error {
				close(begun)
				if reads {
					if sent, err := io.ReadAll(r.Body); err != nil || string(sent) != "first last" {
						t.Errorf("the app got %q, %v", sent, err)
					}
				}
				return says(http.StatusAccepted, "")(w, r)
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := b.guard.ServeHTTP(w, prepared(r, w), caddyhttp.HandlerFunc(app)); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 10\r\n\r\nfirst ")
			<-begun
			if reads {
				fmt.Fprint(conn, "last")
			}
			if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "202") {
				t.Errorf("the sender got %q, %v", line, err)
			}
		})
	}
}
