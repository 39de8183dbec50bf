package ui

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// realStores are the stores that keep inboxes, open until the test ends.
func realStores(t *testing.T) map[string]inbox.Store {
	t.Helper()
	onDisk, err := disk.Open(disk.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = onDisk.Close() })
	servers, err := dedupe.New(dedupe.Options{URLs: []string{testbed.StartRedis(t).URL()}, Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	return map[string]inbox.Store{"disk": onDisk, "redis": redis.New(servers)}
}

// benchOn is a page whose gateway has a store.
func benchOn(t *testing.T, store inbox.Store) *bench {
	core, logs := observer.New(zap.InfoLevel)
	return benchOf(t, &gateway{store: store, logger: zap.New(core)}, zap.New(core), logs)
}

// numbered is the key of the nth event.
func numbered(n int) (k inbox.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(n))
	k[15] = 1
	return k
}

// died puts events into an inbox, and gives them up, many at a time.
func (b *bench) died(name string, from, to int) {
	b.t.Helper()
	q, ctx := b.queue(name), b.t.Context()
	request := inbox.Envelope{Method: http.MethodPost}
	const callers = 64
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := from + c; n < to; n += callers {
				ev := inbox.Event{Key: numbered(n), ID: fmt.Sprint("evt_", n), Type: fmt.Sprint("type.", n%2), Scope: "acme", Envelope: request.Encode()}
				if a, err := q.Put(ctx, ev); a != inbox.Accepted || err != nil {
					b.t.Errorf("putting: %v, %v", a, err)
					return
				}
			}
		})
	}
	all.Wait()
	for left := to - from; left > 0 && !b.t.Failed(); {
		batch, err := q.Take(ctx, min(left, 500), time.Hour)
		if err != nil || len(batch.Deliveries) == 0 {
			b.t.Fatalf("taking: %d, %v", len(batch.Deliveries), err)
		}
		left -= len(batch.Deliveries)
		for c := range callers {
			all.Go(func() {
				for i := c; i < len(batch.Deliveries); i += callers {
					if err := q.Settle(ctx, batch.Deliveries[i].Key, batch.Token, inbox.Settlement{Outcome: inbox.GiveUp, Reason: "status 410"}); err != nil {
						b.t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
	}
	if b.t.Failed() {
		b.t.FailNow()
	}
}

// served is the page behind a server that sends what is flushed.
func (b *bench) served() *httptest.Server {
	b.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repl := caddy.NewReplacer()
		repl.Set("http.auth.user.id", "alice")
		_ = b.ServeHTTP(w, caddyhttp.PrepareRequest(r, repl, w, &caddyhttp.Server{}), nil)
	}))
	b.t.Cleanup(server.Close)
	return server
}

// submit sends a form to a server, and returns the status and the body of its answer.
func (b *bench) submit(server *httptest.Server, screen string, fields url.Values) (int, io.ReadCloser) {
	b.t.Helper()
	r := b.form(screen, fields)
	address, err := url.Parse(server.URL + "/change")
	if err != nil {
		b.t.Fatal(err)
	}
	r.URL, r.RequestURI, r.Host = address, "", ""
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = resp.Body.Close() })
	return resp.StatusCode, resp.Body
}

// All of very many events are replayed by one click, on the real stores, and the page says how
// many these were.
func TestVeryManyEvents(t *testing.T) {
	t.Parallel()
	const many = 20_000
	for name, store := range realStores(t) {
		t.Run(name, func(t *testing.T) {
			b := benchOn(t, store)
			b.patience = 0 // so that it is followed
			b.died("payments", 0, many)
			b.shows("/change?do=replay&inbox=payments&state=dead", "Replay 20000 events</button>")
			for _, half := range []string{"type.0", "type.1"} {
				fields := url.Values{"do": {"replay"}, "inbox": {"payments"}, "state": {"dead"}, "type": {half}, "why": {"mended"}}
				code, body := b.submit(b.served(), "/change?do=replay&inbox=payments&state=dead&type="+half, fields)
				page, err := io.ReadAll(body)
				if err != nil || code != http.StatusOK || !strings.Contains(string(page), "Replayed 10000 events.") {
					t.Fatalf("%d, %v\n%s", code, err, page)
				}
			}
			status, err := b.queue("payments").Status(t.Context())
			if err != nil || status.Ready != many || status.Dead != 0 {
				t.Errorf("%+v, %v", status, err)
			}
			if n := b.logs.FilterMessage("an inbox was changed on request").Len(); n != 2 {
				t.Errorf("%d changes were logged", n)
			}
		})
	}
}

// hindered is a store that a test gets in the way of.
type hindered struct {
	inbox.Store
	replay  func(n int) error // before each step of a replay
	endless bool              // lists begin again at their end
}

func (s *hindered) Queue(name string, o inbox.Options) (inbox.Queue, error) {
	q, err := s.Store.Queue(name, o)
	return &hinderedQueue{Queue: q, s: s}, err
}

type hinderedQueue struct {
	inbox.Queue
	s     *hindered
	steps int
}

