package caddymodule

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

var twoHundreds = func() config.Statuses {
	set, err := config.ParseStatuses([]string{"2xx"})
	if err != nil {
		panic(err)
	}
	return set
}()

func held(w http.ResponseWriter) *heldAnswer {
	return newHeldAnswer(w, http.MethodPost, twoHundreds, reader{})
}

// untouched fails when anything has gone out.
func untouched(t *testing.T, w *recorder) {
	t.Helper()
	if w.wrote || w.Body.Len() > 0 {
		t.Errorf("sent before its release: status %d, %d bytes", w.Code, w.Body.Len())
	}
}

// recorder knows whether a status was written to it.
type recorder struct {
	*httptest.ResponseRecorder
	wrote bool
}

func newRecorder() *recorder { return &recorder{ResponseRecorder: httptest.NewRecorder()} }

func (w *recorder) WriteHeader(status int) {
	w.wrote = true
	w.ResponseRecorder.WriteHeader(status)
}

func TestAnAnswerIsHeldUntilItsRelease(t *testing.T) {
	for name, size := range map[string]int{"nothing": 0, "a word": 4, "just what is held": maxHeld} {
		t.Run(name, func(t *testing.T) {
			w := newRecorder()
			a := held(w)
			a.Header().Set("X-App", "1")
			a.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(a, strings.Repeat("x", size))
			if err := http.NewResponseController(a).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
			untouched(t, w)
			if len(w.Header()) > 0 {
				t.Errorf("headers before the release: %v", w.Header())
			}
			a.release()
			if w.Code != http.StatusAccepted || w.Body.Len() != size || w.Header().Get("X-App") != "1" {
				t.Errorf("status %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
			}
			if got := w.Header().Get(headerResult); got != "forwarded" {
				t.Errorf("result %q", got)
			}
		})
	}
}

func TestHeadersAreThoseAtTheTimeOfTheStatus(t *testing.T) {
	w := newRecorder()
	w.Header().Set("Server", "Caddy")
	w.Header().Set("Gone", "1")
	a := held(w)
	a.Header().Set("Early", "1")
	a.Header().Add("Twice", "a")
	a.Header().Add("Twice", "b")
	a.Header().Del("Gone")
	a.WriteHeader(http.StatusCreated)
	a.Header().Set("Late", "1")
	a.Header().Set("Early", "2")
	a.WriteHeader(http.StatusTeapot) // only the first one counts
	a.release()
	want := http.Header{"Server": {"Caddy"}, "Early": {"1"}, "Twice": {"a", "b"}, headerResult: {"forwarded"}}
	got := w.Result()
	if got.StatusCode != http.StatusCreated || !maps.EqualFunc(got.Header, want, func(a, b []string) bool {
		return strings.Join(a, "|") == strings.Join(b, "|")
	}) {
		t.Errorf("%d, %v, want %v", got.StatusCode, got.Header, want)
	}
}

func TestABodyWithoutAStatusIsA200(t *testing.T) {
	w := newRecorder()
	a := held(w)
	_, _ = io.WriteString(a, "ok")
	if a.status != http.StatusOK {
		t.Errorf("status %d", a.status)
	}
	a.release()
	if w.Code != http.StatusOK || w.Body.String() != "ok" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

func TestTheAppCannotNameTheResultItself(t *testing.T) {
	w := newRecorder()
	a := held(w)
	a.Header()[headerResult] = []string{"duplicate", "forwarded"}
	a.WriteHeader(http.StatusInternalServerError)
	a.release()
	if got := w.Header()[headerResult]; len(got) != 1 || got[0] != "upstream_failed" {
		t.Errorf("result %q", got)
	}
}

func TestInformationalAnswersAreDropped(t *testing.T) {
	w := newRecorder()
	a := held(w)
	for _, status := range []int{http.StatusContinue, http.StatusSwitchingProtocols, http.StatusProcessing, http.StatusEarlyHints} {
		a.WriteHeader(status)
	}
	if a.status != 0 {
		t.Errorf("status %d", a.status)
	}
	untouched(t, w)
	a.WriteHeader(http.StatusNoContent)
	if a.status != http.StatusNoContent {
		t.Errorf("the real status became %d", a.status)
	}
}

// Of a long answer everything but its last maxHeld bytes is sent, whatever the
// sizes of its pieces.
func TestALongAnswerKeepsItsEndBack(t *testing.T) {
	for _, piece := range []int{1000, maxHeld, maxHeld + 1, 3 * maxHeld} {
		w := newRecorder()
		a := held(w)
		a.WriteHeader(http.StatusServiceUnavailable)
		total := 0
		for total <= 3*maxHeld {
			n, err := a.Write([]byte(strings.Repeat("x", piece)))
			if n != piece || err != nil {
				t.Fatalf("wrote %d of %d, %v", n, piece, err)
			}
			total += piece
			if want := max(0, total-maxHeld); w.Body.Len() != want || len(a.held) > maxHeld {
				t.Fatalf("pieces of %d: %d of %d sent, want %d; %d held", piece, w.Body.Len(), total, want, len(a.held))
			}
		}
		if got := w.Header().Get(headerResult); !a.started || got != "upstream_failed" {
			t.Errorf("started %v, result %q", a.started, got)
		}
		a.release()
		if w.Body.Len() != total || a.written != int64(total) {
			t.Errorf("%d of %d sent in the end", w.Body.Len(), total)
		}
	}
}

func TestALongAnswerComesOutInItsOrder(t *testing.T) {
	var want strings.Builder
	w := newRecorder()
	a := held(w)
	for i := range 50_000 {
		piece := strings.Repeat(string(rune('a'+i%26)), 1+i%7)
		want.WriteString(piece)
		_, _ = io.WriteString(a, piece)
	}
	a.release()
	if w.Body.String() != want.String() {
		t.Error("the pieces are not in their order")
	}
}

func TestCompleteComparesTheBodyWithItsLength(t *testing.T) {
	for name, tc := range map[string]struct {
		method string
		status int
		length string
		body   string
		want   bool
	}{
		"no length":            {"POST", 200, "", "12345", true},
		"as long as it says":   {"POST", 200, "5", "12345", true},
		"short":                {"POST", 200, "6", "12345", false},
		"long":                 {"POST", 200, "4", "12345", false},
		"nothing of something": {"POST", 200, "5", "", false},
		"nothing of nothing":   {"POST", 200, "0", "", true},
		"a failure cut short":  {"POST", 500, "9", "1", false},
		"not a number":         {"POST", 200, "5, 5", "12345", false},
		"HEAD":                 {"HEAD", 200, "5", "", true},
		"not modified":         {"GET", 304, "5", "", true},
		"no content":           {"POST", 204, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			a := newHeldAnswer(newRecorder(), tc.method, twoHundreds, reader{})
			if tc.length != "" {
				a.Header().Set("Content-Length", tc.length)
			}
			a.WriteHeader(tc.status)
			_, _ = io.WriteString(a, tc.body)
			if got := a.seen().Complete(); got != tc.want {
				t.Errorf("complete %v", got)
			}
		})
	}
}

// gone is a sender that has hung up.
type gone struct{ http.ResponseWriter }

func (gone) Write([]byte) (int, error) { return 0, errors.New("write: broken pipe") }

func TestAGoneSenderDoesNotFailTheApp(t *testing.T) {
	a := held(gone{newRecorder()})
	for range 5 {
		if n, err := a.Write(make([]byte, maxHeld)); n != maxHeld || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}
	a.release()
	if a.written != 5*maxHeld || !a.seen().Complete() {
		t.Errorf("counted %d bytes", a.written)
	}
}

func TestNothingReachesPastTheHeldAnswer(t *testing.T) {
	a := held(newRecorder())
	if _, ok := any(a).(interface{ Unwrap() http.ResponseWriter }); ok {
		t.Error("it unwraps: a flush or a hijack would get past it")
	}
	if _, _, err := http.NewResponseController(a).Hijack(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("hijack: %v", err)
	}
}

func TestTrailersReachTheSender(t *testing.T) {
	for name, tc := range map[string]struct {
		size int
		app  func(h http.Header) // before the status
		end  func(h http.Header) // after the body
	}{
		"announced": {4,
			func(h http.Header) { h.Set("Trailer", "X-Sum, x-end") },
			func(h http.Header) { h.Set("X-Sum", "1"); h.Set("X-End", "2") }},
		"announced in two lines": {4,
			func(h http.Header) { h.Add("Trailer", "X-Sum"); h.Add("Trailer", "X-End") },
			func(h http.Header) { h.Set("X-Sum", "1"); h.Set("X-End", "2") }},
		"announced, after a long answer": {3 * maxHeld,
			func(h http.Header) { h.Set("Trailer", "X-Sum, X-End") },
			func(h http.Header) { h.Set("X-Sum", "1"); h.Set("X-End", "2") }},
		"unannounced": {4,
			func(http.Header) {},
			func(h http.Header) { h.Set(http.TrailerPrefix+"X-Sum", "1"); h.Set(http.TrailerPrefix+"X-End", "2") }},
		"unannounced, after a long answer": {3 * maxHeld,
			func(http.Header) {},
			func(h http.Header) { h.Set(http.TrailerPrefix+"X-Sum", "1"); h.Set(http.TrailerPrefix+"X-End", "2") }},
		"some of each": {4,
			func(h http.Header) { h.Set("Trailer", "X-Sum") },
			func(h http.Header) { h.Set("X-Sum", "1"); h.Set(http.TrailerPrefix+"X-End", "2") }},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				a := held(w)
				tc.app(a.Header())
				_, _ = io.WriteString(a, strings.Repeat("x", tc.size))
				tc.end(a.Header())
				a.Header().Set("X-Late", "no trailer")
				a.release()
			}))
			defer server.Close()
			resp, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) != tc.size {
				t.Errorf("%d bytes, %v", len(body), err)
			}
			if got := resp.Trailer; got.Get("X-Sum") != "1" || got.Get("X-End") != "2" || len(got) != 2 {
				t.Errorf("trailers %v", got)
			}
			for name := range resp.Header {
				if name == "X-Late" || strings.HasPrefix(name, http.TrailerPrefix) || name == "X-Sum" {
					t.Errorf("%s came as a header", name)
				}
			}
		})
	}
}
