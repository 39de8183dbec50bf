package handbook

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/texttable"
)

// TableWidth is what the whole table fits, and NarrowWidth what it fits without some of
// the columns.
const (
	TableWidth  = 120
	NarrowWidth = 80
)

// columns of the table, whose widths and the spaces between add up to at most TableWidth,
// and those that are in a narrow table too to NarrowWidth.
var columns = []texttable.Column[Entry]{
	{Title: "NAME", Width: 33, Cell: func(e Entry) string { return e.Name }},
	{Title: "KIND", Width: 10, Cell: func(e Entry) string { return e.Kind }},
	{Title: "SIGNED", Width: 19, From: TableWidth, Cell: howSigned},
	{Title: "RETRY BY", Width: 8, Cell: retryWord},
	{Title: "STAYS OPEN", Width: 14, Cell: openWord},
	{Title: "RETRIES", Width: 7, Cell: retries},
	{Title: "HANDSHAKE", Width: 10, From: TableWidth, Cell: func(e Entry) string { return cmp.Or(e.Handshake, "-") }},
	{Title: "FACTS", Width: 9, From: TableWidth, Cell: func(e Entry) string { return cmp.Or(e.Confidence, "-") }},
}

// retryWord is short enough for the table.
func retryWord(e Entry) string {
	switch word, _, _ := strings.Cut(e.Retry, ","); {
	case strings.HasPrefix(word, "nothing"):
		return "nothing"
	case word == "its ID":
		return "ID"
	case strings.HasPrefix(word, "what is signed"):
		return "signed"
	}
	return "content"
}

// openWord is short enough for the table.
func openWord(e Entry) string {
	switch o := e.Opening; {
	case o.Forged && e.Token != "":
		return "to the token"
	case o.Forged:
		return "TO ANYONE"
	case o.AsItIs:
		return "any copy"
	case len(o.Under) > 0 && e.Content == "off":
		return "another ID"
	case len(o.Under) > 0:
		return "other " + o.Under[len(o.Under)-1].Name
	case o.Body:
		return "another body"
	case len(o.Borders) > 0:
		return "a moved border"
	case o.After > 0:
		return "after " + span(int64(o.After.Seconds()))
	}
	return "nothing"
}

func retries(e Entry) string {
	if e.NeverRetries {
		return "never"
	}
	return span(e.RetrySpanSeconds)
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
	if err := texttable.Write(w, columns, entries, width); err != nil {
		return err
	}
	noun := "providers"
	if len(entries) == 1 {
		noun = "provider"
	}
	_, err := fmt.Fprintf(w, "\n%d %s. `providers <name>` prints the lines of one,\n`providers --json` all that is known of each.\n", len(entries), noun)
	return err
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
