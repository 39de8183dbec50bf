package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// inboxFlags are what the flags of the inbox commands say.
type inboxFlags struct {
	address string
	config  configFlags

	state, event, scope, kind, why string // the filter
	since, until                   string
	limit                          int
	body, dryRun                   bool
	rate, reason                   string
}

func inboxCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inbox <verb>",
		Short: "Lists, shows, replays and deletes the events of inboxes",
		Long:  "Lists and changes what the inboxes of the running gateway keep. It is asked over its admin API. Each change needs a reason, and is logged." + exitHelp,
	}
	group(cmd)
	cmd.AddCommand(inboxListCommand(), inboxShowCommand(), inboxExportCommand(),
		inboxEventsCommand("replay", "Delivers events again", adminapi.InboxReplayPath),
		inboxEventsCommand("delete", "Removes events", adminapi.InboxDeletePath),
		inboxSwitchCommand("pause", "Stops the delivery of an inbox; events are still accepted", adminapi.InboxPausePath),
		inboxSwitchCommand("resume", "Resumes the delivery of an inbox", adminapi.InboxResumePath))
	return cmd
}

func (f *inboxFlags) addAddress(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.address, "address", "", "the admin API's address; default: the configuration's, or localhost:2019")
	flags.StringVar(&f.config.file, "config", "", "the configuration file that names the address")
	flags.StringVar(&f.config.adapter, "adapter", "", "the configuration's adapter")
}

func (f *inboxFlags) addFilter(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", "", "ready, delayed, leased, dead or done")
	flags.StringVar(&f.event, "event", "", "the event's ID")
	flags.StringVar(&f.scope, "scope", "", "the event's scope")
	flags.StringVar(&f.kind, "type", "", "the event's type")
	flags.StringVar(&f.why, "dead-reason", "", "why it was given up, as the list has it")
	flags.StringVar(&f.since, "since", "", "accepted since: a time such as 2026-12-31T00:00:00Z, or a duration such as 24h")
	flags.StringVar(&f.until, "until", "", "accepted before: a time, or a duration")
}

// filter returns what the flags say of events.
func (f *inboxFlags) filter() (adminapi.InboxFilter, error) {
	filter := adminapi.InboxFilter{State: f.state, ID: f.event, Scope: f.scope, Type: f.kind, Reason: f.why}
	for name, flag := range map[string]struct {
		text string
		into **time.Time
	}{"since": {f.since, &filter.Since}, "until": {f.until, &filter.Until}} {
		if flag.text == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, flag.text)
		if ago, err2 := time.ParseDuration(flag.text); err2 == nil {
			t, err = time.Now().Add(-ago), nil
		}
		if err != nil {
			return filter, fmt.Errorf("--%s: write a time such as 2026-12-31T00:00:00Z, or a duration such as 24h", name)
		}
		*flag.into = &t
	}
	return filter, nil
}

func inboxListCommand() *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: "list [<inbox>]", Short: "Lists the inboxes, or the events of one", Args: cobra.MaximumNArgs(1),
		Example: "  caddy webhook-guard inbox list\n  caddy webhook-guard inbox list payments --state dead --since 24h",
		RunE: func(cmd *cobra.Command, args []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			if len(args) == 0 {
				var states []adminapi.InboxState
				if err := f.ask(http.MethodGet, adminapi.InboxesPath, nil, &states); err != nil {
					return err
				}
				fmt.Fprintln(w, "INBOX\tREADY\tDELAYED\tLEASED\tDEAD\tDONE\tBYTES\tNOTE")
				for _, s := range states {
					fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.Name, s.Ready, s.Delayed, s.Leased, s.Dead, s.Done, s.Bytes, noteOf(s))
				}
				return w.Flush()
			}
			fmt.Fprintln(w, "KEY\tID\tTYPE\tSTATE\tATTEMPTS\tSTATUS\tACCEPTED\tREASON")
			err := f.walk(args[0], func(e adminapi.InboxEvent) error {
				_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\n", e.Key, printable(e.ID), printable(e.Type), e.State, e.Attempts, e.Status,
					e.Accepted.Format(time.RFC3339), printable(e.Reason))
				return err
			})
			return errors.Join(err, w.Flush())
		},
	}
	f.addAddress(cmd)
	f.addFilter(cmd)
	cmd.Flags().IntVar(&f.limit, "limit", 100, "the most events; 0 lists all")
	return verb(cmd)
}

// printable keeps what a sender wrote from steering the terminal.
func printable(text string) string {
	quoted := strconv.QuoteToGraphic(text)
	return quoted[1 : len(quoted)-1]
}

func noteOf(s adminapi.InboxState) string {
	var notes []string
	for note, is := range map[string]bool{"unrouted": s.Unrouted, "paused": s.Paused, "held": s.Held} {
		if is {
			notes = append(notes, note)
		}
	}
	return strings.Join(notes, ", ")
}

