package handbook

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// TableWidth is what the whole table fits, and NarrowWidth what it fits without some of
// the columns.
const (
	TableWidth  = 120
	NarrowWidth = 80
)

// columns of the table, whose widths and the spaces between add up to at most
// TableWidth, and those that are in a narrow table too to NarrowWidth.
var columns = []struct {
	title  string
	width  int
	narrow bool
	cell   func(Entry) string
}{
	{"NAME", 33, true, func(e Entry) string { return e.Name }},
	{"KIND", 10, true, func(e Entry) string { return e.Kind }},
	{"SIGNED", 22, false, howSigned},
	{"REPLAY CLOSED BY", 20, true, func(e Entry) string { return replayWords[e.Replay] }},
	{"RETRIES", 7, true, func(e Entry) string { return span(e.RetrySpanSeconds) }},
	{"HANDSHAKE", 10, false, func(e Entry) string { return orDash(e.Handshake) }},
	{"FACTS", 9, false, func(e Entry) string { return orDash(e.Confidence) }},
}

// replayWords are short enough for the table.
var replayWords = map[string]string{
	config.ReplayStamp:       "signed stamp",
	config.ReplayContentTime: "content, event time",
	config.ReplayIDTime:      "signed ID, its time",
	config.ReplayID:          "signed ID, TTL only",
	config.ReplayContent:     "content, TTL only",
	config.ReplayOpen:        "NOT CLOSED",
}

func howSigned(e Entry) string {
	switch e.Kind {
	case config.KindToken:
		return "token " + e.Token
	case config.KindUnsigned:
		return "nothing"
	}
	return e.Algorithm + " " + e.Signed
}

// WriteTable writes a line for each provider, in at most width columns of text where that
// is NarrowWidth or more.
func WriteTable(w io.Writer, entries []Entry, width int) error {
	var out strings.Builder
	for _, c := range columns {
		if c.narrow || width >= TableWidth {
			out.WriteString(fit(c.title, c.width) + " ")
		}
	}
	endLine(&out)
	for _, e := range entries {
		for _, c := range columns {
			if c.narrow || width >= TableWidth {
				out.WriteString(fit(c.cell(e), c.width) + " ")
			}
		}
		endLine(&out)
	}
	fmt.Fprintf(&out, "\n%d providers. `providers <name>` prints the lines of one,\n`providers --json` all that is known of each.\n", len(entries))
	_, err := io.WriteString(w, out.String())
	return err
}

func endLine(out *strings.Builder) {
	line := strings.TrimRight(out.String(), " ")
	out.Reset()
	out.WriteString(line + "\n")
}

// fit pads a text or cuts it off.
func fit(text string, width int) string {
	if n := utf8.RuneCountInString(text); n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	return string([]rune(text)[:width-1]) + "…"
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// span writes a duration in the unit that says it shortest.
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d == 0:
		return "-"
	case d >= 48*time.Hour:
		return trimZero(d.Hours()/24) + "d"
	case d >= time.Hour:
		return trimZero(d.Hours()) + "h"
	case d >= time.Minute:
		return trimZero(d.Minutes()) + "m"
	}
	return trimZero(d.Seconds()) + "s"
}

func trimZero(n float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0") }
