package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// figures are what make bench has measured, read from its document.
type figures struct {
	measured   string  // when and on what
	gatewayCPU float64 // µs of a gateway for an event, by the main table
	redisCPU   float64 // µs of Redis, for claim and commit
	appCPU     float64 // µs of the app of the measurement, and of what sent the events,
	loadCPU    float64 // which took their share of the measured machine
	cpus       float64 // of that
	perSecond  float64 // events a second on it
	remembered float64 // bytes of Redis for a remembered event
	twoKeysCPU float64 // of Redis, for an event whose ID is not signed, over one whose ID is
	twoKeys    float64 // bytes of Redis for it, over those of the other
	inFiles    float64 // bytes of disk for a remembered event, with `store disk`
	inbox      inboxFigures
}

// inboxFigures are those of events in an inbox in Redis, from a run of their own. CPU times
// are µs.
type inboxFigures struct {
	measured   string
	acceptCPU  float64 // of a gateway, until the sender has its answer
	deliverCPU float64 // of a gateway, after that
	claimCPU   float64 // of Redis, for claim and commit
	putCPU     float64 // of Redis
	takeCPU    float64 // of Redis, for take and settlement
	waiting    float64 // bytes of Redis for an event, all that there is of it
	finished   float64 // the same when the app has had it, while it is listed
}

var cpuCount = regexp.MustCompile(`([0-9]+) CPUs`)

// cpus is how many the measured machine had.
func (d *document) cpus() float64 {
	found := cpuCount.FindStringSubmatch(d.between("machine"))
	if found == nil {
		d.fail("the machine's line does not say how many CPUs it has")
		return 0
	}
	n, _ := strconv.ParseFloat(found[1], 64)
	return n
}

// overhead is how much longer an event took of the measured machine than the CPU time of all
// its parts: what waiting and switching cost there. Sizes allow for it.
func (f *figures) overhead() float64 {
	return f.cpus * 1e6 / (f.gatewayCPU + f.redisCPU + f.appCPU + f.loadCPU) / f.perSecond
}

var leadingNumber = regexp.MustCompile(`^[0-9.]+`)

// readFigures reads the tables of the page on performance.
func readFigures(path string) (f figures, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return f, err
	}
	d := document{path: path, text: string(text)}
	f.measured = d.firstLine("machine")
	f.gatewayCPU = d.cell("main", "guard, `redis`", "CPU µs/request")
	f.redisCPU = d.cell("main", "guard, `redis`", "Redis CPU µs")
	f.appCPU = d.cell("main", "guard, `redis`", "app CPU µs")
	f.loadCPU = d.cell("main", "guard, `redis`", "generator CPU µs")
	f.cpus = d.cpus()
	f.perSecond = d.cell("main", "guard, `redis`", "requests/s")
	f.remembered = d.cell("redis", "guard, `redis`", "bytes remembered")
	f.twoKeysCPU = d.cell("redis", "guard, `redis` struktr", "Redis CPU µs") / d.cell("redis", "guard, `redis` stripe", "Redis CPU µs")
	f.twoKeys = d.cell("redis", "guard, `redis` struktr", "bytes remembered") / f.remembered
	f.inFiles = d.cell("remembered", "guard, `disk` 1000000", "in files")
	f.inbox = d.inbox()
	return f, d.err
}

// inbox reads what an event costs more with each step of it.
func (d *document) inbox() (i inboxFigures) {
	const accepting, all = "guard, inbox on `redis`, accepting", "guard, inbox on `redis`, until the app has had them"
	i.measured = d.firstLine("inbox-machine")
	i.acceptCPU = d.cell("inbox", accepting, "CPU µs/event")
	i.deliverCPU = d.cell("inbox", all, "CPU µs/event") - i.acceptCPU
	i.claimCPU = d.cell("inbox", "guard, `redis`", "Redis CPU µs")
	i.putCPU = d.cell("inbox", accepting, "Redis CPU µs") - i.claimCPU
	i.takeCPU = d.cell("inbox", all, "Redis CPU µs") - i.claimCPU - i.putCPU
	i.waiting = d.cell("inbox-uses", "bytes/event, all in Redis or in files", "`redis`")
	i.finished = d.cell("inbox-uses", "bytes/event in Redis when it is finished", "`redis`")
	return i
}

// document is a page with tables between the marks of make bench.
type document struct {
	path, text string
	err        error
}

func (d *document) between(table string) string {
	_, rest, found := strings.Cut(d.text, "<!-- bench:"+table+" -->\n")
	text, _, found2 := strings.Cut(rest, "<!-- /bench:"+table+" -->")
	if !found || !found2 {
		d.fail("there is no table %s", table)
	}
	return text
}

func (d *document) firstLine(table string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(d.between(table)), "\n")
	return strings.TrimPrefix(line, "- ")
}

// cell is a number in a row, which its first cell names, or its first two, and a column.
// Where rows have one name, it is the first one's.
func (d *document) cell(table, row, column string) float64 {
	var head []string
	for line := range strings.Lines(d.between(table)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if head == nil && len(cells) > 1 {
			head = cells
		}
		if cells[0] != row && (len(cells) < 2 || cells[0]+" "+cells[1] != row) {
			continue
		}
		for i, name := range head {
			if name == column && i < len(cells) {
				n, err := strconv.ParseFloat(leadingNumber.FindString(cells[i]), 64)
				if err != nil {
					d.fail("table %s, row %q: %q is no number", table, row, cells[i])
				}
				return n
			}
		}
	}
	d.fail("table %s has no row %q with a column %q", table, row, column)
	return 0
}

func (d *document) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %s", d.path, fmt.Sprintf(format, args...))
	}
}
