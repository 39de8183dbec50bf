package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const eventHelp = `
The scope is the provider's name, unless the guard has a scope line; scope and ID
stand in the log of the gateway. A composite ID is given as its parts, or joined by
colons as the log has it, where %3A is a colon inside a part and %25 a percent sign.
The running gateway is asked over its admin API.`

func lookupCommand() *cobra.Command {
	return eventCommand(http.MethodGet, describe, cobra.Command{
		Use:   "lookup <scope> <id>…",
		Short: "Tells what the store knows of one event",
		Long:  "Tells whether an event is in flight, done, or not known to the store." + eventHelp,
		Example: `  caddy webhook-guard lookup docrouter ev-123
  caddy webhook-guard lookup docintell document.completed d-1 j-1`,
	})
}

func forgetCommand() *cobra.Command {
	return eventCommand(http.MethodDelete, describeForgotten, cobra.Command{
		Use:   "forget <scope> <id>…",
		Short: "Lets one event through again",
		Long:  "Makes the store forget an event that is done, so that its next copy is forwarded to the app." + eventHelp,
		Example: `  caddy webhook-guard forget docrouter ev-123
  caddy webhook-guard forget docintell document.completed:d-1:j-1`,
	})
}

// adminFlags say where the running gateway's admin API is, as for Caddy's own
// commands.
type adminFlags struct {
	address, config, adapter string
}

func eventCommand(method string, report func(adminapi.EventState) string, template cobra.Command) *cobra.Command {
	var admin adminFlags
	cmd := &template
	cmd.Args = cobra.MinimumNArgs(2)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		state, err := admin.event(method, args[0], args[1:])
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintln(cmd.OutOrStdout(), report(state)); err != nil {
			return err
		}
		if state.State == dedupe.Absent.String() && len(args) == 2 && strings.Contains(args[1], ":") {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "A colon inside a part of the ID is written %3A, as the log has it.")
		}
		return err
	}
	flags := cmd.Flags()
	flags.StringVar(&admin.address, "address", "", "the admin API's address; default: the configuration's, or localhost:2019")
	flags.StringVar(&admin.config, "config", "", "the configuration file that names the address")
	flags.StringVar(&admin.adapter, "adapter", "", "the configuration's adapter")
	return verb(cmd)
}

// event asks the running gateway.
func (f adminFlags) event(method, scope string, id []string) (state adminapi.EventState, err error) {
	address, err := caddycmd.DetermineAdminAPIAddress(f.address, nil, f.config, f.adapter)
	if err != nil {
		return state, fmt.Errorf("finding the admin API: %w", err)
	}
	query := url.Values{"scope": {scope}, "id": id}
	resp, err := caddycmd.AdminAPIRequest(address, method, adminapi.EventPath+"?"+query.Encode(), nil, nil)
	if err != nil {
		return state, unwanted(fmt.Errorf("asking the gateway at %s: %w", address, err))
	}
	defer func() { _ = resp.Body.Close() }()
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&state)
	if err != nil {
		return state, unwanted(fmt.Errorf("reading the answer of %s: %w", address, err))
	}
	return state, nil
}

func describe(e adminapi.EventState) string {
	left := time.Duration(e.TTL * float64(time.Second))
	switch e.State {
	case dedupe.Done.String():
		return fmt.Sprintf("done: the app answered %d; remembered for another %s", e.Status, left)
	case dedupe.InFlight.String():
		return fmt.Sprintf("in flight: the lease has %s left", left)
	}
	return "not known: its next copy is forwarded"
}

func describeForgotten(e adminapi.EventState) string {
	if e.State == dedupe.Done.String() {
		return fmt.Sprintf("forgotten: the app had answered %d; the next copy is forwarded", e.Status)
	}
	return describe(e)
}
