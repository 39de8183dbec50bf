package main

import (
	"os"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/bench/simulate"
)

// The tables of the page on scaling are of the figures on the page on performance.
func TestThePageIsOfTheFigures(t *testing.T) {
	pageIsOfTheFigures(t, (*figures).computed)
}

func pageIsOfTheFigures(t *testing.T, tables func(*figures) map[string]string) {
	f, err := readFigures("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/scaling.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, table := range tables(&f) {
		if !strings.Contains(string(page), strings.TrimRight(table, "\n")) {
			t.Errorf("the table %s is of other figures: run `go run ./bench/scale`", name)
		}
	}
}

func TestFiguresAreReadFromTheDocument(t *testing.T) {
	const page = "<!-- bench:machine -->\n\n- 2030-01-01; a machine, 2 CPUs, memory\n- go\n\n<!-- /bench:machine -->\n" +
		"<!-- bench:main -->\n\n|  | CPU µs/request | × floor | requests/s | Redis CPU µs | app CPU µs | generator CPU µs |\n|---|---:|---:|---:|---:|---:|---:|\n" +
		"| guard, `memory` | 1 | 1.00 (1.00–1.00) | 2 |  | 3 | 4 |\n| guard, `redis` | 100 | 1.30 (1.00–1.40) | 8000 | 20 | 30 | 10 |\n\n<!-- /bench:main -->\n" +
		"<!-- bench:redis -->\n\n|  | events of | Redis CPU µs | bytes remembered |\n|---|---:|---:|---:|\n| guard, `redis` | stripe | 20 | 118 |\n" +
		"| guard, `redis` | struktr | 25 | 295 |\n\n<!-- /bench:redis -->\n" +
		"<!-- bench:remembered -->\n\n|  | events remembered | in files |\n|---|---:|---:|\n| guard, `disk` | 10000 | 0 |\n| guard, `disk` | 1000000 | 160 |\n\n<!-- /bench:remembered -->\n" +
		"<!-- bench:inbox-machine -->\n\n- 2030-01-02; another machine\n\n<!-- /bench:inbox-machine -->\n" +
		"<!-- bench:inbox -->\n\n|  | CPU µs/event | Redis CPU µs |\n|---|---:|---:|\n| guard, `redis` | 100 | 25 |\n" +
		"| guard, inbox on `redis`, accepting | 80 | 65 |\n| guard, inbox on `redis`, until the app has had them | 200 | 115 |\n\n<!-- /bench:inbox -->\n" +
		"<!-- bench:inbox-uses -->\n\n|  | `disk` | `redis` |\n|---|---:|---:|\n| bytes/event, all in Redis or in files | 1 | 1500 |\n" +
		"| bytes/event in Redis when it is finished |  | 900 |\n\n<!-- /bench:inbox-uses -->\n"
	path := t.TempDir() + "/page.md"
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(page)
	f, err := readFigures(path)
	want := figures{measured: "2030-01-01; a machine, 2 CPUs, memory", gatewayCPU: 100, redisCPU: 20, appCPU: 30, loadCPU: 10, cpus: 2, perSecond: 8000, remembered: 118,
		twoKeysCPU: 1.25, twoKeys: 2.5, inFiles: 160,
		inbox: inboxFigures{measured: "2030-01-02; another machine", acceptCPU: 80, deliverCPU: 120, claimCPU: 25, putCPU: 40, takeCPU: 50, waiting: 1500, finished: 900},
	}
	if err != nil || f != want {
		t.Errorf("%+v, %v; want %+v", f, err, want)
	}
	if got := f.overhead(); got != 2e6/160/8000 {
		t.Errorf("the overhead is %g", got)
	}
	// 10,000/s × 100 µs × 1.5625 = 1.56 CPUs, at 60% of 4: one gateway, and a spare one.
	// 10,000/s × 20 µs × 1.5625 = 0.31, at 50%: one shard. 118 B × 1.5 × 3600 s: 6.4 GB.
	if s := f.sizeOf(10_000, 1); s.gateways != 2 || s.forCPU != 1 || s.forRoom != 1 || int(10*s.gigabyte) != 63 {
		t.Errorf("%+v", s)
	}
	if s := f.sizeOf(1_000_000, 24); s.gateways != 67 || s.forCPU != 63 || s.forRoom != 478 {
		t.Errorf("%+v", s)
	}
	// With an inbox 10,000/s × 200 µs × 1.5625 = 3.13 CPUs: two gateways, and a spare one, each of
	// which gives the app 10,000/s × 20 ms / 2 / 60% at once. 115 µs: 1.8, at 50%: 4 shards.
	// 54 MB/h × (24 × 900 + 48 × 118): 1472 GB, and 54 × 600 more for each hour of waiting.
	if s := f.inboxSizeOf(10_000); s.gateways != 3 || s.concurrency != 167 || s.forCPU != 4 || s.inboxes != 3 || s.forRoom != 47 || int(s.gigabyte) != 1472 || int(10*s.awayGigabyte) != 324 {
		t.Errorf("%+v", s)
	}
	// 4601 shards for the memory take as many lanes: 288 inboxes. The commands are 360 shards' work,
	// if the lanes were spread evenly over them.
	if s := f.inboxSizeOf(1_000_000); s.inboxes != 288 || s.forRoom != 4601 || s.forCPU <= 360 {
		t.Errorf("%+v", s)
	}
	for _, gone := range []string{"bench:redis", "guard, `redis`", "bytes remembered", "CPUs, memory", "accepting", "when it is finished", "1000000", "bench:inbox-machine"} {
		write(strings.ReplaceAll(page, gone, "gone"))
		if _, err := readFigures(path); err == nil {
			t.Errorf("without %q there is no error", gone)
		}
	}
}

// The slots are those that a Redis Cluster says (CLUSTER KEYSLOT).
func TestLanesAreWhereAClusterHasThem(t *testing.T) {
	for tag, want := range map[string]int{"123456789": 12739, "wg:inbox/payments/0": 13249, "wg:inbox/inbox3/15": 16316} {
		if got := slotOf(tag); got != want {
			t.Errorf("the slot of %s is %d, want %d", tag, got, want)
		}
	}
	of := slotsOf(3)
	if most := mostOn(of, 4); len(of) != 48 || most < 12 || most > 20 {
		t.Errorf("of %d lanes a master has %d", len(of), most)
	}
}

// No master of an installation with inboxes has more to do than it is planned for, and the
// simulation has the lanes where a Cluster has them.
func TestTheBusiestMasterIsWithinItsPlan(t *testing.T) {
	f, err := readFigures("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	const rate = 100_000
	s := f.inboxSizeOf(rate)
	if lanes*s.inboxes < max(s.forCPU, s.forRoom) {
		t.Errorf("%d inboxes do not reach %d masters", s.inboxes, max(s.forCPU, s.forRoom))
	}
	if o := simulate.Run(f.inboxPlan(s.gateways, s.forCPU, rate, 0.4)); o.ShardBusy > busyShard+0.05 {
		t.Errorf("the busiest of %d masters is busy for %.2f of its time", s.forCPU, o.ShardBusy)
	}
	// As many as an even spread would take are too few.
	even := ceil(rate / 1e6 * f.overhead() * (f.inbox.claimCPU + f.inbox.putCPU + f.inbox.takeCPU) / busyShard)
	if o := simulate.Run(f.inboxPlan(s.gateways, even, rate, 0.4)); o.ShardBusy < busyShard+0.05 {
		t.Errorf("the busiest of %d masters is busy for %.2f of its time: the lanes are spread evenly", even, o.ShardBusy)
	}
}