func (q *hinderedQueue) Replay(ctx context.Context, keys []inbox.Key, after, gap time.Duration) (int, error) {
	q.steps++
	if q.s.replay != nil {
		if err := q.s.replay(q.steps); err != nil {
			return 0, err
		}
	}
	return q.Queue.Replay(ctx, keys, after, gap)
}

func (q *hinderedQueue) Page(ctx context.Context, f inbox.Filter, cursor string, limit int) (inbox.Page, error) {
	if !q.s.endless {
		return q.Queue.Page(ctx, f, cursor, limit)
	}
	p, err := q.Queue.Page(ctx, f, "", limit)
	p.Next = "more"
	return p, err
}

// hinder puts something in the way of the page's store.
func (b *bench) hinder(s *hindered) {
	s.Store = b.gateway.store
	b.gateway.store = s
}

// A change that takes long is followed: the browser gets to know how far it is, and the number
// at its end. It comes to its end also where the user goes away meanwhile.
func TestALongChangeIsFollowed(t *testing.T) {
	replayAll := url.Values{"do": {"replay"}, "inbox": {"payments"}, "state": {"dead"}, "why": {"mended"}}
	const screen = "/change?do=replay&inbox=payments&state=dead"
	stays := func(t *testing.T, lines *bufio.Reader, _ io.Closer, goOn func()) {
		goOn()
		rest, err := io.ReadAll(lines)
		if err != nil || !strings.Contains(string(rest), "Replayed 1200 events.") || !strings.Contains(string(rest), "</html>") {
			t.Errorf("%v\n%s", err, rest)
		}
	}
	goes := func(t *testing.T, _ *bufio.Reader, body io.Closer, goOn func()) {
		if err := body.Close(); err != nil {
			t.Fatal(err)
		}
		goOn()
	}
	for name, end := range map[string]func(*testing.T, *bufio.Reader, io.Closer, func()){"who stays": stays, "who goes": goes} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "payments")
			b.died("payments", 0, 1200)
			reached, free := make(chan struct{}), make(chan struct{})
			b.hinder(&hindered{replay: func(n int) error {
				if n == 2 {
					close(reached)
					<-free
				}
				return nil
			}})
			b.patience = 0
			_, body := b.submit(b.served(), screen, maps.Clone(replayAll)) // submit adds to it
			lines := bufio.NewReader(body)
			for begun := ""; !strings.Contains(begun, "so far."); {
				line, err := lines.ReadString('\n')
				if err != nil {
					t.Fatalf("%v behind\n%s", err, begun)
				}
				begun += line
			}
			<-reached
			end(t, lines, body, func() { close(free) })
			testbed.Eventually(t, time.Minute, func() bool {
				status, err := b.queue("payments").Status(t.Context())
				return err == nil && status.Ready == 1200
			}, "all are to be replayed")
		})
	}
}

// A change that ends early says how much of it is done.
func TestAChangeThatEndsEarly(t *testing.T) {
	for name, patience := range map[string]time.Duration{"at once": time.Hour, "followed": 0} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "payments")
			b.died("payments", 0, 1200)
			b.hinder(&hindered{replay: func(n int) error {
				if n == 3 {
					return errors.New("connection refused")
				}
				return nil
			}})
			b.patience = patience
			w := b.do(b.form("/change?do=replay&inbox=payments&state=dead", url.Values{"do": {"replay"}, "inbox": {"payments"}, "state": {"dead"}, "why": {"mended"}}))
			if !strings.Contains(w.Body.String(), "Replayed 1000 of 1200 events. Then the gateway&#39;s store did not answer") || strings.Contains(w.Body.String(), "connection refused") {
				t.Errorf("%d\n%s", w.Code, w.Body)
			}
			logged := b.logs.FilterMessage("an inbox was changed on request").All()
			if len(logged) != 1 || logged[0].ContextMap()["changed"] != int64(1000) {
				t.Errorf("logged %v", logged)
			}
		})
	}
}

// Where the counters do not know, a preview counts for a while, and says that it has not counted
// all; so does a list that few events match.
func TestWhatTakesLongToFindIsSaidToBe(t *testing.T) {
	b := newBench(t, "payments")
	b.died("payments", 0, 3)
	b.hinder(&hindered{endless: true})
	b.shows("/change?do=delete&inbox=payments&scope=acme", "match so far", "Delete all that match</button>")
	page := b.shows("/deliveries?inbox=payments&scope=nobody", "0 of the ", " events that were looked at match", ">Go on</a>")
	if strings.Contains(page, "No event matches") {
		t.Errorf("it says that no event matches:\n%s", page)
	}
}

// What is previewed is what is changed: times that were given as how long ago are fixed when
// the form is made.
func TestThePreviewFixesTimes(t *testing.T) {
	b, _, _ := oneDead(t)
	b.shows("/change?do=replay&inbox=payments&since=90m&until=30m", `name="since" value="2026-11-29T10:30:00Z"`, `name="until" value="2026-11-29T11:30:00Z"`)
	b.shows("/change?do=replay&inbox=payments&since=2026-11-29T10:30:00%2B02:00", `name="since" value="2026-11-29T08:30:00Z"`)
}
