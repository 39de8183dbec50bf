package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// inboxFlags are what the flags of the inbox commands say.
type inboxFlags struct {
	adminFlags

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
		Long: `Lists and changes what the inboxes of the running gateway keep. It is asked
over its admin API. Each change needs a reason, and is logged.` + exitHelp,
	}
	group(cmd)
	cmd.AddCommand(inboxListCommand(), inboxShowCommand(), inboxExportCommand(),
		inboxEventsCommand("replay", "Delivers events again", adminapi.InboxReplayPath),
		inboxEventsCommand("delete", "Removes events", adminapi.InboxDeletePath),
		inboxSwitchCommand("pause", "paused", "Stops the delivery of an inbox; events are still accepted", adminapi.InboxPausePath),
		inboxSwitchCommand("resume", "resumed", "Resumes the delivery of an inbox", adminapi.InboxResumePath))
	return cmd
}

// add adds the flags that each of the commands has, and completes the inbox.
func (f *inboxFlags) add(cmd *cobra.Command) {
	f.adminFlags.add(cmd, "")
	cmd.ValidArgsFunction = f.completeInboxes
}

// completeInboxes completes the first argument with the inboxes of the running gateway. A
// shell cannot show an error.
func (f *inboxFlags) completeInboxes(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var states []adminapi.InboxState
	if len(args) > 0 || f.ask(http.MethodGet, adminapi.InboxesPath, nil, &states) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range states {
		names = append(names, s.Name)
	}
	return beginning(begun, names), cobra.ShellCompDirectiveNoFileComp
}

func (f *inboxFlags) addFilter(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.state, "state", "", "ready, delayed, leased, dead or done")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(inbox.StateNames(), cobra.ShellCompDirectiveNoFileComp))
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
	if f.state != "" && !slices.Contains(inbox.StateNames(), f.state) {
		return filter, fmt.Errorf("--state: %q is not a state: %s", f.state, thereAre(f.state, inbox.StateNames()))
	}
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

func inboxShowCommand() *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: "show <inbox> <id>", Short: "Shows all that is known of an event", Args: cobra.ExactArgs(2),
		Long: "Prints an event as JSON: its state and the last attempts. The event is named by\nits ID or its key." + exitHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			record, err := f.record(args[0], args[1])
			if err != nil {
				return err
			}
			encoder := json.NewEncoder(printableJSON{cmd.OutOrStdout()})
			encoder.SetIndent("", "  ")
			return encoder.Encode(record)
		},
	}
	f.add(cmd)
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
		Long: "Writes the events that match, each with its request: the body is in base64." + exitHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			encoder := json.NewEncoder(printableJSON{cmd.OutOrStdout()})
			return f.walk(args[0], func(e adminapi.InboxEvent) error {
				record, err := f.record(args[0], e.Key)
				if err != nil {
					return err
				}
				return encoder.Encode(record)
			})
		},
	}
	f.add(cmd)
	f.addFilter(cmd)
	return verb(cmd)
}

func inboxEventsCommand(name, short, path string) *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: name + " <inbox> [<id>…]", Short: short, Args: cobra.MinimumNArgs(1),
		Long:    short + ", named by ID or key, or all that match the flags.\nAn empty filter is refused." + exitHelp,
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
			if err := f.checkChange(change); err != nil {
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
	f.add(cmd)
	f.addFilter(cmd)
	f.addChange(cmd, "count what matches, and change nothing")
	if name == "replay" {
		cmd.Flags().StringVar(&f.rate, "rate", "", "how many events a time: 10/s, 100/m")
	}
	return verb(cmd)
}

// checkChange refuses what the gateway would refuse, in the words of the command line.
func (f *inboxFlags) checkChange(c adminapi.InboxChange) error {
	filtered := c.Filter != (adminapi.InboxFilter{})
	switch {
	case len(c.Events) == 0 && !filtered:
		return errors.New("name events, or give a filter such as --state dead: an empty one would mean every event")
	case len(c.Events) > 0 && filtered:
		return errors.New("name events, or give a filter, not both")
	}
	return f.checkReason()
}

func (f *inboxFlags) checkReason() error {
	if strings.TrimSpace(f.reason) == "" && !f.dryRun {
		return errors.New("--reason: say why, for the log; or see what would change with --dry-run")
	}
	return nil
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

func inboxSwitchCommand(name, done, short, path string) *cobra.Command {
	var f inboxFlags
	cmd := &cobra.Command{
		Use: name + " <inbox>", Short: short, Args: cobra.ExactArgs(1),
		Long:    short + "." + exitHelp,
		Example: "  caddy webhook-guard inbox " + name + ` payments --reason "maintenance"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			change := adminapi.InboxChange{Inbox: args[0], DryRun: f.dryRun, Reason: f.reason, By: whoAsks()}
			if err := f.checkReason(); err != nil {
				return err
			}
			var changed adminapi.InboxChanged
			if err := f.ask(http.MethodPost, path, change, &changed); err != nil {
				return err
			}
			text := done
			switch {
			case changed.Matched == 0:
				text += " already"
			case f.dryRun:
				text = "would be " + done + "; nothing was changed"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", args[0], text)
			return err
		},
	}
	f.add(cmd)
	f.addChange(cmd, "say what would change, and change nothing")
	return verb(cmd)
}

// addChange adds the flags of a command that changes something.
func (f *inboxFlags) addChange(cmd *cobra.Command, dryRun string) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, dryRun)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for the log")
}

// whoAsks names the user for the gateway's log.
func whoAsks() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
