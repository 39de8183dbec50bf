package cli

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
	"github.com/webhookguard/caddy-webhook-guard/internal/texttable"
)

func inboxListCommand() *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: "list [<inbox>]", Short: "Lists the inboxes, or the events of one", Args: cobra.MaximumNArgs(1),
		Long:    inboxListHelp + exitHelp,
		Example: "  caddy webhook-guard inbox list\n  caddy webhook-guard inbox list payments --state dead --since 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, name := range []string{"state", "event", "scope", "type", "dead-reason", "since", "until", "limit"} {
					if cmd.Flags().Changed(name) {
						return fmt.Errorf("--%s is about the events of one inbox: name it, as in inbox list payments --%s", name, name)
					}
				}
				var states []adminapi.InboxState
				if err := f.ask(http.MethodGet, adminapi.InboxesPath, nil, &states); err != nil {
					return err
				}
				return texttable.Write(cmd.OutOrStdout(), inboxColumns, states, terminalWidth(cmd.OutOrStdout()))
			}
			events, more, err := f.list(args[0])
			if err != nil {
				return err
			}
			if err := texttable.Write(cmd.OutOrStdout(), eventColumns, events, terminalWidth(cmd.OutOrStdout())); err != nil {
				return err
			}
			if more {
				cmd.PrintErrf("These are the first %d that match: --limit 0 lists all.\n", len(events))
			}
			return nil
		},
	}
	f.add(cmd)
	f.addFilter(cmd)
	cmd.Flags().IntVar(&f.limit, "limit", 100, "the most events; 0 lists all")
	return verb(cmd)
}

const inboxListHelp = `Lists the inboxes of the running gateway, and how many events each has in which
state; or the events of one that match. An event is listed under its ID, or
under its key where it has none or a very long one: replay, show and delete
take both. On a terminal the table fits its width, elsewhere it has all
columns, and nothing is cut.`

// terminalWidth is how many columns a terminal has, from 80 on; 0 where the output is none.
func terminalWidth(stdout io.Writer) int {
	if file, ok := stdout.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return max(width, handbook.NarrowWidth)
		}
	}
	return 0
}

// inboxColumns fit 80 characters where names have up to 20.
var inboxColumns = []texttable.Column[adminapi.InboxState]{
	{Title: "INBOX", Cell: func(s adminapi.InboxState) string { return s.Name }},
	{Title: "READY", Width: 7, Cell: func(s adminapi.InboxState) string { return count(s.Ready) }},
	{Title: "DELAYED", Width: 7, Cell: func(s adminapi.InboxState) string { return count(s.Delayed) }},
	{Title: "LEASED", Width: 6, Cell: func(s adminapi.InboxState) string { return count(s.Leased) }},
	{Title: "DEAD", Width: 7, Cell: func(s adminapi.InboxState) string { return count(s.Dead) }},
	{Title: "DONE", Width: 7, Cell: func(s adminapi.InboxState) string { return count(s.Done) }},
	{Title: "SIZE", Width: 7, Cell: func(s adminapi.InboxState) string { return humanize.IBytes(uint64(max(s.Bytes, 0))) }},
	{Title: "NOTE", Width: 12, Cell: noteOf},
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

// mostNamed is the longest ID that the table shows. Longer ones would not fit 80 characters
// with the rest, and a part of an ID names nothing.
const mostNamed = 36

// eventColumns fit 80 characters, or 120 with what events are and why they were given up.
var eventColumns = []texttable.Column[adminapi.InboxEvent]{
	{Title: "EVENT", Cell: nameOf},
	{Title: "KEY", From: 160, Cell: func(e adminapi.InboxEvent) string { return e.Key }},
	{Title: "TYPE", Width: 22, From: handbook.TableWidth, Cell: func(e adminapi.InboxEvent) string { return printable(e.Type) }},
	{Title: "STATE", Width: 7, Cell: func(e adminapi.InboxEvent) string { return e.State }},
	{Title: "TRIES", Width: 5, Cell: func(e adminapi.InboxEvent) string { return strconv.Itoa(e.Attempts) }},
	{Title: "STATUS", Width: 6, Cell: statusCell},
	{Title: "ACCEPTED", Width: 20, Cell: func(e adminapi.InboxEvent) string { return e.Accepted.UTC().Format(time.RFC3339) }},
	{Title: "REASON", Width: 18, From: handbook.TableWidth, Cell: func(e adminapi.InboxEvent) string { return printable(e.Reason) }},
}

// nameOf is what the other commands take: the ID where it can be shown, or else the key.
func nameOf(e adminapi.InboxEvent) string {
	id := printable(e.ID)
	if id == "" || id != e.ID || len(id) > mostNamed {
		return e.Key
	}
	return id
}

func statusCell(e adminapi.InboxEvent) string {
	if e.Status == 0 {
		return "-"
	}
	return strconv.Itoa(e.Status)
}

// printable keeps what a sender wrote from steering the terminal.
func printable(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	return quoted[1 : len(quoted)-1]
}

// printableJSON writes JSON, and escapes in it what the encoder leaves: a terminal takes some
// characters beyond ASCII for commands, too. Each call of Write has whole characters.
type printableJSON struct{ io.Writer }

func (w printableJSON) Write(text []byte) (int, error) {
	var safe []byte
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			safe = utf8.AppendRune(safe, r)
		default:
			for _, unit := range utf16.Encode([]rune{r}) {
				safe = fmt.Appendf(safe, `\u%04x`, unit)
			}
		}
	}
	if _, err := w.Writer.Write(safe); err != nil {
		return 0, err
	}
	return len(text), nil
}

func noteOf(s adminapi.InboxState) string {
	var notes []string
	for _, note := range []struct {
		text string
		is   bool
	}{{"paused", s.Paused}, {"held", s.Held}, {"unrouted", s.Unrouted}} {
		if note.is {
			notes = append(notes, note.text)
		}
	}
	return strings.Join(notes, ", ")
}

// list returns the events that match, up to the limit, and whether there are more.
func (f *inboxFlags) list(name string) (events []adminapi.InboxEvent, more bool, err error) {
	err = f.walk(name, func(e adminapi.InboxEvent) error {
		if more = f.limit > 0 && len(events) == f.limit; more {
			return errEnough
		}
		events = append(events, e)
		return nil
	})
	if more {
		err = nil
	}
	return events, more, err
}

// errEnough ends a walk.
var errEnough = errors.New("no more events are wanted")

// mostInPage is how many events are asked for at once.
const mostInPage = 500

// walk calls do with each event that matches, and ends where it fails.
func (f *inboxFlags) walk(name string, do func(adminapi.InboxEvent) error) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	query := url.Values{"inbox": {name}, "limit": {strconv.Itoa(mostInPage)}}
	if f.limit > 0 {
		query.Set("limit", strconv.Itoa(min(f.limit+1, mostInPage))) // one more says that there are more
	}
	for name, text := range map[string]string{"state": filter.State, "id": filter.ID, "scope": filter.Scope, "type": filter.Type, "reason": filter.Reason} {
		if text != "" {
			query.Set(name, text)
		}
	}
	if filter.Since != nil {
		query.Set("since", filter.Since.Format(time.RFC3339))
	}
	if filter.Until != nil {
		query.Set("until", filter.Until.Format(time.RFC3339))
	}
	for {
		var page adminapi.InboxPage
		if err := f.ask(http.MethodGet, adminapi.InboxEventsPath+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := do(e); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Set("cursor", page.Next)
	}
}
