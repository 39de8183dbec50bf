package cli

import (
	"encoding/json"
	"io"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

func providersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "providers [<name>]",
		Short: "Lists the providers, or prints the lines of one",
		Long: `Lists the built-in providers: what they sign, how replay is closed, how long
they retry, and where the facts are from.

With a name it prints that provider's own lines, as a block to be pasted into the
global webhook_guard option and changed there.`,
		Example: `  caddy webhook-guard providers
  caddy webhook-guard providers --json | jq '.[] | select(.replay == "not closed") | .name'
  caddy webhook-guard providers struktr`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			return runProviders(args, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	return cmd
}

func runProviders(args []string, asJSON bool, stdout io.Writer) error {
	catalogue := config.Builtin()
	if len(args) == 1 {
		provider, err := catalogue.Get(args[0])
		if err != nil {
			return err
		}
		if !asJSON {
			return printBlock(args[0], stdout)
		}
		catalogue = config.Catalogue{args[0]: provider}
	}
	entries, err := handbook.All(catalogue)
	if err != nil {
		return err
	}
	if !asJSON {
		return handbook.WriteTable(stdout, entries)
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(entries)
}

func printBlock(name string, stdout io.Writer) error {
	block, err := handbook.Block(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, block)
	return err
}
