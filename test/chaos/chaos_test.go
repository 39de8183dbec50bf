package chaos_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/test/chaos"
)

var (
	topology = flag.String("chaos.topology", defaultTopology, "one of "+strings.Join(chaos.Topologies(), ", ")+", several with commas, or all")
	seed     = flag.Uint64("chaos.seed", 4, "decides events, faults, targets and times")
	duration = flag.Duration("chaos.duration", defaultDuration, "how long there are faults, for each topology")
	rate     = flag.Int("chaos.rate", 0, "new events each second; 0 for the default")
	write    = flag.String("chaos.write", "", "a document that gets the table, between its marks")
)

func TestChaos(t *testing.T) {
	names := strings.Split(*topology, ",")
	if *topology == "all" {
		names = chaos.Topologies()
	}
	var results []chaos.Result
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			results = append(results, chaos.Run(t, chaos.Config{Topology: name, Seed: *seed, Duration: *duration, Rate: *rate}))
		})
	}
	table := chaos.Table(results)
	t.Logf("\n%s", table)
	if *write != "" && !t.Failed() {
		if err := chaos.Write(*write, table); err != nil {
			t.Error(err)
		}
	}
}
