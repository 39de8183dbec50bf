package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
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
}

// notCommitted is the beginning of the guard's log message for that.
const notCommitted = "the event succeeded but could not be committed"

// readLog reads a gateway's log. It is evidence only of what went wrong within the
// gateway; what it did to the app and to senders is never taken from there.
func readLog(tb testing.TB, path string, gateway int, begun time.Time) []remark {
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
			at: time.UnixMicro(int64(l.TS * 1e6)).Sub(begun.Round(0)), gateway: gateway, id: l.ID,
			text:        strings.Join(strings.Fields(fmt.Sprint(l.Msg, " ", l.Reason, " ", l.Error)), " "),
			uncommitted: strings.HasPrefix(l.Msg, notCommitted),
		}
		if header := l.Request.Headers[attemptHeader]; len(header) == 1 {
			r.attempt, _ = strconv.Atoi(header[0])
		}
		remarks = append(remarks, r)
	}
	return remarks
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
		for _, part := range strings.FieldsFunc(m.id, func(c rune) bool { return strings.ContainsRune(":-_", c) }) {
			if found := byID[part]; found != nil {
				e = found
			}
		}
		if e != nil {
			e.remarks = append(e.remarks, m)
		}
	}
}
