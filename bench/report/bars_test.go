package report

import (
	"strings"
	"testing"
	"time"
)

// A bar is met or missed by the median of the rounds, and one that was not measured is left
// out.
func TestBars(t *testing.T) {
	t.Parallel()
	at := func(name string, size, conns int) Cell {
		return Cell{Name: name, Sender: "stripe", Size: size, Conns: conns}
	}
	main, large := at(Main, 1<<10, 16), at(Sizes, 256<<10, 16)
	quarter := at(Latency, 1<<10, 128)
	quarter.Share = 0.25
	own := quarter
	own.Own = true
	r := &Results{Floor: "floor", BareHash: 100, Variants: []Variant{{"floor", "floor"}, {"verify", "verify"}, {"redis", "redis"}}, Samples: []Sample{
		{Variant: "floor", Cell: main, Throughput: 1000, CPU: 100},
		{Variant: "verify", Cell: main, Throughput: 1060, CPU: 95},
		{Variant: "redis", Cell: main, Throughput: 800, CPU: 70},
		{Variant: "express", Cell: main, Throughput: 800, CPU: 100},
		{Variant: "floor", Cell: large, CPU: 200},
		{Variant: "verify", Cell: large, CPU: 360},
		{Variant: "floor", Cell: quarter, P99: time.Millisecond},
		{Variant: "verify", Cell: own, P99: 9 * time.Millisecond},
		{Variant: "verify", Cell: quarter, P99: 1200 * time.Microsecond},
	}}
	got := r.Tables()[Bars]
	for _, want := range []string{
		"| verifying only: throughput | ≥ 1.05× | 1.06× (1.06×–1.06×) | met |",
		"| verifying only: CPU | ≤ 0.92× | 0.95× (0.95×–0.95×) | missed |",
		"| `redis`: throughput | ≥ 0.85× | 0.80× (0.80×–0.80×) | missed |",
		"| `redis`, against Express with ioredis: CPU | ≤ 0.75× | 0.70× (0.70×–0.70×) | met |",
		"| verifying only: p99 added at a quarter of the floor's capacity | ≤ 0.30 ms | 0.20 ms (0.20 ms–0.20 ms) | met |",
		"| verifying only, 256 KB, against the floor and one bare HMAC: CPU | ≤ 1.30× | 1.20× (1.20×–1.20×) | met |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
	for _, not := range []string{"nginx", "`disk`", "duplicates"} {
		if strings.Contains(got, not) {
			t.Errorf("the table has a bar that was not measured, with %q:\n%s", not, got)
		}
	}
	// The plot has a line at the verifying guard's bars, and at those of redis.
	if lines := strings.Count(r.Plot(), "<title>the bar</title>"); lines != 4 {
		t.Errorf("%d lines at bars in the plot, want 4", lines)
	}
}
