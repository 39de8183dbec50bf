//go:build linux

package compare

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/bench/app"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// redisServer is the one Redis that all variants use in turn.
type redisServer struct {
	*testbed.Redis
	client *redis.Client
	pid    int
}

func startRedis(tb testing.TB) *redisServer {
	tb.Helper()
	server := testbed.StartRedis(tb)
	r := &redisServer{Redis: server, client: redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, DisableIdentity: true})}
	tb.Cleanup(func() { _ = r.client.Close() })
	pid, err := strconv.Atoi(r.info(tb, "server")["process_id"])
	if err != nil {
		tb.Fatalf("redis-server does not report its process: %v", err)
	}
	r.pid = pid
	return r
}

// info reads a section of INFO as names and values.
func (r *redisServer) info(tb testing.TB, section string) map[string]string {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	text, err := r.client.Info(ctx, section).Result()
	if err != nil {
		tb.Fatalf("INFO %s: %v", section, err)
	}
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values
}

// reset empties the server and its statistics.
func (r *redisServer) reset(tb testing.TB) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.client.FlushAll(ctx).Err(); err != nil {
		tb.Fatalf("emptying redis-server: %v", err)
	}
	if err := r.client.ConfigResetStat(ctx).Err(); err != nil {
		tb.Fatalf("resetting redis-server's statistics: %v", err)
	}
}

// appProcess is the small app, in a process of its own.
type appProcess struct {
	addr string
	pid  int
}

// appArgument makes a program that calls MainApp act as the app.
const appArgument = "the-small-app"

func startApp(tb testing.TB) *appProcess {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(testbed.FreePort(tb))
	p := testbed.StartProcess(tb, "", nil, self, appArgument, addr)
	p.WaitOutput("listening")
	return &appProcess{addr: addr, pid: p.Pid()}
}

// MainApp is the main function of the process that startApp starts. It returns false
// in every other, which has to call it first.
func MainApp() bool {
	if len(os.Args) != 3 || os.Args[1] != appArgument {
		return false
	}
	a, err := app.Listen(os.Args[2])
	if err == nil {
		fmt.Println("listening")
		err = a.Serve()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return true
}

// get makes a request that must succeed.
func get(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := testbed.Try(req)
	if err == nil && resp.Status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.Status, resp.Body)
	}
	return err
}

// posts asks the app how many requests have reached it.
func (a *appProcess) posts(tb testing.TB) int {
	tb.Helper()
	n, err := app.Posts(a.addr)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

// done asks the app what it has done.
func (a *appProcess) done(tb testing.TB) app.Work {
	tb.Helper()
	w, err := app.Done(a.addr)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}
