// Command scale computes what many events a second take, from what make bench measured, and
// simulates such installations. It writes the tables of docs/scaling.md.
package main

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/bench/report"
)

func main() {
	from := flag.String("from", "docs/performance.md", "the document with the figures of make bench")
	document := flag.String("document", "docs/scaling.md", "the document to put the tables in")
	print := flag.Bool("print", false, "print the tables, and write nothing")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "usage: scale [-from file] [-document file] [-print]: what is %q?\n", flag.Arg(0))
		os.Exit(2)
	}
	if err := run(*from, *document, *print); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(from, document string, print bool) error {
	f, err := readFigures(from)
	if err != nil {
		return err
	}
	tables := f.computed()
	maps.Copy(tables, f.simulated())
	if !print {
		return report.Update(document, tables)
	}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		fmt.Printf("%s\n\n%s\n", name, tables[name])
	}
	return nil
}

// computed are tables of the document, by the names of their places.
func (f *figures) computed() map[string]string {
	return map[string]string{
		"scale-costs": "From the run of " + f.measured + ":\n\n" + f.costs(),
		"scale-sizes": f.sizes(),
		"scale-inbox": "From the run of " + f.inbox.measured + ":\n\n" + f.inboxSizes(),
	}
}

// simulated are the other tables.
func (f *figures) simulated() map[string]string {
	return map[string]string{
		"scale-planned":          f.planned(),
		"scale-saturation":       saturation(f.plan),
		"scale-faults":           f.faults(),
		"scale-inbox-saturation": saturation(f.inboxPlan),
		"scale-inbox-faults":     f.inboxFaults(),
	}
}
