package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

func providersCommand() *cobra.Command {
	var configuration configFlags
	var asJSON bool
	var search string
	cmd := &cobra.Command{
		Use:   "providers [<name> | --search <words>]",
		Short: "Lists the providers, or prints the lines of one",
		Long: `Lists the built-in providers: what they sign, what is a retry, what stays open,
how long they retry, and where the facts are from.

With a name it prints that provider's own lines, as a block to be pasted into
the global webhook_guard option and changed there. For a sender that is not
supported it says what is missing, and what to do instead.`,
		Example: `  caddy webhook-guard providers
  caddy webhook-guard providers --json | jq '.[] | select(.stays_open == "nothing") | .name'
  caddy webhook-guard providers --search pay
  caddy webhook-guard providers struktr`,
		ValidArgsFunction: completeProviders,
		Args:              cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if search != "" || cmd.Flags().Changed("search") {
				return runSearch(configuration, args, search, asJSON, cmd.OutOrStdout())
			}
			return runProviders(configuration, args, asJSON, cmd.OutOrStdout())
		},
	}
	configuration.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array of objects")
	cmd.Flags().StringVar(&search, "search", "", "list the providers that match, the best first")
	return verb(cmd)
}

// runSearch lists the providers that match, and names senders that match and are not
// supported.
func runSearch(configuration configFlags, args []string, query string, asJSON bool, stdout io.Writer) error {
	if len(args) > 0 {
		return errors.New("give a name or --search, not both")
	}
	loaded, err := configuration.load()
	if err != nil {
		return err
	}
	found := handbook.Search(loaded.senders, query)
	if found.Similar && asJSON || len(found.Senders)+len(found.Unsupported) == 0 {
		return unwanted(fmt.Errorf("no provider matches %q: `caddy webhook-guard providers` lists all", query))
	}
	var entries []handbook.Entry
	for _, name := range found.Senders {
		entry, err := handbook.Sum(name, loaded.senders[name])
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	if asJSON {
		return writeEntries(entries, stdout)
	}
	return printFound(query, found, entries, stdout)
}

func printFound(query string, found handbook.Found, entries []handbook.Entry, stdout io.Writer) error {
	if found.Similar {
		fmt.Fprintf(stdout, "No provider matches %q. These have a similar name:\n\n", query)
	}
	if len(entries) > 0 {
		if err := handbook.WriteTable(stdout, entries, widthOf(stdout)); err != nil {
			return err
		}
	}
	for _, name := range found.Unsupported {
		fmt.Fprintf(stdout, "Not supported: %s. `providers %s` says what to do instead.\n", config.Unsupported[name].Title, name)
	}
	return nil
}

func runProviders(configuration configFlags, args []string, asJSON bool, stdout io.Writer) error {
	loaded, err := configuration.load()
	if err != nil {
		return err
	}
	catalogue := loaded.senders
	if len(args) == 1 {
		subject, err := configuration.find(args[0])
		switch {
		case err != nil:
			return err
		case asJSON:
		case slices.Contains(subject.own, args[0]), subject.block != nil:
			return printSubject(subject, stdout)
		default:
			return printBlock(args[0], stdout)
		}
		catalogue = config.Catalogue{args[0]: subject.provider}
	}
	entries, err := handbook.All(catalogue)
	if err != nil {
		return err
	}
	if !asJSON {
		return handbook.WriteTable(stdout, entries, widthOf(stdout))
	}
	return writeEntries(entries, stdout)
}

func writeEntries(entries []handbook.Entry, stdout io.Writer) error {
	if entries == nil {
		entries = []handbook.Entry{} // none is an empty list
	}
	encoder := json.NewEncoder(stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(entries)
}

// widthOf is how many columns a terminal has, or what the whole table takes.
func widthOf(stdout io.Writer) int {
	if file, ok := stdout.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return handbook.TableWidth
}

func printBlock(name string, stdout io.Writer) error {
	block, err := handbook.Block(name)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stdout, block)
	return err
}

// printSubject prints the lines of a provider that the configuration describes.
func printSubject(s *subject, stdout io.Writer) error {
	entry, err := handbook.Sum(s.name, s.provider)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%sprovider %s {\n%s}\n", entry.Comment(), s.name, s.provider.Lines("\t"))
	return err
}
