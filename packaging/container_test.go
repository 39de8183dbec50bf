package packaging_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// stages parses a Dockerfile as BuildKit does.
func stages(t *testing.T, file string) []instructions.Stage {
	t.Helper()
	result, err := parser.Parse(strings.NewReader(read(t, file)))
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	stages, _, err := instructions.Parse(result.AST, nil)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return stages
}

// all are the commands of one kind in a stage.
func all[T any](stage instructions.Stage) (found []T) {
	for _, command := range stage.Commands {
		if c, ok := command.(T); ok {
			found = append(found, c)
		}
	}
	return found
}

// last is the last command of one kind, which there must be.
func last[T any](t *testing.T, file string, stage instructions.Stage) T {
	t.Helper()
	found := all[T](stage)
	if len(found) == 0 {
		t.Fatalf("%s has no %T in its last stage", file, *new(T))
	}
	return found[len(found)-1]
}

var numericUser = regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`)

// What runs in a container is nobody's, starts without a shell, and comes from an image of a
// stated version; and what is copied into it is there.
func TestContainersAreBuiltSoundly(t *testing.T) {
	for _, file := range []string{"../Dockerfile", "../examples/flask/Dockerfile"} {
		stages := stages(t, file)
		for _, stage := range stages {
			if _, tag, ok := strings.Cut(stage.BaseName, ":"); !ok || tag == "latest" {
				t.Errorf("%s: FROM %s states no version", file, stage.BaseName)
			}
			checkCopies(t, file, stage)
		}
		runs := stages[len(stages)-1]
		if user := last[*instructions.UserCommand](t, file, runs); !numericUser.MatchString(user.User) {
			t.Errorf("%s: USER %s, want a number that is not root's: Kubernetes can tell nothing of a name", file, user.User)
		}
		if cmd := last[*instructions.CmdCommand](t, file, runs); cmd.PrependShell {
			t.Errorf("%s: CMD needs a shell, which would not pass SIGTERM on", file)
		}
	}
}

// checkCopies checks that what a stage copies from the context is there and not ignored.
func checkCopies(t *testing.T, file string, stage instructions.Stage) {
	t.Helper()
	context := filepath.Dir(file)
	for _, c := range all[*instructions.CopyCommand](stage) {
		if c.From != "" {
			continue
		}
		for _, source := range c.SourcePaths {
			matches, err := filepath.Glob(filepath.Join(context, source))
			if err != nil || len(matches) == 0 || ignored(t, context, source) {
				t.Errorf("%s copies %s, which is not in the context: %v", file, source, err)
			}
		}
	}
}

// ignored reports whether .dockerignore keeps a file out of the context.
func ignored(t *testing.T, context, path string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(context, ".dockerignore"))
	if err != nil {
		return false
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if path == "." {
		return false
	}
	is, err := patternmatcher.MatchesOrParentMatches(filepath.ToSlash(path), patterns)
	if err != nil {
		t.Fatal(err)
	}
	return is
}

// The gateway's image is built with the Go of go.mod, and runs as packaging/environment has
// gateways run.
func TestTheGatewaysImage(t *testing.T) {
	const file = "../Dockerfile"
	stages := stages(t, file)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))
	if version == nil || !strings.HasPrefix(stages[0].BaseName, "golang:"+version[1]+"-") {
		t.Errorf("the first stage is from %s, and go.mod says %q", stages[0].BaseName, version)
	}
	runs := stages[len(stages)-1]
	got := make(map[string]string)
	for _, env := range all[*instructions.EnvCommand](runs) {
		for _, pair := range env.Env {
			got[pair.Key] = pair.Value
		}
	}
	for name, want := range environment(t) {
		if got[name] != want {
			t.Errorf("ENV %s is %q, and packaging/environment has %q", name, got[name], want)
		}
	}
	if len(all[*instructions.RunCommand](runs)) > 0 {
		t.Error("the last stage runs something: then it can only be built where programs of that platform run")
	}
	if check := last[*instructions.HealthCheckCommand](t, file, runs); check.Health == nil || len(check.Health.Test) < 2 || check.Health.Test[0] != "CMD" {
		t.Errorf("the health check is %+v, want a command without a shell", check.Health)
	}
}
