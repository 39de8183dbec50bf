// Package report turns what runs measured into the figures, tables and the plot of
// docs/performance.md.
package report

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Cell is the traffic of a run.
type Cell struct {
	// Name is the table that it belongs to.
	Name   string
	Sender string
	Size   int // of a body, in bytes
	Conns  int
	// Share of the floor's capacity at which requests start, in an open loop; 0 is a
	// closed loop.
	Share float64
	// Own: Share is of the variant's own capacity instead.
	Own bool
	// CPUs that the gateway may use; 0 is all.
	CPUs int
}

// Sample holds the figures of one run of one variant. Times of CPUs are microseconds per
// request, of whole processes with their children.
type Sample struct {
	Variant string
	Cell    Cell
	Round   int

	Throughput float64 // answers per second
	CPU        float64 // the gateway's, or the peer's
	RedisCPU   float64
	AppCPU     float64
	LoadCPU    float64 // the generator's
	Resident   int64   // bytes, after the run
	Peak       int64   // bytes, at most during the run
	// Allocs and AllocBytes are per request, of programs in Go that report them; else
	// 0.
	Allocs, AllocBytes float64

	Rate           float64 // of an open loop: requests per second
	P50, P99, P999 time.Duration
	Failures       map[string]int
}

// Results is a whole comparison.
type Results struct {
	Machine  []string // lines about what it ran on, and what ran
	Floor    string   // the variant that the others are compared with
	Variants []Variant
	Samples  []Sample
	RedisUse []RedisUse
	Filled   []Filled
	// InboxUses are of inboxes.
	InboxUses []InboxUse
	BareHash  float64 // CPU µs of one HMAC-SHA256 over 256 KB
	// Skipped holds the reason for each variant that was left out.
	Skipped []string
}

// Variant is a row of the tables.
type Variant struct {
	Name, Title string
}

// Figure is a median over the rounds, with its spread.
type Figure struct {
	Median, Min, Max float64
	N                int // rounds; 0 is no figure
}

// NewFigure of no values is no figure.
func NewFigure(values []float64) Figure {
	values = slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(values) == 0 {
		return Figure{}
	}
	slices.Sort(values)
	n := len(values)
	return Figure{
		Median: (values[(n-1)/2] + values[n/2]) / 2,
		Min:    values[0], Max: values[n-1], N: n,
	}
}

// Measure picks a figure of a sample.
type Measure func(Sample) float64

// The measures that tables and bars are about.
var (
	Throughput Measure = func(s Sample) float64 { return s.Throughput }
	CPU        Measure = func(s Sample) float64 { return s.CPU }
	Peak       Measure = func(s Sample) float64 { return float64(s.Peak) / (1 << 20) } // MB
)

// Of is the variant's own figure in a cell.
func (r *Results) Of(variant string, cell Cell, m Measure) Figure {
	var values []float64
	for _, s := range r.Samples {
		if s.Variant == variant && s.Cell == cell {
			values = append(values, m(s))
		}
	}
	return NewFigure(values)
}

// Ratio is the figure of a variant over that of another, round by round: the load of
// the machine at the time affects both.
func (r *Results) Ratio(variant, over string, cell Cell, m Measure) Figure {
	return r.pair(variant, over, cell, m, func(a, b float64) float64 { return a / b })
}

// Difference is like Ratio, for differences.
func (r *Results) Difference(variant, over string, cell Cell, m Measure) Figure {
	return r.pair(variant, over, cell, m, func(a, b float64) float64 { return a - b })
}

func (r *Results) pair(variant, over string, cell Cell, m Measure, combine func(a, b float64) float64) Figure {
	base := make(map[int]float64)
	for _, s := range r.Samples {
		if s.Variant == over && s.Cell == cell {
			base[s.Round] = m(s)
		}
	}
	var values []float64
	for _, s := range r.Samples {
		if b, ok := base[s.Round]; ok && s.Variant == variant && s.Cell == cell {
			values = append(values, combine(m(s), b))
		}
	}
	return NewFigure(values)
}

// Cells are those of a table, in order of what varies.
func (r *Results) Cells(name string) []Cell {
	var cells []Cell
	for _, s := range r.Samples {
		if s.Cell.Name == name && !slices.Contains(cells, s.Cell) {
			cells = append(cells, s.Cell)
		}
	}
	slices.SortStableFunc(cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(order(a.Own), order(b.Own)), cmp.Compare(a.Share, b.Share), cmp.Compare(a.Size, b.Size), cmp.Compare(a.Conns, b.Conns), cmp.Compare(a.CPUs, b.CPUs))
	})
	return cells
}

func order(later bool) int {
	if later {
		return 1
	}
	return 0
}

// rows are the variants that a cell has samples of.
func (r *Results) rows(cells ...Cell) []Variant {
	var rows []Variant
	for _, v := range r.Variants {
		if slices.ContainsFunc(r.Samples, func(s Sample) bool { return s.Variant == v.Name && slices.Contains(cells, s.Cell) }) {
			rows = append(rows, v)
		}
	}
	return rows
}

// Failed lists the runs in which a request failed: their figures cannot be trusted.
func (r *Results) Failed() []Sample {
	return slices.DeleteFunc(slices.Clone(r.Samples), func(s Sample) bool { return len(s.Failures) == 0 })
}
