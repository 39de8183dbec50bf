package chaos

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// remark is a line from a gateway's log.
type remark struct {
	at      moment
	gateway int
	attempt int // 0 where the line does not name it
	id      string
	text    string
	// uncommitted: the gateway reports that it could not store the event's success.
	uncommitted bool
	// late: the gateway reports that the store did not answer in time.
	late bool
}

// notCommitted is the beginning of the guard's log message for that.
const notCommitted = "the event succeeded but could not be committed"

// readLog reads a gateway's log. It is evidence only of what went wrong within the
// gateway; what it did to the app and to senders is never taken from there.
func readLog(tb testing.TB, path string, gateway int, rec *record) []remark {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("reading the log of gateway %d: %v", gateway, err)
	}
	var remarks []remark
	for line := range bytes.Lines(text) {
		var l struct {
			TS             float64
			Msg, Error, ID string
			Reason         string
			Request        struct{ Headers map[string][]string }
		}
		if json.Unmarshal(line, &l) != nil {
			continue // cut off by a kill
		}
		r := remark{
			at: rec.at(time.UnixMicro(int64(l.TS * 1e6))), gateway: gateway, id: l.ID,
			text:        strings.Join(strings.Fields(fmt.Sprint(l.Msg, " ", l.Reason, " ", l.Error)), " "),
			uncommitted: strings.HasPrefix(l.Msg, notCommitted),
		}
		r.late = strings.Contains(l.Error+l.Reason, "redis: ") && (strings.HasSuffix(r.text, "deadline exceeded") || strings.HasSuffix(r.text, "i/o timeout"))
		if header := l.Request.Headers[attemptHeader]; len(header) == 1 {
			r.attempt, _ = strconv.Atoi(header[0])
		}
		remarks = append(remarks, r)
	}
	return remarks
}

// overload is the fault that nobody injected: processors so busy that the store's
// deadlines pass. The gateways' logs tell it.
const overload = "store too slow, by itself"

// overloaded adds the times to the faults at which the store was late without a fault of
// its own. A line comes up to a lease after the step that it reports began.
func (r *record) overloaded(remarks []remark) {
	var last *fault
	for _, m := range slices.SortedStableFunc(slices.Values(remarks), func(a, b remark) int { return cmp.Compare(a.at, b.at) }) {
		known := func(f *fault) bool { return f.hits == storeHit && f.lasted(m.at-storeLimit, m.at) }
		switch {
		case !m.late || slices.ContainsFunc(r.faults, func(f *fault) bool { return f != last && known(f) }):
		case last != nil && m.at-lease <= last.end:
			last.end = m.at
		default:
			last = &fault{kind: overload, gateway: everyGateway, hits: storeHit, start: m.at - lease, struck: m.at - lease, end: m.at}
			r.faults = append(r.faults, last)
		}
	}
}

// remember adds the gateways' log lines of each event to the record.
func (r *record) remember(remarks []remark) {
	byAttempt, byID := make(map[int]*event), make(map[string]*event)
	for _, e := range r.events {
		byID[e.made.ID] = e
		for _, a := range e.attempts {
			byAttempt[a.n] = e
		}
	}
	for _, m := range remarks {
		e := byAttempt[m.attempt]
		for _, part := range partsOfID(m.id) {
			if found := byID[part]; found != nil {
				e = found
			}
		}
		if e != nil {
			e.remarks = append(e.remarks, m)
		}
	}
}
