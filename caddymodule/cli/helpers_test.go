package cli

import (
	"errors"
	"flag"
	"io"
	"log"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the golden files anew")

// wantText fails unless an error holds a text.
func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that holds %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not hold %q", err, text)
	}
}

// statusOf is the status that Caddy exits with.
func statusOf(err error) int {
	if err == nil {
		return exitWanted
	}
	var exit exitError
	if !errors.As(err, &exit) {
		return 1 // Caddy's own, for any other error
	}
	return exit.status
}

var verbs = map[string]func() *cobra.Command{
	"providers": providersCommand, "sign": signCommand, "send": sendCommand,
	"explain": explainCommand, "lookup": lookupCommand, "forget": forgetCommand,
}

// flagsOf are the names of a command's own flags.
func flagsOf(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// silent is the log of a server whose failures are wanted.
func silent() *log.Logger { return log.New(io.Discard, "", 0) }
