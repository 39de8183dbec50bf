package report

import (
	"fmt"
	"slices"
	"time"
)

// The tables of inboxes.
const (
	Inbox        = "inbox"
	InboxUses    = "inbox-uses"
	InboxBars    = "inbox-bars"
	InboxMachine = "inbox-machine"
	InboxSize    = "inbox-size" // of docs/operations.md
)

// InboxUse is what events of an inbox take while they wait, and how they are delivered.
type InboxUse struct {
	Variant, Store string
	Waiting        int // events
	// Heap and Resident are bytes of the gateway, for all that wait.
	Heap, Resident float64
	// Bytes per waiting event: of its envelope, and of all that Redis or the files have of it.
	Envelope, Redis, Files float64
	// Finished is Redis's bytes per event that has been delivered and is listed.
	Finished float64
	// Drained is the events per second after an outage, DrainCPU the gateway's µs for one.
	Drained, DrainCPU float64
	// AtOnce is how many events a slow app works on, as a share of what it may get. 0 is no
	// figure.
	AtOnce float64
	// Of single events: how long senders waited for their answer, and how long it took from
	// then until the app had the event.
	Answered, Called []time.Duration
}

func quantileOf(all []time.Duration, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return float64(all[min(int(q*float64(len(all))), len(all)-1)]) / float64(time.Millisecond)
}

func inboxTable(r *Results, cells []Cell) string {
	return costTable(r, cells[0], "event", redisCPU, appCPU, allocs)
}

func inboxUsesTable(r *Results) string {
	rows := [][]string{{"", "`disk`", "`redis`"}}
	row := func(name string, cell func(InboxUse) string) {
		cells := []string{name}
		for _, store := range []string{"disk", "redis"} {
			i := slices.IndexFunc(r.InboxUses, func(u InboxUse) bool { return u.Store == store })
			if i < 0 {
				cells = append(cells, "")
			} else {
				cells = append(cells, cell(r.InboxUses[i]))
			}
		}
		rows = append(rows, cells)
	}
	number := func(format string, of func(InboxUse) float64) func(InboxUse) string {
		return func(u InboxUse) string {
			if of(u) == 0 {
				return ""
			}
			return fmt.Sprintf(format, of(u))
		}
	}
	latency := func(of func(InboxUse) []time.Duration, q float64) func(InboxUse) string {
		return number("%.2f", func(u InboxUse) float64 { return quantileOf(of(u), q) })
	}
	answered, called := func(u InboxUse) []time.Duration { return u.Answered }, func(u InboxUse) []time.Duration { return u.Called }
	row("events that wait", func(u InboxUse) string { return fmt.Sprint(u.Waiting) })
	row("MiB of the gateway's heap, all", number("%.1f", func(u InboxUse) float64 { return u.Heap / (1 << 20) }))
	row("MiB resident, all", number("%.1f", func(u InboxUse) float64 { return u.Resident / (1 << 20) }))
	row("bytes/event, envelope", number("%.0f", func(u InboxUse) float64 { return u.Envelope }))
	row("bytes/event, all in Redis or in files", number("%.0f", InboxUse.waiting))
	row("bytes/event in Redis when it is finished", number("%.0f", func(u InboxUse) float64 {
		if u.Store == "disk" {
			return 0
		}
		return u.Finished
	}))
	row("events/s after the outage", number("%.0f", func(u InboxUse) float64 { return u.Drained }))
	row("CPU µs/event of that", number("%.0f", func(u InboxUse) float64 { return u.DrainCPU }))
	row("events at a slow app, of `concurrency`", number("%.2f", func(u InboxUse) float64 { return u.AtOnce }))
	row("idle: sender's wait, p50 ms", latency(answered, 0.5))
	row("idle: sender's wait, p99 ms", latency(answered, 0.99))
	row("idle: from the 200 to the app, p50 ms", latency(called, 0.5))
	row("idle: from the 200 to the app, p99 ms", latency(called, 0.99))
	return table(rows)
}

// waiting is the bytes of a waiting event where the store keeps it.
func (u InboxUse) waiting() float64 {
	if u.Store == "disk" {
		return u.Files
	}
	return u.Redis
}

// outageHours is the outage for which sizes are computed.
const outageHours = 72

// SizeTables renders what an outage takes, computed from what one event takes beside its
// envelope.
func SizeTables(r *Results) map[string]string {
	if len(r.InboxUses) == 0 {
		return nil
	}
	rates := []float64{1, 10, 100}
	head := []string{"", "beside the envelope, waiting", "finished", "envelope"}
	for _, rate := range rates {
		head = append(head, fmt.Sprintf("%.0f/s", rate))
	}
	rows := [][]string{head}
	for _, u := range r.InboxUses {
		for _, envelope := range []float64{512, 2 << 10, 10 << 10} {
			beside := u.waiting() - u.Envelope
			row := []string{"`" + u.Store + "`", fmt.Sprintf("%.0f bytes", beside), "", fmt.Sprintf("%.1f KB", envelope/(1<<10))}
			if u.Store == "redis" {
				row[2] = fmt.Sprintf("%.0f bytes", u.Finished)
			}
			for _, rate := range rates {
				row = append(row, gigabytes((beside+envelope)*rate))
			}
			rows = append(rows, row)
		}
		if u.Store == "disk" { // what waits there is listed in memory
			each := u.Heap / float64(u.Waiting)
			row := []string{"`disk`, memory of the gateway", fmt.Sprintf("%.0f bytes", each), "", "any"}
			for _, rate := range rates {
				row = append(row, gigabytes(each*rate))
			}
			rows = append(rows, row)
		}
	}
	return map[string]string{InboxSize: table(rows)}
}

// gigabytes is what an outage comes to at so many bytes a second.
func gigabytes(perSecond float64) string {
	return fmt.Sprintf("%.1f GB", perSecond*outageHours*3600/1e9)
}

func inInbox(c Cell) bool { return c.Name == Inbox }

// inboxBars are those of inboxes.
func inboxBars(r *Results) []bar {
	var all []bar
	for _, b := range []struct {
		store string
		value float64
	}{{"disk", 1.3}, {"redis", 1.1}} {
		all = append(all, bar{
			what: "`" + b.store + "`: events accepted", variant: "inbox-" + b.store, over: r.Floor, at: inInbox,
			measure: Throughput, least: true, value: b.value, format: "%.2f×",
		})
	}
	for _, u := range r.InboxUses {
		store := "`" + u.Store + "`: "
		one := func(v float64) Figure { return Figure{Median: v, Min: v, Max: v, N: 1} }
		all = append(all,
			bar{what: store + "from the 200 to the app when idle, p50", figure: one(quantileOf(u.Called, 0.5)), value: 5, format: "%.2f ms"},
			bar{what: fmt.Sprintf("%s%d events that wait: heap of the gateway", store, u.Waiting), figure: one(u.Heap / (1 << 20)), value: 50, format: "%.0f MiB"},
			bar{what: store + "events at a slow app after an outage, of `concurrency`", figure: one(u.AtOnce), least: true, value: 0.9, format: "%.2f"},
		)
	}
	return all
}
