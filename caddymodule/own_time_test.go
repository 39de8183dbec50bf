package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// slowBody is a body whose sender takes its time.
type slowBody struct{ io.Reader }

func (b slowBody) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return b.Reader.Read(p)
}

func (slowBody) Close() error { return nil }

// durations take what a histogram would.
type durations struct {
	mu     sync.Mutex
	values []float64
}

func (d *durations) Observe(value float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values = append(d.values, value)
}

var _ prometheus.Observer = (*durations)(nil)

// Neither a slow sender, nor a slow app, nor a wait for another copy is the guard's own time. The
// app's is what its log line says.
func TestTheGuardsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		own := new(durations)
		b.guard.counts.duration = own
		fails := func(w http.ResponseWriter, r *http.Request) error {
			time.Sleep(3 * time.Second)
			return says(500, "")(w, r)
		}
		for range 2 { // the second one waits for the first
			go func() {
				r := b.request("")
				r.Body, r.ContentLength = slowBody{strings.NewReader(event("1"))}, int64(len(event("1")))
				_, _ = b.serve(r, fails)
			}()
			time.Sleep(1500 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, took := range own.values {
			if took != 0 {
				t.Errorf("%gs of the guard's own time, want none", took)
			}
		}
		lines := b.logs.FilterMessage("app failed").All()
		if len(lines) != 2 || len(own.values) != 2 {
			t.Fatalf("%d lines and %d values, want 2 of each", len(lines), len(own.values))
		}
		for _, line := range lines {
			if took := line.ContextMap()["duration"]; took != 3*time.Second {
				t.Errorf("the app took %s, want 3s", took)
			}
		}
	})
}
