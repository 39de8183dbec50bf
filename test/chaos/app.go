package chaos

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Headers that tell of a call's attempt, its gateway, and when that sent it. The sender
// sets the first, the gateway the others.
const (
	attemptHeader = "X-Chaos-Attempt"
	gatewayHeader = "X-Chaos-Gateway"
	sentHeader    = "X-Chaos-Sent"
)

// app is what the gateways protect: a real server that keeps its own record, and fails
// as the seed decides.
type app struct {
	tb   testing.TB
	rec  *record
	seed uint64
	addr string
	// inbox: it refuses some events for good.
	inbox bool
	mood  atomic.Int32

	calm     chan struct{} // closed when it is to behave from now on
	server   *http.Server
	listener net.Listener
	working  sync.WaitGroup
}

func startApp(tb testing.TB, rec *record, seed uint64, inbox bool) *app {
	a := &app{
		tb: tb, rec: rec, seed: seed, inbox: inbox, calm: make(chan struct{}),
		addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(testbed.FreePort(tb))),
	}
	a.server = &http.Server{
		Handler: http.HandlerFunc(a.serve), ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // of answers cut on purpose
	}
	a.listen()
	tb.Cleanup(func() { _ = a.server.Close() })
	return a
}

// listen has the app accept connections.
func (a *app) listen() {
	a.tb.Helper()
	var err error
	// A child process holds a copy of the last listener until it runs its program.
	testbed.Eventually(a.tb, time.Minute, func() bool {
		a.listener, err = net.Listen("tcp", a.addr)
		return !errors.Is(err, syscall.EADDRINUSE)
	}, "the app's port to be free again")
	if err != nil {
		a.tb.Fatalf("the app cannot listen: %v", err)
	}
	go func() { _ = a.server.Serve(a.listener) }() // ends with the listener
}

// refuse has the app refuse connections. What it is working on, it finishes.
func (a *app) refuse() {
	if err := a.listener.Close(); err != nil {
		a.tb.Errorf("closing the app's listener: %v", err)
	}
}

// behave has every call succeed from now on, and ends slow ones.
func (a *app) behave() { close(a.calm) }

// wait returns when no call is in progress any more.
func (a *app) wait() { a.working.Wait() }

func (a *app) serve(w http.ResponseWriter, r *http.Request) {
	a.working.Add(1)
	defer a.working.Done()
	e, c, nth := a.receive(r)
	if c == nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	b := a.draw(e, nth)
	if !b.always {
		select {
		case <-time.After(b.takes):
		case <-a.calm:
			b = calmly
		}
	}
	a.rec.update(func() {
		c.decided, c.how, c.work, c.status = a.rec.now(), b.name, b.work, b.status
	})
	whole := a.answer(w, b)
	a.rec.update(func() { c.ended, c.whole = a.rec.now(), whole })
	if !whole {
		panic(http.ErrAbortHandler) // net/http drops the connection
	}
}

// receive identifies the event by the exact body, and checks the guard's headers.
func (a *app) receive(r *http.Request) (*event, *call, int) {
	attempt, gateway := number(r.Header, attemptHeader), number(r.Header, gatewayHeader)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil, 0 // its gateway was killed; no app takes half a request
	}
	if verified := r.Header.Values("Webhook-Guard"); len(verified) != 1 || verified[0] != "verified" {
		a.rec.stray(fmt.Sprintf("%v: attempt %d through gateway %d has Webhook-Guard %q", a.rec.now(), attempt, gateway, verified))
		return nil, nil, 0
	}
	sent, err := sentAt(r.Header)
	if err != nil {
		a.tb.Errorf("attempt %d through gateway %d: %v", attempt, gateway, err)
		return nil, nil, 0
	}
	e, c, nth := a.rec.called(body, attempt, gateway, sent)
	if c == nil {
		a.rec.stray(fmt.Sprintf("%v: attempt %d through gateway %d brought what no sender has sent: %d bytes at %s",
			a.rec.now(), attempt, gateway, len(body), r.URL.Path))
		return nil, nil, 0
	}
	if got := r.Header.Get("Webhook-Guard-Provider"); got != e.from.Name {
		a.rec.stray(fmt.Sprintf("%v: an event of %s arrived as one of %q", a.rec.now(), e.from.Name, got))
	}
	return e, c, nth
}

