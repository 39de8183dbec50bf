package report

import (
	"strings"
	"testing"
	"time"
)

func inboxResults() *Results {
	in := Cell{Name: Inbox, Sender: "stripe", Size: 1 << 10, Conns: 16}
	return &Results{
		Floor: "floor", Machine: []string{"a machine"},
		Variants: []Variant{{"floor", "the floor"}, {"inbox-disk", "an inbox"}},
		Samples: []Sample{
			{Variant: "floor", Cell: in, Round: 1, Throughput: 1000, CPU: 100},
			{Variant: "inbox-disk", Cell: in, Round: 1, Throughput: 1400, CPU: 80},
		},
		InboxUses: []InboxUse{
			{Store: "disk", Waiting: 100_000, Heap: 20 << 20, Files: 800, Envelope: 500, AtOnce: 0.8, Called: []time.Duration{time.Millisecond, 2 * time.Millisecond, 90 * time.Millisecond}},
			{Store: "redis", Waiting: 100_000, Heap: 60 << 20, Redis: 1500, Envelope: 700, Finished: 500, AtOnce: 0.95, Called: []time.Duration{time.Millisecond}},
		},
	}
}

func TestInboxBars(t *testing.T) {
	t.Parallel()
	table := inboxResults().Tables()[InboxBars]
	for _, row := range []string{
		"| `disk`: events accepted | ≥ 1.30× | 1.40× (1.40×–1.40×) | met |",
		"| `disk`: from the 200 to the app when idle, p50 | ≤ 5.00 ms | 2.00 ms",
		"| `disk`: 100000 events that wait: heap of the gateway | ≤ 50 MiB | 20 MiB",
		"| `disk`: events at a slow app after an outage, of `concurrency` | ≥ 0.90 | 0.80",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("no row %q in\n%s", row, table)
		}
	}
	if strings.Count(table, "| met |") != 5 || strings.Count(table, "| missed |") != 2 {
		t.Errorf("five are met and two are missed:\n%s", table)
	}
}

// The sizes are computed: bytes times rate times 72 hours.
func TestSizesOfAnOutage(t *testing.T) {
	t.Parallel()
	table := SizeTables(inboxResults())[InboxSize]
	for _, row := range []string{
		"| `disk` | 300 bytes |  | 0.5 KB | 0.2 GB | 2.1 GB | 21.0 GB |",
		"| `disk`, memory of the gateway | 210 bytes |  | any | 0.1 GB | 0.5 GB | 5.4 GB |",
		"| `redis` | 800 bytes | 500 bytes | 10.0 KB | 2.9 GB | 28.6 GB | 286.2 GB |",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("no row %q in\n%s", row, table)
		}
	}
}

// A run of the inboxes alone leaves what is said of the machine of other runs.
func TestMachinesOfInboxes(t *testing.T) {
	t.Parallel()
	r := inboxResults()
	if tables := r.Tables(); tables["machine"] != "" || tables[InboxMachine] == "" || tables[Bars] != "" {
		t.Errorf("machine %q, that of inboxes %q, bars %q", tables["machine"], tables[InboxMachine], tables[Bars])
	}
	r.Samples = append(r.Samples, results().Samples...)
	if tables := r.Tables(); tables["machine"] == "" || tables[InboxMachine] == "" {
		t.Errorf("machine %q, that of inboxes %q", tables["machine"], tables[InboxMachine])
	}
}
