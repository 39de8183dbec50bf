package report

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFigure(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []float64
		want   Figure
	}{
		{nil, Figure{}},
		{[]float64{math.NaN()}, Figure{}},
		{[]float64{3}, Figure{Median: 3, Min: 3, Max: 3, N: 1}},
		{[]float64{9, 1, 2}, Figure{Median: 2, Min: 1, Max: 9, N: 3}},
		{[]float64{4, 1, 2, 9}, Figure{Median: 3, Min: 1, Max: 9, N: 4}},
	} {
		if got := NewFigure(tt.values); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.values, got, tt.want)
		}
	}
}

var (
	cell      = Cell{Name: Main, Sender: "stripe", Size: 1 << 10, Conns: 16}
	otherCell = Cell{Name: Main, Sender: "stripe", Size: 1 << 20, Conns: 16}
)

// results are of a machine that was slow in the second round, as one that others use
// may be.
func results() *Results {
	r := &Results{
		Floor: "floor", Machine: []string{"a machine"}, Skipped: []string{"left out: x"},
		Variants: []Variant{{"floor", "the floor"}, {"guard", "guard & <co>"}, {"absent", "never run"}},
	}
	for i, speed := range []float64{1, 0.25, 1} {
		for _, s := range []Sample{
			{Variant: "floor", Cell: cell, Throughput: 1000 * speed, CPU: 100 / speed},
			{Variant: "guard", Cell: cell, Throughput: 800 * speed, CPU: 120 / speed},
		} {
			s.Round = i + 1
			r.Samples = append(r.Samples, s)
		}
	}
	return r
}

// A round that was slow was slow for both, and the ratio is the same.
func TestRatiosAreWithinARound(t *testing.T) {
	t.Parallel()
	r := results()
	if got, want := r.Ratio("guard", "floor", cell, Throughput), (Figure{0.8, 0.8, 0.8, 3}); got != want {
		t.Errorf("throughput %+v, want %+v", got, want)
	}
	if got, want := r.Ratio("guard", "floor", cell, CPU), (Figure{1.2, 1.2, 1.2, 3}); got != want {
		t.Errorf("CPU %+v, want %+v", got, want)
	}
	if got, want := r.Difference("guard", "floor", cell, CPU), (Figure{20, 20, 80, 3}); got != want {
		t.Errorf("CPU added %+v, want %+v", got, want)
	}
	// A round without the floor, or of another cell, is no round to compare in.
	r.Samples = append(r.Samples, Sample{Variant: "guard", Cell: cell, Round: 4, Throughput: 1}, Sample{Variant: "guard", Cell: otherCell, Round: 1, Throughput: 1})
	if got := r.Ratio("guard", "floor", cell, Throughput); got.N != 3 || got.Min != 0.8 {
		t.Errorf("with a round that lacks the floor: %+v", got)
	}
	if got := r.Ratio("guard", "floor", otherCell, Throughput); got != (Figure{}) {
		t.Errorf("without the floor: %+v", got)
	}
}

func TestMainTable(t *testing.T) {
	t.Parallel()
	r := results()
	r.Samples[1].Failures = map[string]int{"503 overloaded": 2}
	tables := r.Tables()
	for _, want := range []string{
		"| the floor | 100 | 1.00 (1.00–1.00) | 1000 | 1.00 (1.00–1.00) |",
		"| guard & <co> | 120 | 1.20 (1.20–1.20) | 800 | 0.80 (0.80–0.80) |",
		"\nRound 1 of guard, stripe, 1 KB, 16 connections: 2 × 503 overloaded.\n",
	} {
		if !strings.Contains(tables[Main], want) {
			t.Errorf("the table lacks %q:\n%s", want, tables[Main])
		}
	}
	if strings.Contains(tables[Main], "never run") || tables["machine"] != "- a machine\n- left out: x\n" || len(tables) != 2 {
		t.Errorf("tables:\n%s", tables)
	}
}

