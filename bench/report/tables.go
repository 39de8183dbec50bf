package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The tables by the names of their cells.
const (
	Main        = "main"
	Connections = "connections"
	Sizes       = "sizes"
	Senders     = "senders"
	Latency     = "latency"
)

// Tables renders every table that there are samples for, by name, and what they were
// measured on as "machine".
func (r *Results) Tables() map[string]string {
	tables := make(map[string]string)
	for _, name := range machines(r) {
		tables[name] = "- " + strings.Join(append(slices.Clone(r.Machine), r.Skipped...), "\n- ") + "\n"
	}
	for name, render := range map[string]func([]Cell) string{
		Main: r.mainTable, Latency: r.latencyTable, Inbox: func(cells []Cell) string { return inboxTable(r, cells) },
		Connections: r.sweep(func(c Cell) string { return count(c.Conns, "connection") }),
		Sizes:       r.sweep(func(c Cell) string { return bytesText(int64(c.Size)) }),
		Senders:     r.sweep(func(c Cell) string { return c.Sender }),
		CPUs:        r.sweep(func(c Cell) string { return count(c.CPUs, "CPU") }),
	} {
		if cells := r.Cells(name); len(cells) > 0 {
			tables[name] = render(cells) + r.failures(cells)
		}
	}
	for name, bars := range map[string][]bar{Bars: barsOf(r), InboxBars: inboxBars(r)} {
		if text := barsTable(r, bars); text != "" {
			tables[name] = text
		}
	}
	if len(r.InboxUses) > 0 {
		tables[InboxUses] = inboxUsesTable(r)
	}
	if len(r.RedisUse) > 0 {
		tables[Redis] = r.redisTable()
	}
	if len(r.Filled) > 0 {
		tables[Remembered] = r.filledTable()
	}
	return tables
}

// machines are the names of the places that say what was measured on. The figures of
// inboxes have one of their own, as they may be of another run.
func machines(r *Results) (names []string) {
	if len(r.Machine) == 0 {
		return nil
	}
	if len(r.InboxUses) > 0 || len(r.Cells(Inbox)) > 0 {
		names = append(names, InboxMachine)
	}
	if len(r.RedisUse) > 0 || len(r.Filled) > 0 || slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Cell.Name != Inbox }) || len(names) == 0 {
		names = append(names, "machine")
	}
	return names
}

// table writes rows of Markdown; the first is the head.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---" + strings.Repeat("|---:", len(row)-1) + "|\n")
		}
	}
	return b.String()
}

// cost is a column of what one request takes, beside CPU and throughput.
type cost struct {
	title  string
	of     Measure
	format string
}

var (
	redisCPU = cost{"Redis CPU µs", func(s Sample) float64 { return s.RedisCPU }, "%.0f"}
	appCPU   = cost{"app CPU µs", func(s Sample) float64 { return s.AppCPU }, "%.0f"}
	loadCPU  = cost{"generator CPU µs", func(s Sample) float64 { return s.LoadCPU }, "%.0f"}
	allocs   = cost{"allocations", func(s Sample) float64 { return s.Allocs }, "%.0f"}
	allocKB  = cost{"KB allocated", func(s Sample) float64 { return s.AllocBytes / 1024 }, "%.1f"}
)

func (r *Results) mainTable(cells []Cell) string {
	return costTable(r, cells[0], "request", redisCPU, appCPU, loadCPU, allocs, allocKB)
}

// costTable has a row for each variant: what one of the named things takes.
func costTable(r *Results, cell Cell, thing string, costs ...cost) string {
	head := []string{"", "CPU µs/" + thing, "× floor", thing + "s/s", "× floor"}
	for _, c := range costs {
		head = append(head, c.title)
	}
	rows := [][]string{append(head, "resident MB, peak")}
	for _, v := range r.rows(cell) {
		get := func(m Measure) Figure { return r.Of(v.Name, cell, m) }
		row := []string{
			v.Title,
			get(CPU).text("%.0f"), r.Ratio(v.Name, r.Floor, cell, CPU).spread("%.2f"),
			get(Throughput).text("%.0f"), r.Ratio(v.Name, r.Floor, cell, Throughput).spread("%.2f"),
		}
		for _, c := range costs {
			row = append(row, get(c.of).orNothing(c.format))
		}
		rows = append(rows, append(row, get(Peak).text("%.0f")))
	}
	return table(rows)
}

