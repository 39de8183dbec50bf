package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

const mebibyte = 1 << 20

// memory reads a line of /proc/<pid>/status, in bytes: VmHWM is the most that
// the process ever had resident.
func memory(t *testing.T, g *testbed.Gateway, line string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.SplitSeq(string(status), "\n") {
		if value, ok := strings.CutPrefix(text, line+":"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			if err != nil {
				t.Fatal(err)
			}
			return kb << 10
		}
	}
	t.Fatalf("no %s in the process's status", line)
	return 0
}

// 500 at once of the largest bodies, all of them forged: the process's memory stays
// under max_buffered plus 150 MiB, with Go's own settings and with those of production.
func TestFloodOfForgeriesIsBounded(t *testing.T) {
	for name, env := range map[string][]string{"defaults": nil, "production": productionEnvironment(t)} {
		t.Run(name, func(t *testing.T) { floodWithForgeries(t, env) })
	}
}

// productionEnvironment has the variables that packages and make run set.
func productionEnvironment(t *testing.T) (env []string) {
	t.Helper()
	text, err := os.ReadFile("../../packaging/environment")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			env = append(env, line)
		}
	}
	if len(env) == 0 {
		t.Fatal("packaging/environment sets nothing")
	}
	return env
}

func floodWithForgeries(t *testing.T, env []string) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	s := testbed.Struktr()
	g := testbed.StartGateway(t, setup{store: "memory", app: app}.caddyfile(), testbed.WithoutRaceDetector(), testbed.WithEnv(env...))
	before := memory(t, g, "VmRSS")
	body := bytes.Repeat([]byte("forged, "), 10*mebibyte/8)
	var mu sync.Mutex
	results := make(map[string]int)
	var wg sync.WaitGroup
	for range 500 {
		req := s.Request(t, g.URL(""), testbed.Event{})
		wg.Go(func() {
			result := flood(req, body)
			mu.Lock()
			defer mu.Unlock()
			results[result]++
		})
	}
	wg.Wait()
	most := memory(t, g, "VmHWM")
	t.Logf("resident: %d MiB before, %d MiB at most; %v", before/mebibyte, most/mebibyte, results)
	if bound := (256 + 150) * mebibyte; most > bound {
		t.Errorf("the gateway had %d MiB resident, more than %d", most/mebibyte, bound/mebibyte)
	}
	for _, expected := range []string{"401 signature_invalid", "503 overloaded", "503 body_timeout", "no answer"} {
		delete(results, expected)
	}
	if len(results) > 0 {
		t.Errorf("answers other than expected: %v", results)
	}
	wantCalls(t, app, 0)
	want(t, testbed.Do(t, s.Request(t, g.URL(""), testbed.Event{})), 200, "forwarded")
}

// flood sends a forged request with a large body. A sender that is refused in
// the middle of it often cannot read the answer: "no answer".
func flood(req *http.Request, body []byte) string {
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.ContentLength = int64(len(body))
	req.GetBody = nil
	resp, err := testbed.Try(req)
	if err != nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", resp.Status, resp.Guard)
}

// Forgeries of one size after another: buffers of one size are not kept beside those of
// the others.
func TestFloodOfChangingSizesIsBounded(t *testing.T) {
	const senders, buffered = 250, 32 * mebibyte
	app := testbed.StartApp(t, nil)
	s := testbed.Struktr()
	g := testbed.StartGateway(t, site{
		store: "memory", guards: "max_buffered 32MiB", routes: route("", s.Name, proxy(app), secretOf(s)),
	}.caddyfile(), testbed.WithoutRaceDetector())
	forged := s.Request(t, g.URL(""), testbed.Event{})
	var conns []*net.TCPConn
	for range senders {
		conns = append(conns, dial(t, forged))
	}
	before := memory(t, g, "VmRSS")
	for size := 60 << 10; size >= 20<<10; size -= 4 << 10 {
		head := wire(forged, fmt.Sprintf("Content-Length: %d", size))
		body := strings.Repeat("x", size)
		for _, conn := range conns {
			say(t, conn, head+body[:size-1])
		}
		testbed.Eventually(t, soon, func() bool {
			return metric(g, "webhook_guard_buffered_bytes") >= float64(senders*size)
		}, "all bodies held at once")
		for _, conn := range conns {
			say(t, conn, body[size-1:])
		}
		for _, conn := range conns {
			want(t, hear(t, conn), http.StatusUnauthorized, "signature_invalid")
		}
	}
	most := memory(t, g, "VmHWM")
	t.Logf("resident: %d MiB before, %d MiB at most", before/mebibyte, most/mebibyte)
	if bound := before + 2*buffered; most > bound {
		t.Errorf("the gateway had %d MiB resident, more than %d", most/mebibyte, bound/mebibyte)
	}
	wantCalls(t, app, 0)
}
