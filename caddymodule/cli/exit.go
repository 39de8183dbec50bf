package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

// The exit statuses of every verb.
const (
	exitWanted    = 0 // the result is the one wanted
	exitNotWanted = 1 // the command worked, or tried to, and the result is another one
	exitUsage     = 2 // the command was given something that it cannot work with
)

const exitHelp = `

The exit status is 0 where the result is the one wanted, 1 where it is not, and
2 where the command is used wrongly.`

// verb makes a command end with one of the documented statuses: exitNotWanted for an
// error that is marked by [unwanted], exitUsage for any other.
func verb(cmd *cobra.Command) *cobra.Command {
	args, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		err := args(cmd, given)
		if err == nil && slices.Contains(given, "") {
			err = errors.New("an argument is empty: is a variable of the shell not set?")
		}
		if err == nil {
			err = cmd.ValidateFlagGroups()
		}
		if err != nil {
			err = fmt.Errorf("%w\nUsage: %s", err, cmd.UseLine())
		}
		return exitWith(cmd, exitUsage, err)
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		err := run(cmd, given)
		if errors.As(err, new(unwantedError)) {
			return exitWith(cmd, exitNotWanted, err)
		}
		return exitWith(cmd, exitUsage, err)
	}
	cmd.SetFlagErrorFunc(wrongFlag)
	narrow(cmd)
	completeOnlyFiles(cmd)
	return cmd
}

// wrongFlag ends a command that was given a flag that it does not have, or a value that is
// not the flag's.
func wrongFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		similar := config.Similar(unknown.GetSpecifiedName(), names)
		switch {
		case len(similar) > 0:
			err = fmt.Errorf("%w: did you mean --%s?", err, strings.Join(similar, ", --"))
		case strings.Contains(cmd.Use, "<id>"): // one key in 64 begins with a dash
			err = fmt.Errorf("%w: an ID or a key that begins with a dash comes last, after --", err)
		}
	}
	return exitWith(cmd, exitUsage, err)
}

// narrow wraps the help of flags to what every terminal has.
func narrow(cmd *cobra.Command) {
	cmd.SetUsageTemplate(strings.ReplaceAll(cmd.UsageTemplate(), ".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", handbook.NarrowWidth)))
}

// unwanted marks an error as a result that is not the one wanted.
func unwanted(err error) error { return unwantedError{err} }

type unwantedError struct{ error }

func (e unwantedError) Unwrap() error { return e.error }

// exitWith ends the command with a status, and prints the error as cobra prints its own.
// Where the error is nil the status is exitWanted.
func exitWith(cmd *cobra.Command, status int, err error) error {
	if err == nil {
		return nil
	}
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if !errors.Is(err, errNotVerified) { // the report says it
		cmd.PrintErrln("Error:", err.Error())
	}
	exit := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return status, nil })(cmd, nil)
	return exitError{status: status, shown: err, exit: exit}
}

// exitError is an error that has been printed, with the status to exit with.
type exitError struct {
	status      int
	shown, exit error // exit is Caddy's own
}

func (e exitError) Error() string { return e.shown.Error() }

// Unwrap implements the interface of package errors.
func (e exitError) Unwrap() []error {
	return slices.DeleteFunc([]error{e.shown, e.exit}, func(err error) bool { return err == nil })
}

// group is a command that only has others below it.
func group(cmd *cobra.Command) {
	narrow(cmd)
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		text := fmt.Sprintf(": `%s --help` lists them", cmd.CommandPath())
		if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
			text = fmt.Sprintf(": did you mean %s?", similar[0])
		}
		return exitWith(cmd, exitUsage, fmt.Errorf("there is no command %q%s", args[0], text))
	}
	cmd.SetFlagErrorFunc(wrongFlag)
}
