package report

import (
	"strings"
	"testing"
)

func TestGrowthTables(t *testing.T) {
	t.Parallel()
	r := &Results{
		Variants: []Variant{{"redis", "guard, redis"}, {"memory", "guard, memory"}, {"floor", "the floor"}},
		Floor:    "floor",
		RedisUse: []RedisUse{{Variant: "redis", Sender: "stripe", Commands: 6, Sent: 2, BytesIn: 264, BytesOut: 12, CPU: 20, Memory: 110}},
		Filled: []Filled{
			{Variant: "redis", Events: 10_000, Throughput: 4000, CPU: 200, Resident: 64 << 20, Heap: 3, Redis: 110, Disk: 7},
			{Variant: "memory", Events: 10_000, Throughput: 5000, CPU: 150, Resident: 66 << 20, Heap: 120, Redis: 7},
		},
		Samples: []Sample{{Variant: "floor", Cell: Cell{Name: CPUs, CPUs: 1}, Throughput: 9, CPU: 8, Peak: 7 << 20}},
	}
	tables := r.Tables()
	for name, want := range map[string]string{
		// 50,000 events of 20 µs each in a second; 110 bytes × 10,000 × 72 × 3600 s.
		Redis:      "| guard, redis | stripe | 20 | 2.0 | 6.0 | 264 | 12 | 50000 | 110 | 285 |",
		Remembered: "| guard, redis | 10000 | 200 | 4000 | 64 | 3 | 110 |  |\n| guard, memory | 10000 | 150 | 5000 | 66 | 120 |  |  |",
		CPUs:       "| the floor | 7 MB |",
	} {
		if !strings.Contains(tables[name], want) {
			t.Errorf("the table %s lacks %q:\n%s", name, want, tables[name])
		}
	}
}
