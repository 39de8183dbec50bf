//go:build linux

// Command cmd measures what the guard costs, in comparison with a plain Caddy and with
// its peers, and writes it to docs/performance.md: `make bench`. With -short it only
// shows that everything runs.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/bench/compare"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
)

func main() {
	if compare.MainApp() {
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// options are the values of the flags.
type options struct {
	plan                    compare.Plan
	variants, tables        string
	conns, sizes, senders   string
	shares, cpus, held      string
	document, plot, results string
	operations              string
	short, render           bool
}

func parseFlags() (options, error) {
	var o options
	p := &o.plan
	flag.IntVar(&p.Rounds, "rounds", 5, "rounds of the main table")
	flag.IntVar(&p.SweepRounds, "sweep-rounds", 2, "rounds of every other table")
	flag.DurationVar(&p.Length.WarmUp, "warm-up", 750*time.Millisecond, "how long a variant runs before it is measured")
	flag.DurationVar(&p.Length.Run, "run", 3*time.Second, "how long a variant is measured")
	flag.IntVar(&p.Conns, "conns", 16, "connections where they do not vary")
	flag.IntVar(&p.LatencyConns, "latency-conns", 128, "connections, at most, for the latencies")
	flag.StringVar(&o.tables, "tables", strings.Join(allTables, ","), "the tables to measure")
	flag.StringVar(&o.variants, "variants", "", "the variants to measure, of "+strings.Join(variantNames(), ",")+"; default: all")
	flag.StringVar(&o.conns, "sweep-conns", "1,128,1000", "numbers of connections of the table connections")
	flag.StringVar(&o.sizes, "sweep-kb", "16,256,4096", "KB of the bodies of the table sizes")
	flag.StringVar(&o.senders, "sweep-senders", "okrapdf,struktr,docrouter,github", "senders of the table senders")
	flag.StringVar(&o.shares, "shares", "0.1,0.25,0.5", "rates of the latencies, as shares of the floor's capacity and of each variant's own")
	flag.StringVar(&o.cpus, "sweep-cpus", "1", "numbers of CPUs of the table cpus")
	flag.StringVar(&o.held, "sweep-remembered", "10000,1000000", "numbers of events of the table remembered, rising")
	flag.IntVar(&p.Sweep.RedisEvents, "redis-events", 100_000, "events of the table redis")
	flag.StringVar(&o.document, "document", "docs/performance.md", "the document to put the tables in")
	flag.IntVar(&p.Sweep.Waiting, "waiting", 100_000, "events of an outage, of the table inbox-uses")
	flag.StringVar(&o.operations, "operations", "docs/operations.md", "the document to put the sizes of inboxes in")
	flag.StringVar(&o.plot, "plot", "docs/performance.svg", "the plot to write")
	flag.StringVar(&o.results, "results", "bin/bench.json", "the file that keeps every run's figures")
	flag.BoolVar(&o.short, "short", false, "only show that everything runs, and print the tables")
	flag.BoolVar(&o.render, "render", false, "measure nothing: make document and plot of -results again")
	flag.Parse()
	if flag.NArg() > 0 {
		return o, fmt.Errorf("%q is no flag", flag.Arg(0))
	}
	return o, o.resolve()
}

var allTables = []string{report.Main, report.Latency, report.Connections, report.Sizes, report.Senders, report.CPUs, report.Redis, report.Remembered, report.Inbox, report.InboxUses}

func variantNames() []string {
	var names []string
	for _, v := range compare.Variants() {
		names = append(names, v.Name)
	}
	return names
}

func (o *options) resolve() (err error) {
	p := &o.plan
	p.Tables = strings.Split(o.tables, ",")
	for _, table := range p.Tables {
		if !slices.Contains(allTables, table) {
			return fmt.Errorf("-tables: there is no %q, only %s", table, strings.Join(allTables, ","))
		}
	}
	for name := range strings.SplitSeq(o.variants, ",") {
		if name != "" && !slices.Contains(variantNames(), name) {
			return fmt.Errorf("-variants: there is no %q, only %s", name, strings.Join(variantNames(), ","))
		}
	}
	p.Variants = slices.DeleteFunc(compare.Variants(), func(v compare.Variant) bool {
		return o.variants != "" && !slices.Contains(strings.Split(o.variants, ","), v.Name)
	})
	var errs []error
	p.Sweep.Conns = list(&errs, "-sweep-conns", o.conns, strconv.Atoi)
	p.Sweep.CPUs = list(&errs, "-sweep-cpus", o.cpus, strconv.Atoi)
	p.Sweep.Remembered = list(&errs, "-sweep-remembered", o.held, strconv.Atoi)
	p.Sweep.Sizes = list(&errs, "-sweep-kb", o.sizes, func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		return n << 10, err
	})
	p.Sweep.Shares = list(&errs, "-shares", o.shares, func(text string) (float64, error) { return strconv.ParseFloat(text, 64) })
	p.Sweep.Senders = strings.Split(o.senders, ",")
	if o.short {
		p.Rounds, p.SweepRounds = 1, 1
		p.Length = compare.Length{WarmUp: 100 * time.Millisecond, Run: 300 * time.Millisecond}
		p.Sweep.Remembered, p.Sweep.RedisEvents, p.Sweep.Waiting = []int{2000, 10_000}, 2000, 2000
	}
	return errors.Join(errs...)
}

func list[T any](errs *[]error, name, text string, parse func(string) (T, error)) []T {
	var values []T
	for part := range strings.SplitSeq(text, ",") {
		value, err := parse(part)
		if err != nil {
			*errs = append(*errs, fmt.Errorf("%s: %w", name, err))
		}
		values = append(values, value)
	}
	return values
}

func run() error {
	o, err := parseFlags()
	if err != nil {
		return err
	}
	if o.render {
		results, err := o.load()
		if err != nil {
			return err
		}
		return o.write(results)
	}
	results, err := o.measure()
	if err != nil {
		return err
	}
	for name, table := range results.Tables() {
		fmt.Printf("\n%s\n\n%s", name, table)
	}
	for name, table := range report.SizeTables(results) {
		fmt.Printf("\n%s\n\n%s", name, table)
	}
	if o.short {
		return nil
	}
	return errors.Join(o.save(results), o.write(results))
}

func (o options) measure() (results *report.Results, err error) {
	o.plan.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	about := func(tb testing.TB) []string { return append(machine(tb), "command: `"+command()+"`") }
	failed := inScope(func(tb testing.TB) {
		o.plan.Scope = func(do func(testing.TB)) {
			if err := inScope(do); err != nil {
				tb.Fatalf("%v", err)
			}
		}
		if !o.short {
			// A run that fails at its end has measured for half an hour.
			o.plan.Keep = func(so *report.Results) {
				so.Machine = about(tb)
				if err := o.save(so); err != nil {
					tb.Fatalf("%v", err)
				}
			}
		}
		results = o.plan.Run(tb)
		results.Machine = about(tb)
	})
	return results, failed
}

// command returns the command line with the same options.
func command() string {
	if len(os.Args) == 1 {
		return "make bench"
	}
	return "make bench BENCH='" + strings.Join(os.Args[1:], " ") + "'"
}

func (o options) save(results *report.Results) error {
	text, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		return fmt.Errorf("saving the results: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(o.results), 0o755); err != nil {
		return fmt.Errorf("saving the results: %w", err)
	}
	return os.WriteFile(o.results, text, 0o644)
}

func (o options) load() (*report.Results, error) {
	text, err := os.ReadFile(o.results)
	if err != nil {
		return nil, fmt.Errorf("there are no results to render: %w", err)
	}
	var results report.Results
	if err := json.Unmarshal(text, &results); err != nil {
		return nil, fmt.Errorf("%s: %w", o.results, err)
	}
	return &results, nil
}

func (o options) write(results *report.Results) error {
	if plot := results.Plot(); plot != "" {
		if err := os.WriteFile(o.plot, []byte(plot), 0o644); err != nil {
			return err
		}
	}
	return errors.Join(report.Update(o.document, results.Tables()), report.Update(o.operations, report.SizeTables(results)))
}