func TestLatencyTable(t *testing.T) {
	t.Parallel()
	half := Cell{Name: Latency, Sender: "stripe", Size: 1 << 10, Conns: 128, Share: 0.5}
	r := &Results{Floor: "floor", Variants: []Variant{{"floor", "the floor"}, {"guard", "guard"}, {"slow", "slow"}}}
	for name, s := range map[string]Sample{
		"floor": {CPU: 80, Throughput: 500, P50: time.Millisecond, P99: 2 * time.Millisecond, P999: 9 * time.Millisecond},
		"guard": {CPU: 90, Throughput: 495, P50: time.Millisecond, P99: 2500 * time.Microsecond, P999: 9 * time.Millisecond},
		"slow":  {Throughput: 250, P99: time.Minute},
	} {
		s.Variant, s.Cell, s.Round, s.Rate = name, half, 1, 500
		r.Samples = append(r.Samples, s)
	}
	own := half
	own.Own = true
	r.Samples = append(r.Samples, Sample{
		Variant: "guard", Cell: own, Round: 1, Rate: 400, CPU: 95, Throughput: 400, P50: time.Millisecond, P99: 3 * time.Millisecond, P999: 9 * time.Millisecond,
	})
	got := r.Tables()[Latency]
	for _, want := range []string{
		"| the floor | 80 | 50% of the floor's | 500 | 1.00 | 2.00 | 9.00 |  |",
		"| guard | 90 | 50% of the floor's | 500 | 1.00 | 2.50 | 9.00 | 0.50 (0.50–0.50) |", "| guard | 95 | 50% of its own | 400 | 1.00 | 3.00 | 9.00 |  |",
		"| slow | 0 | 50% of the floor's | 500 | answers 50% of it |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

func TestSweepHasAColumnForEachCell(t *testing.T) {
	t.Parallel()
	r := results()
	for i := range r.Samples {
		r.Samples[i].Cell.Name = Sizes
		if r.Samples[i].Round == 2 {
			r.Samples[i].Cell.Size = 4 << 20
		}
	}
	got := r.Tables()[Sizes]
	for _, want := range []string{
		"| Throughput, × floor | 1 KB | 4 MB |", "| the floor | 1000/s | 250/s |", "| guard & <co> | 0.80 (0.80–0.80) | 0.80 (0.80–0.80) |",
		"| CPU per request, × floor | 1 KB | 4 MB |", "| the floor | 100 µs | 400 µs |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the table lacks %q:\n%s", want, got)
		}
	}
}

func TestUpdateReplacesOnlyWhatIsBetweenTheMarkers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	text := "# Title\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nwords\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\nend\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is as once
		if err := Update(path, map[string]string{"a": "| new |\n"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	want := "# Title\n<!-- bench:a -->\n\n| new |\n\n<!-- /bench:a -->\nwords\n<!-- bench:b -->\nkept\n<!-- /bench:b -->\nend\n"
	if err != nil || string(got) != want {
		t.Fatalf("%v:\n%s", err, got)
	}
	if err := Update(path, map[string]string{"missing": "x"}); err == nil || !strings.Contains(err.Error(), "bench:missing") {
		t.Fatalf("a table without a place: %v", err)
	}
}

// The document has a place for everything that is measured.
func TestTheDocumentHasAPlaceForEveryTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"machine", Bars, Main, Latency, Connections, Sizes, Senders, CPUs, Redis, Remembered} {
		if _, err := replaceBetween(string(text), name, ""); err != nil {
			t.Error(err)
		}
	}
}

func TestPlotIsXML(t *testing.T) {
	t.Parallel()
	plot := results().Plot()
	decoder := xml.NewDecoder(strings.NewReader(plot))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v:\n%s", err, plot)
		}
	}
	if !strings.Contains(plot, "guard &amp; &lt;co&gt;") || !strings.Contains(plot, ">800<") || !strings.Contains(plot, ">120<") {
		t.Fatalf("the plot lacks a variant or its figures:\n%s", plot)
	}
}

// What was measured can be rendered again later.
func TestResultsSurviveJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(results())
	if err != nil {
		t.Fatal(err)
	}
	var again Results
	if err := json.Unmarshal(text, &again); err != nil || !reflect.DeepEqual(&again, results()) {
		t.Fatalf("%v: %+v", err, again)
	}
}
