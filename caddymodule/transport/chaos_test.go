package transport

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// moods are what the app of the test below does with an event, in turn.
const (
	obeys = iota
	answersEarly
	hangsUp
	hangsUpInTheBody
	answersAndHangsUp
	breaksItsAnswer
	moods
)

// moody is an app whose answers name the event and what it took of it.
type moody struct {
	mu    sync.Mutex
	calls int
	conns map[net.Conn]bool
}

func (a *moody) turn(conn net.Conn) (call int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[conn] = true
	a.calls++
	return a.calls
}

// restart breaks all connections, as a process that is killed does.
func (a *moody) restart() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for conn := range a.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
	clear(a.conns)
}

func (a *moody) serve(conn net.Conn) {
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		mood := a.turn(conn) % moods
		reply := func(n int64) string {
			text := fmt.Sprintf("%s %d", r.URL.Path, n)
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		}
		switch mood {
		case hangsUp:
			return
		case hangsUpInTheBody:
			_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
			return
		case answersEarly:
			if _, err := io.WriteString(conn, reply(r.ContentLength)); err != nil {
				return
			}
		}
		n, err := io.Copy(counting{r.URL.Path[1:]}, r.Body)
		if err != nil {
			return
		}
		switch mood {
		case answersEarly:
		case breaksItsAnswer:
			_, _ = io.WriteString(conn, reply(n)[:40])
			return
		default:
			_, _ = io.WriteString(conn, reply(n))
		}
		if mood == answersAndHangsUp {
			return
		}
	}
}

// counting takes the bytes of one event only.
type counting struct{ path string }

func (c counting) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != c.path[len(c.path)-1] {
			return 0, fmt.Errorf("%q in the event %s", b, c.path)
		}
	}
	return len(p), nil
}

// Whatever the app does, each answer is that of its own event, and says that all of it
// arrived.
func TestAnswersBelongToTheirEvents(t *testing.T) {
	const senders, events = 16, 40
	a := &moody{conns: make(map[net.Conn]bool)}
	p := startProxy(t, webhook(nil, startApp(t, a.serve).address()))
	sizes := []int{1, 1000, 33 << 10, 300 << 10}
	var all sync.WaitGroup
	var mu sync.Mutex
	delivered := 0
	for s := range senders {
		all.Go(func() {
			for e := range events {
				size := sizes[(s+e)%len(sizes)]
				path := fmt.Sprintf("/%d-%d", e, s)
				status, text := p.do(t, http.MethodPost, path, strings.NewReader(strings.Repeat(path[len(path)-1:], size)))
				switch {
				case status == http.StatusOK && text == path+" "+strconv.Itoa(size):
					mu.Lock()
					delivered++
					mu.Unlock()
				case status == http.StatusOK && !strings.Contains(text, "EOF"):
					t.Errorf("the event %s of %d bytes got %.200q", path, size, text)
				}
				if s == 0 && e%10 == 9 {
					a.restart()
				}
			}
		})
	}
	all.Wait()
	if delivered < senders*events/4 {
		t.Errorf("%d of %d events were delivered", delivered, senders*events)
	}
}