func number(h http.Header, name string) int {
	n, err := strconv.Atoi(h.Get(name))
	if err != nil {
		return -1
	}
	return n
}

// sentAt returns when the gateway sent a request, by its own clock, which is the machine's.
// The app may come to it much later: on a busy machine, when its gateway has been killed.
func sentAt(h http.Header) (time.Time, error) {
	text, _, _ := strings.Cut(h.Get(sentHeader), " m=")
	at, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", text)
	if err != nil {
		return time.Time{}, fmt.Errorf("header %s: %w", sentHeader, err)
	}
	return at, nil
}

// behaviour is what the app does with one call.
type behaviour struct {
	name   string
	takes  time.Duration
	work   bool
	status int // 0 drops the connection without a word
	cut    bool
	always bool // even at the end of a run
}

var (
	calmly = behaviour{name: "well", work: true, status: http.StatusOK}
	// poisoned is what the app does with an event that it can never handle.
	poisoned = behaviour{name: "refused for good", status: finalStatus, always: true}
)

// finalStatus is the answer after which an inbox gives up.
const finalStatus = http.StatusGone

// draw decides by the seed, the event and the number of its earlier calls.
func (a *app) draw(e *event, nth int) behaviour {
	if a.inbox && rand.New(rand.NewPCG(a.seed, uint64(e.n)<<8|0xdead<<40)).IntN(100) == 0 {
		return poisoned
	}
	r := rand.New(rand.NewPCG(a.seed, uint64(e.n)<<8|uint64(min(nth, 255))))
	select {
	case <-a.calm:
		return calmly
	default:
	}
	b := behaviour{name: "well", takes: within(r, 0, 40*time.Millisecond), work: true, status: pick(r, successes)}
	switch p := r.IntN(1000); {
	case p < 100:
		b.name, b.takes = "slowly", within(r, 100*time.Millisecond, time.Second)
	case p < 115: // its sender is gone by then
		b.name, b.takes = "stalled", within(r, senderLimit+200*time.Millisecond, appLimit*7/10)
	case p < 120: // its gateway has given up by then
		b.name, b.takes = "too late", appLimit*6/5
	case p < 160:
		b.name, b.work, b.status = "failed", false, pick(r, failures)
	case p < 175:
		b.name, b.cut, b.status = "cut in mid-answer", true, http.StatusOK
	case p < 185:
		b.name, b.work, b.status = "dropped before the work", false, 0
	case p < 190:
		b.name, b.status = "dropped after the work", 0
	}
	return a.moody(b, r)
}

// moods of the app as a whole.
const (
	moodWell int32 = iota
	moodSlow
	moodFailing
)

// moody changes what the app does with a call while it is unwell.
func (a *app) moody(b behaviour, r *rand.Rand) behaviour {
	switch a.mood.Load() {
	case moodSlow:
		b.name, b.takes = b.name+", slower", b.takes+within(r, 500*time.Millisecond, 2*time.Second)
	case moodFailing:
		if r.IntN(2) == 0 {
			b = behaviour{name: "failed, as others", takes: b.takes, status: pick(r, failures)}
		}
	}
	return b
}

var (
	successes = []int{http.StatusOK, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}
	failures  = []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable}
)

// answer reports whether the whole answer was sent.
func (a *app) answer(w http.ResponseWriter, b behaviour) (whole bool) {
	text := []byte("thank you\n")
	switch b.status {
	case 0:
		return false
	case http.StatusNoContent:
		text = nil
	default:
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	}
	w.WriteHeader(b.status)
	if b.cut {
		text = text[:len(text)/2]
	}
	_, err := w.Write(text)
	return errors.Join(err, http.NewResponseController(w).Flush()) == nil && !b.cut
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func within(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