// sweep is a table of ratios to the floor, one column for each value of what varies.
func (r *Results) sweep(title func(Cell) string) func([]Cell) string {
	return func(cells []Cell) string {
		var b strings.Builder
		for _, part := range []struct {
			title    string
			m        Measure
			format   string
			absolute bool
		}{
			{"CPU per request, × floor", CPU, "%.0f µs", false},
			{"Throughput, × floor", Throughput, "%.0f/s", false},
			{"Resident memory, peak", Peak, "%.0f MB", true},
		} {
			head := []string{part.title}
			for _, cell := range cells {
				head = append(head, title(cell))
			}
			rows := [][]string{head}
			for _, v := range r.rows(cells...) {
				row := []string{v.Title}
				for _, cell := range cells {
					if part.absolute || v.Name == r.Floor {
						row = append(row, r.Of(v.Name, cell, part.m).text(part.format))
					} else {
						row = append(row, r.Ratio(v.Name, r.Floor, cell, part.m).spread("%.2f"))
					}
				}
				rows = append(rows, row)
			}
			b.WriteString(table(rows) + "\n")
		}
		return strings.TrimSuffix(b.String(), "\n")
	}
}

// kept is the share of the intended rate below which latencies only reflect the length
// of the run.
const kept = 0.98

func (r *Results) latencyTable(cells []Cell) string {
	rows := [][]string{{"", "CPU µs/request", "of capacity", "requests/s", "p50 ms", "p99 ms", "p99.9 ms", "p99 added to the floor's, ms"}}
	for _, v := range r.rows(cells...) {
		for _, cell := range cells {
			get := func(m Measure) Figure { return r.Of(v.Name, cell, m) }
			answered := get(func(s Sample) float64 { return s.Throughput / s.Rate })
			if answered.N == 0 {
				continue
			}
			whose := "the floor's"
			if cell.Own {
				whose = "its own"
			}
			row := []string{v.Title, get(CPU).text("%.0f"), fmt.Sprintf("%.0f%% of %s", cell.Share*100, whose), get(func(s Sample) float64 { return s.Rate }).text("%.0f")}
			if answered.Median < kept {
				rows = append(rows, append(row, fmt.Sprintf("answers %.0f%% of it", answered.Median*100), "", "", ""))
				continue
			}
			ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
			added := Figure{}
			if v.Name != r.Floor && !cell.Own {
				added = r.Difference(v.Name, r.Floor, cell, func(s Sample) float64 { return ms(s.P99) })
			}
			rows = append(rows, append(row,
				get(func(s Sample) float64 { return ms(s.P50) }).text("%.2f"),
				get(func(s Sample) float64 { return ms(s.P99) }).text("%.2f"),
				get(func(s Sample) float64 { return ms(s.P999) }).text("%.2f"),
				added.spread("%.2f"),
			))
		}
	}
	return table(rows)
}

// failures lists the runs with failed requests.
func (r *Results) failures(cells []Cell) string {
	var b strings.Builder
	for _, s := range r.Failed() {
		if !slices.Contains(cells, s.Cell) {
			continue
		}
		fmt.Fprintf(&b, "\nRound %d of %s, %s, %s, %d connections: ", s.Round, s.Variant, s.Cell.Sender, bytesText(int64(s.Cell.Size)), s.Cell.Conns)
		for i, what := range slices.Sorted(maps.Keys(s.Failures)) {
			if i > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%d × %s", s.Failures[what], strings.TrimSpace(what))
		}
		b.WriteString(".\n")
	}
	return b.String()
}

// text is the median alone.
func (f Figure) text(format string) string {
	if f.N == 0 {
		return ""
	}
	return fmt.Sprintf(format, f.Median)
}

// orNothing omits figures that are unknown or zero.
func (f Figure) orNothing(format string) string {
	if f.Max == 0 {
		return ""
	}
	return f.text(format)
}

// spread is the median with the least and the most of the rounds.
func (f Figure) spread(format string) string {
	if f.N == 0 {
		return ""
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", f.Median, f.Min, f.Max)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func bytesText(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d KB", n>>10)
}
