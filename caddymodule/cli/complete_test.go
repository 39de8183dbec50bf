package cli

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// completed is what a shell is told of the last word of a command line.
func completed(t *testing.T, words ...string) ([]string, cobra.ShellCompDirective) {
	t.Helper()
	root := &cobra.Command{Use: "webhook-guard"}
	for _, command := range verbs {
		root.AddCommand(command())
	}
	root.AddCommand(inboxCommand())
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(new(bytes.Buffer))
	root.SetArgs(append([]string{cobra.ShellCompNoDescRequestCmd}, words...))
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	last := len(lines) - 1
	directive, err := strconv.Atoi(strings.TrimPrefix(lines[last], ":"))
	if err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	return lines[:last], cobra.ShellCompDirective(directive)
}

// A shell offers the files of the directory where one is wanted, and nowhere else.
func TestFilesCompleteOnlyFiles(t *testing.T) {
	commands := map[string]*cobra.Command{}
	for name, command := range verbs {
		commands[name] = command()
	}
	for _, cmd := range inboxCommand().Commands() {
		commands["inbox "+cmd.Name()] = cmd
	}
	for _, name := range slices.Sorted(maps.Keys(commands)) {
		verb := strings.Fields(name)
		check := func(wanted bool, words ...string) {
			_, directive := completed(t, append(slices.Clone(verb), words...)...)
			if files := directive&cobra.ShellCompDirectiveNoFileComp == 0; files != wanted {
				t.Errorf("%s %q offers files: %v", name, words, files)
			}
		}
		for n := range 4 {
			words := append(slices.Repeat([]string{"struktr"}, n), "")
			check(name == "explain" && n == 1, words...)
		}
		commands[name].Flags().VisitAll(func(f *pflag.Flag) {
			if f.NoOptDefVal == "" {
				file := slices.Contains([]string{"body", "captured", "config", "secret-file"}, f.Name)
				check(file, "--"+f.Name, "")
				check(file, "--"+f.Name+"=")
			}
		})
	}
}

// Bash's script splits what it is told at blanks and expands it, and puts the rest on the
// command line as it is: each event, GitLab's "Push Hook" too, and each scope of a file has to
// arrive as one word, and nothing of it may run.
func TestBashCompletesWholeWords(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err)
	}
	given := os.Args
	t.Cleanup(func() { os.Args = given })
	os.Args = []string{"caddy", cobra.ShellCompNoDescRequestCmd}
	check := func(told, want []string) {
		t.Helper()
		script := `words=$(compgen -W "$1" -- ""); while IFS= read -r word; do eval "printf '%s\n' $word"; done <<<"$words"`
		out, err := exec.Command(bash, "-c", script, "bash", strings.Join(told, "\n")).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); !slices.Equal(got, want) {
			t.Errorf("bash puts %q on the command line, want %q", got, want)
		}
	}
	for provider := range config.Builtin() {
		if events := config.SampleEvents(provider); len(events) > 0 {
			told, _ := completed(t, "send", provider, "--event", "")
			check(told, append(slices.Clone(events), listEvents))
		}
	}
	scopes := []string{
		"t-{http.request.host}", "$(echo run)", "`echo run`", "$HOME", "a'b", `a"b`, `a\b`, `a\`, "*", "~", "a;b|c&d", "{a,b}", "#a", "!1", "é 😀", "a\tb", "<(echo run)",
	}
	check(beginning("", scopes), scopes)
	os.Args = []string{"caddy", cobra.ShellCompRequestCmd}
	if words := beginning("Pu", config.SampleEvents("gitlab-secret-token")); !slices.Equal(words, []string{"Push Hook"}) {
		t.Errorf("other shells are told %q", words)
	}
}
