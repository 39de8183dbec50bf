package chaos

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// Result holds a run's configuration and figures, for the table.
type Result struct {
	Config
	Faults map[string]int // by kind
	// Repeats are events that were handled twice, by cause. All are explained.
	Repeats map[string]int

	Events, Requests, Forgeries, Acknowledged, HandledTwice, Duplicates, Unavailable, Reset, Lost, Unverified, Unexplained int
	// Of inboxes: events that were dead at the end, copies that revived one, and events
	// that a failover has lost.
	Dead, Revived, LostInFailover int
}

func (v *verdict) result(c Config, rec *record) Result {
	r := Result{
		Config: c, Faults: make(map[string]int), Repeats: make(map[string]int),
		Events: len(rec.events), Requests: v.requests, Forgeries: len(rec.forged), Acknowledged: v.acknowledged,
		Duplicates: v.duplicates, Unavailable: v.unavailable, Reset: v.reset, Lost: v.lost, Unverified: len(rec.strays), Unexplained: v.unexplained,
		Dead: v.dead, Revived: v.revived, LostInFailover: v.lostInFailover,
	}
	for _, f := range rec.faults {
		r.Faults[f.kind]++
	}
	twice := make(map[*event]bool)
	for _, repeat := range v.repeats {
		if repeat.twice() && !twice[repeat.event] {
			twice[repeat.event] = true
			r.Repeats[repeat.cause.name]++
		}
	}
	r.HandledTwice = len(twice)
	return r
}

// Table renders results in Markdown, with a column for each topology.
func Table(results []Result) string {
	var b strings.Builder
	row := func(name string, cell func(Result) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, r := range results {
			fmt.Fprintf(&b, " %s |", cell(r))
		}
		b.WriteString("\n")
	}
	count := func(n func(Result) int) func(Result) string {
		return func(r Result) string { return fmt.Sprint(n(r)) }
	}
	row("", func(r Result) string { return r.Topology })
	row("---", func(Result) string { return "---:" })
	row("seed", func(r Result) string { return fmt.Sprint(r.Seed) })
	row("faults for", func(r Result) string { return r.Duration.Round(time.Second).String() })
	row("events", count(func(r Result) int { return r.Events }))
	row("requests", count(func(r Result) int { return r.Requests }))
	row("of these forged", count(func(r Result) int { return r.Forgeries }))
	for _, kind := range kinds(results, func(r Result) map[string]int { return r.Faults }) {
		row("fault: "+kind, count(func(r Result) int { return r.Faults[kind] }))
	}
	row("acknowledged", count(func(r Result) int { return r.Acknowledged }))
	row("duplicates answered", count(func(r Result) int { return r.Duplicates }))
	row("answered 503", count(func(r Result) int { return r.Unavailable }))
	row("connection reset by a reload", count(func(r Result) int { return r.Reset }))
	row("handled twice, explained", count(func(r Result) int { return r.HandledTwice }))
	for _, name := range kinds(results, func(r Result) map[string]int { return r.Repeats }) {
		row("because "+name, count(func(r Result) int { return r.Repeats[name] }))
	}
	if slices.ContainsFunc(results, func(r Result) bool { return topologies[r.Topology].inbox }) {
		row("dead at the end, and listed", count(func(r Result) int { return r.Dead }))
		row("revived by a copy", count(func(r Result) int { return r.Revived }))
		row("lost in a failover", count(func(r Result) int { return r.LostInFailover }))
	}
	row("handled twice, unexplained", count(func(r Result) int { return r.Unexplained }))
	row("acknowledged and not handled", count(func(r Result) int { return r.Lost }))
	row("unverified and forwarded", count(func(r Result) int { return r.Unverified }))
	return b.String()
}

func kinds(results []Result, of func(Result) map[string]int) []string {
	all := make(map[string]int)
	for _, r := range results {
		maps.Copy(all, of(r))
	}
	return slices.Sorted(maps.Keys(all))
}

// The table stands between these lines of a document.
const (
	beginMark = "<!-- chaos:begin -->\n"
	endMark   = "<!-- chaos:end -->\n"
)

// Write puts a table into a document, in place of the one that is there.
func Write(path, table string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	before, rest, begun := bytes.Cut(text, []byte(beginMark))
	_, after, ended := bytes.Cut(rest, []byte(endMark))
	if !begun || !ended {
		return fmt.Errorf("writing the table: %s has no lines %q and %q to put it between",
			path, strings.TrimSpace(beginMark), strings.TrimSpace(endMark))
	}
	text = slices.Concat(before, []byte(beginMark+"\n"+table+"\n"+endMark), after)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}
