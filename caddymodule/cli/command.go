// Package cli is the command line: caddy webhook-guard <verb>. Importing it registers the
// commands.
package cli

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "webhook-guard",
		Short: "Signs, sends and explains webhooks",
		Long: `Tools around the webhook_guard handler: list the providers, sign a body, send
an event to a gateway and see the result, find out why a captured request does
not verify, look up an event and let it through again, or look after the
inboxes.` + exitHelp,
		CobraFunc: func(cmd *cobra.Command) {
			group(cmd)
			cmd.Version = versions()
			cmd.SetVersionTemplate("webhook-guard {{.Version}}\n")
			cmd.AddCommand(providersCommand(), signCommand(), sendCommand(), explainCommand(), lookupCommand(), forgetCommand(), inboxCommand())
		},
	})
}