// walk calls do with the events that match, up to the limit.
func (f *inboxFlags) walk(name string, do func(adminapi.InboxEvent) error) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	query := url.Values{"inbox": {name}, "limit": {"500"}}
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
	for n := 0; ; {
		var page adminapi.InboxPage
		if err := f.ask(http.MethodGet, adminapi.InboxEventsPath+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, e := range page.Events {
			if n++; f.limit > 0 && n > f.limit {
				return nil
			}
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

func inboxShowCommand() *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: "show <inbox> <id>", Short: "Shows all that is known of an event", Args: cobra.ExactArgs(2),
		Long: "Prints an event as JSON: its state and the last attempts. The event is named by its ID or its key." + exitHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			record, err := f.record(args[0], args[1])
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetIndent("", "  ")
			return encoder.Encode(record)
		},
	}
	f.addAddress(cmd)
	cmd.Flags().BoolVar(&f.body, "body", false, "the request, too: headers, and the body in base64")
	return verb(cmd)
}

func (f *inboxFlags) record(name, event string) (record adminapi.InboxRecord, err error) {
	query := url.Values{"inbox": {name}, "event": {event}, "body": {strconv.FormatBool(f.body)}}
	err = f.ask(http.MethodGet, adminapi.InboxEventPath+"?"+query.Encode(), nil, &record)
	return record, err
}

func inboxExportCommand() *cobra.Command {
	f := inboxFlags{body: true}
	cmd := &cobra.Command{
		Use: "export <inbox>", Short: "Writes events with their requests, one JSON object a line", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			encoder := json.NewEncoder(cmd.OutOrStdout())
			return f.walk(args[0], func(e adminapi.InboxEvent) error {
				record, err := f.record(args[0], e.Key)
				if err != nil {
					return err
				}
				return encoder.Encode(record)
			})
		},
	}
	f.addAddress(cmd)
	f.addFilter(cmd)
	return verb(cmd)
}

func inboxEventsCommand(name, short, path string) *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: name + " <inbox> [<id>…]", Short: short, Args: cobra.MinimumNArgs(1),
		Long:    short + ", named by ID or key, or all that match the flags. An empty filter is refused." + exitHelp,
		Example: "  caddy webhook-guard inbox " + name + " payments --state dead --dry-run\n  caddy webhook-guard inbox " + name + ` payments evt_1 --reason "the bug is fixed"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			change := adminapi.InboxChange{Inbox: args[0], Events: args[1:], DryRun: f.dryRun, Reason: f.reason, By: whoAsks()}
			var err error
			if change.Filter, err = f.filter(); err != nil {
				return err
			}
			if change.PerSecond, err = perSecond(f.rate); err != nil {
				return err
			}
			var changed adminapi.InboxChanged
			if err := f.ask(http.MethodPost, path, change, &changed); err != nil {
				return err
			}
			if f.dryRun {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events match; nothing was changed\n", changed.Matched)
			} else {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d of %d events\n", name, changed.Changed, changed.Matched)
			}
			return err
		},
	}
	f.addAddress(cmd)
	f.addFilter(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.dryRun, "dry-run", false, "count what matches, and change nothing")
	flags.StringVar(&f.reason, "reason", "", "why, for the log")
	if name == "replay" {
		flags.StringVar(&f.rate, "rate", "", "how many events a time: 10/s, 100/m")
	}
	return verb(cmd)
}

// perSecond reads a rate such as 10/s or 100/m.
func perSecond(text string) (float64, error) {
	if text == "" {
		return 0, nil
	}
	count, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(count, 64)
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || n <= 0 || seconds == 0 {
		return 0, errors.New("--rate: write a number of events a time: 10/s, 100/m")
	}
	return n / seconds, nil
}

func inboxSwitchCommand(name, short, path string) *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: name + " <inbox>", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.ask(http.MethodPost, path, adminapi.InboxChange{Inbox: args[0], Reason: f.reason, By: whoAsks()}, new(adminapi.InboxChanged))
		},
	}
	f.addAddress(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the log")
	return verb(cmd)
}

// whoAsks names the user for the gateway's log.
func whoAsks() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// ask asks the running gateway.
func (f *inboxFlags) ask(method, path string, body, into any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, f.config.file, f.config.adapter)
	if err != nil {
		return fmt.Errorf("finding the admin API: %w", err)
	}
	var sent io.Reader
	header := http.Header{}
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
		header.Set("Content-Type", "application/json")
	}
	resp, err := caddycmd.AdminAPIRequest(address, method, path, header, sent)
	if err != nil {
		return unwanted(fmt.Errorf("asking the gateway at %s: %w", address, err))
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return unwanted(fmt.Errorf("reading the answer of %s: %w", address, err))
	}
	return nil
}
