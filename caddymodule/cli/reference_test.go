package cli

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

const referenceHead = `# Command line

<!-- Written by go test ./caddymodule/cli -run Reference -update -->

The commands of ` + "`caddy webhook-guard`" + `, as ` + "`--help`" + ` shows them. [operations.md](operations.md#try-a-guard-from-the-command-line) and the
[guides](guides/README.md) show them at work. ` + "`caddy completion bash`" + `, or ` + "`zsh`, `fish` and `powershell`" + `, prints a script that completes commands,
flags, providers, event types, scopes and inboxes. The script for bash needs the package bash-completion.

| exit status | means |
|---|---|
| 0 | the result is the one wanted |
| 1 | the command worked, or tried to, and the result is another one: a request that should be forwarded was refused, a gateway did not answer |
| 2 | the command was used wrongly, or was given what it cannot work with |
`

// docs/cli.md says what the commands say of themselves.
func TestReferenceIsCurrent(t *testing.T) {
	var page strings.Builder
	page.WriteString(referenceHead)
	for _, cmd := range everyCommand(t) {
		reference(&page, cmd)
	}
	const path = "../../docs/cli.md"
	if *update {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != page.String() {
		t.Errorf("%s is not what the commands say: go test ./caddymodule/cli -run Reference -update", path)
	}
}

// everyCommand returns the command webhook-guard and all below it.
func everyCommand(t *testing.T) (all []*cobra.Command) {
	t.Helper()
	registered, ok := caddycmd.Commands()["webhook-guard"]
	if !ok {
		t.Fatal("the command is not registered")
	}
	caddy := &cobra.Command{Use: "caddy"}
	root := &cobra.Command{Use: registered.Name, Short: registered.Short, Long: registered.Long}
	registered.CobraFunc(root)
	caddy.AddCommand(root)
	var add func(*cobra.Command)
	add = func(cmd *cobra.Command) {
		all = append(all, cmd)
		for _, child := range cmd.Commands() {
			add(child)
		}
	}
	add(root)
	if len(all) < 14 {
		t.Fatalf("only %d commands", len(all))
	}
	return all
}

func reference(page *strings.Builder, cmd *cobra.Command) {
	text := strings.TrimSpace(strings.Replace(cmd.Long, exitHelp, "", 1)) // the table above has it
	fmt.Fprintf(page, "\n## %s\n\n%s.\n\n```text\n%s\n\n%s\n```\n", cmd.CommandPath(), cmd.Short, text, strings.TrimSpace(cmd.UsageString()))
}

// Every terminal has 80 columns: the help fits them, but for examples, which are pasted.
func TestHelpFitsATerminal(t *testing.T) {
	lines := 0
	for _, cmd := range everyCommand(t) {
		text := cmd.Long + "\n" + strings.ReplaceAll(cmd.UsageString(), cmd.Example, "")
		for line := range strings.Lines(text) {
			lines++
			if strings.HasPrefix(line, "Use \"caddy") { // cobra's own
				continue
			}
			if columns := utf8.RuneCountInString(strings.TrimRight(line, "\n")); columns > handbook.NarrowWidth {
				t.Errorf("%s --help: %d columns: %s", cmd.CommandPath(), columns, line)
			}
		}
	}
	if lines < 200 {
		t.Errorf("only %d lines of help", lines)
	}
}
