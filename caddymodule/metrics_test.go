package caddymodule

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// described is a registry that keeps what the collectors say of themselves.
type described struct {
	prometheus.Registerer
	names map[string]bool
}

var fullName = regexp.MustCompile(`fqName: "([a-z_]+)"`)

func (d described) Register(collector prometheus.Collector) error {
	all := make(chan *prometheus.Desc)
	go func() {
		collector.Describe(all)
		close(all)
	}()
	for one := range all {
		if found := fullName.FindStringSubmatch(one.String()); found != nil {
			d.names[found[1]] = true
		}
	}
	return nil
}

// Each metric has its row, one that has no series yet too: those are not in a scrape.
func TestEveryMetricIsDocumented(t *testing.T) {
	d := described{names: make(map[string]bool)}
	if _, _, err := registerAll(d); err != nil {
		t.Fatal(err)
	}
	if len(d.names) < 20 {
		t.Errorf("only %d metrics describe themselves: is the test still reading that?", len(d.names))
	}
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for line := range strings.Lines(string(page)) {
		if strings.HasPrefix(line, "| `webhook_guard_") {
			table.WriteString(line)
		}
	}
	for name := range d.names {
		if !strings.Contains(table.String(), "`"+name+"`") {
			t.Errorf("%s has no row in docs/operations.md", name)
		}
	}
}
