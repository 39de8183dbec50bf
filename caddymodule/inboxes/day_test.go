//go:build unix

package inboxes

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	goredis "github.com/redis/go-redis/v9"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/inbox/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// storesOfTheBubble returns what opens each store with the time of a bubble.
func storesOfTheBubble(t *testing.T) map[string]func(*testing.T) inbox.Store {
	t.Helper()
	server := testbed.StartRedis(t)
	return map[string]func(*testing.T) inbox.Store{
		"model": func(*testing.T) inbox.Store { return queuetest.NewModel(time.Now) },
		"disk": func(t *testing.T) inbox.Store {
			s, err := disk.Open(disk.Options{Dir: t.TempDir(), Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			return s
		},
		"redis": func(t *testing.T) inbox.Store {
			servers, err := dedupe.New(dedupe.Options{URLs: []string{server.URL()}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = servers.Close() })
			servers.Client().AddHook(bubbleTime{})
			return redis.New(bubbleServers{servers})
		},
	}
}

// bubbleServers give the scripts of an inbox the time of the bubble: each takes an offset to
// the server's time as its first argument, behind its one key.
type bubbleServers struct{ *dedupe.Store }

func (b bubbleServers) Do(ctx context.Context, words ...any) *goredis.Cmd {
	words[4] = offset()
	return b.Store.Do(ctx, words...)
}

// offset is how far the bubble's time is from the server's, in ms.
func offset() int64 {
	var real syscall.Timeval
	if err := syscall.Gettimeofday(&real); err != nil {
		panic(err) // the address is sound
	}
	return time.Now().UnixMilli() - real.Nano()/int64(time.Millisecond)
}

// bubbleTime does the like for what goes to the client itself.
type bubbleTime struct{}

func (bubbleTime) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (bubbleTime) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if args := cmd.Args(); (cmd.Name() == "evalsha" || cmd.Name() == "eval") && len(args) > 4 {
			args[4] = offset()
		}
		return next(ctx, cmd)
	}
}

func (bubbleTime) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// An app that is away for a day loses nothing, is asked once a minute by then, and is not
// overrun when it is back.
func TestADayWithoutTheApp(t *testing.T) {
	t.Parallel()
	for name, open := range storesOfTheBubble(t) {
		t.Run(name, func(t *testing.T) { aDayWithoutTheApp(t, open) })
	}
}

func aDayWithoutTheApp(t *testing.T, open func(*testing.T) inbox.Store) {
	var away atomic.Bool
	away.Store(true)
	runOn(t, open, Config{Concurrency: 4}, func(w http.ResponseWriter, _ *http.Request) error {
		if away.Load() {
			return caddyhttp.Error(502, errors.New("connection refused"))
		}
		time.Sleep(50 * time.Millisecond)
		w.WriteHeader(http.StatusOK)
		return nil
	}, func(g *rig) {
		const many = 500
		for range many / 10 {
			g.put(10)
			wait(dayHours * time.Hour * 10 / many)
		}
		s := g.status()
		if s.Waiting() != many || !s.Held {
			t.Fatalf("%+v after a day, want all to wait and the inbox held", s)
		}
		probes := g.calls.Load()
		if probes < dayHours*50 || probes > dayHours*60+50 {
			t.Errorf("the app was asked %d times in %d hours, want about once a minute", probes, dayHours)
		}
		away.Store(false)
		g.most.Store(0)
		wait(2 * time.Hour) // the longest delay and the hold
		if s := g.status(); s.Done != many || s.Held {
			t.Errorf("%+v after the app is back, want all done", s)
		}
		if most := g.most.Load(); most != 4 {
			t.Errorf("the app got %d events at once, want 4", most)
		}
		if got := g.calls.Load() - probes; got != many {
			t.Errorf("%d calls delivered %d events", got, many)
		}
	})
}

// keyed gives an inbox its keys: one byte stands for one.
func (g *rig) keyed(keys string) {
	g.t.Helper()
	g.in.sealing.name, g.in.sealing.read = g.in.Name, make([]*inbox.SealKey, len(keys))
	for i, c := range keys {
		text := ""
		for range 64 {
			text += string(c)
		}
		if err := g.in.sealing.set(i, text); err != nil {
			g.t.Fatal(err)
		}
	}
}

// An event whose key is gone waits for it, longer than the app may fail it, and counts no
// attempt. Others are delivered meanwhile.
func TestAnEventWaitsForItsKey(t *testing.T) {
	t.Parallel()
	for name, open := range storesOfTheBubble(t) {
		t.Run(name, func(t *testing.T) { anEventWaitsForItsKey(t, open) })
	}
}

func anEventWaitsForItsKey(t *testing.T, open func(*testing.T) inbox.Store) {
	const hours = 2
	runOn(t, open, Config{RetryFor: caddy.Duration(time.Hour)}, func(w http.ResponseWriter, r *http.Request) error {
		if got := r.Header.Get(headerAttempt); got != "1" {
			t.Errorf("attempt %s, want 1", got)
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}, func(g *rig) {
		ctx := context.Background()
		pause := func(paused bool) {
			if err := g.queue.Pause(ctx, paused); err != nil {
				t.Fatal(err)
			}
			wait(2 * poll)
		}
		pause(true)
		g.keyed("a")
		g.put(3)
		g.keyed("b")
		g.put(2)
		pause(false)
		wait(hours * time.Hour)
		if s := g.status(); s.Done != 2 || s.Waiting() != 3 || s.Dead != 0 {
			t.Fatalf("%+v, want three to wait for their key, and the others done", s)
		}
		page, err := g.queue.Page(ctx, inbox.Filter{State: inbox.Delayed}, "", 10)
		if err != nil || len(page.Events) != 3 || page.Events[0].Reason != inbox.Locked {
			t.Errorf("%+v is listed, %v; want three that are locked", page.Events, err)
		}
		told := g.logs.FilterMessageSnippet("cannot be decrypted").Len()
		if told < hours || told > hours*60 {
			t.Errorf("the log tells %d times in %d hours", told, hours)
		}
		g.keyed("ba")
		wait(2 * lockedDelay)
		if s := g.status(); s.Done != 5 || g.calls.Load() != 5 {
			t.Errorf("%+v after %d calls, want all done once the key is back", s, g.calls.Load())
		}
	})
}

// A probe that cannot be decrypted tells nothing of the app: the next event is tried at once.
func TestALockedProbeIsNotTheLast(t *testing.T) {
	var away atomic.Bool
	away.Store(true)
	run(t, Config{Retry: []caddy.Duration{caddy.Duration(time.Second)}}, func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(map[bool]int{true: 503, false: 200}[away.Load()])
		return nil
	}, func(g *rig) {
		if err := g.queue.Pause(context.Background(), true); err != nil {
			t.Fatal(err)
		}
		g.keyed("b")
		g.put(awayAfter)
		if err := g.queue.Pause(context.Background(), false); err != nil {
			t.Fatal(err)
		}
		wait(2 * poll)
		if s := g.status(); !s.Held {
			t.Fatalf("%+v, want the inbox held", s)
		}
		g.keyed("a")
		g.put(20) // before the others in the row
		g.keyed("b")
		away.Store(false)
		wait(lastHold)
		if s := g.status(); s.Held || s.Done != awayAfter {
			t.Errorf("%+v, want the app to be found back", s)
		}
	})
}
