package cli

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// fileFlags are the flags whose value is the name of a file.
var fileFlags = []string{"body", "captured", "config", "secret-file"}

// completeOnlyFiles keeps a shell from completing a value with files, unless it is one.
func completeOnlyFiles(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, known := cmd.GetFlagCompletionFunc(f.Name); !known && !slices.Contains(fileFlags, f.Name) {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
		}
	})
}

// completeProviderAndFile completes the arguments <provider> <file>.
func completeProviderAndFile(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeProviders(cmd, args, begun)
}

// completeProviders completes the first argument with the providers, those of --config
// too.
func completeProviders(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginning(begun, completedSetup(cmd).senders.Names()), cobra.ShellCompDirectiveNoFileComp
}

// completeEvents completes the types of a provider's sample events.
func completeEvents(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return beginning(begun, append(config.SampleEvents(args[0]), listEvents)), cobra.ShellCompDirectiveNoFileComp
}

// completeScopes completes the scopes of the guards in --config, those of the provider
// where one is given.
func completeScopes(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var scopes []string
	for _, block := range completedSetup(cmd).guards {
		if len(args) == 0 || block.ProviderName == args[0] {
			scopes = append(scopes, block.scope())
		}
	}
	return beginning(begun, scopes), cobra.ShellCompDirectiveNoFileComp
}

// completedSetup is what --config says so far. A shell cannot show an error.
func completedSetup(cmd *cobra.Command) setup {
	file, _ := cmd.Flags().GetString("config")
	adapter, _ := cmd.Flags().GetString("adapter")
	loaded, err := configFlags{file: file, adapter: adapter}.load()
	if err != nil {
		return setup{senders: config.Builtin()}
	}
	return loaded
}

func beginning(begun string, words []string) []string {
	var found []string
	for _, word := range words {
		if strings.HasPrefix(word, begun) {
			found = append(found, forBash(word))
		}
	}
	return found
}

// special are the characters that a shell may not take for themselves.
var special = regexp.MustCompile(`[^\p{L}\p{N}_./:@%+=,-]`)

// forBash escapes a word for bash, whose script is the only one to ask without descriptions.
// It expands what it is told, and would run the commands in a scope of a file's: so each
// character is escaped once for the script, and once for the command line.
func forBash(word string) string {
	if len(os.Args) < 2 || os.Args[1] != cobra.ShellCompNoDescRequestCmd {
		return word
	}
	return special.ReplaceAllString(word, `\\\$0`)
}
