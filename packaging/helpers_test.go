// Package packaging_test checks the files that put a gateway on a machine, with the programs
// that read them where these can be had. docs/releases.md says what is not checked here.
package packaging_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// top is the repository.
const top = ".."

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// run runs a program to its end. The test fails with what it printed where it fails.
func run(t *testing.T, env []string, program string, args ...string) string {
	t.Helper()
	out, err := try(t, env, program, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, out)
	}
	return out
}

func try(t *testing.T, env []string, program string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps`", program)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// environment are the variables of packaging/environment.
func environment(t *testing.T) map[string]string {
	t.Helper()
	variables := make(map[string]string)
	for line := range strings.Lines(read(t, "environment")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			variables[name] = value
		}
	}
	if len(variables) != 2 || variables["GOGC"] == "" || variables["GOMEMLIMIT"] == "" {
		t.Fatalf("packaging/environment has %v, want GOGC and GOMEMLIMIT", variables)
	}
	return variables
}
