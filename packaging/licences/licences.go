// Package licences finds the licences of Go modules.
package licences

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// Module is a Go module in the module cache.
type Module struct {
	Path, Version, Dir string
	// Packages are the directories of its packages that are used.
	Packages []string
}

// Linked returns the modules that the packages are built from, in the order of their paths,
// but for the main module. Env is added to the environment: it says for which platform.
func Linked(source string, env []string, packages ...string) ([]Module, error) {
	const form = `{{$dir := .Dir}}{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}} {{$dir}}{{end}}{{end}}`
	return list(source, env, append([]string{"list", "-deps", "-f", form}, packages...)...)
}

// Listed returns the modules of the given paths in the version that the main module uses.
func Listed(source string, paths ...string) ([]Module, error) {
	env := []string{"GOWORK=off"}
	if _, err := run(source, env, append([]string{"mod", "download"}, paths...)...); err != nil {
		return nil, err
	}
	return list(source, env, append([]string{"list", "-m", "-f", "{{.Path}} {{.Version}} {{.Dir}}"}, paths...)...)
}

func list(source string, env []string, args ...string) (modules []Module, err error) {
	out, err := run(source, env, args...)
	if err != nil {
		return nil, err
	}
	for _, line := range slices.Compact(slices.Sorted(strings.Lines(out))) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		if last := len(modules) - 1; last < 0 || modules[last].Path != fields[0] {
			modules = append(modules, Module{Path: fields[0], Version: fields[1], Dir: fields[2]})
		}
		m := &modules[len(modules)-1]
		m.Packages = append(m.Packages, fields[3:]...)
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("go %s in %s names no modules", strings.Join(args, " "), source)
	}
	return modules, nil
}

func run(dir string, env []string, args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, exit.Stderr)
		}
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return string(out), nil
}

// fileForm matches the names of files that licences ask to be passed on.
var fileForm = regexp.MustCompile(`(?i)^(licen[cs]e|copying|copyright|notice|patents|third[-_]party)([-_.].*)?$`)

// Files are the licence files at the top of a module, and those of code of others in it, which
// are beside its packages or above them. They are in the order of their names.
func (m Module) Files() ([]string, error) {
	files, err := filesIn(m.Dir)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s %s has no licence file", m.Path, m.Version)
	}
	looked := map[string]bool{m.Dir: true}
	for _, dir := range m.Packages {
		for ; !looked[dir]; dir = filepath.Dir(dir) {
			looked[dir] = true
			more, err := filesIn(dir)
			if err != nil {
				return nil, err
			}
			files = append(files, more...)
		}
	}
	slices.Sort(files)
	return files, nil
}

func filesIn(dir string) (files []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.Type().IsRegular() && fileForm.MatchString(entry.Name()) && !strings.HasSuffix(entry.Name(), ".go") {
			files = append(files, filepath.Join(dir, entry.Name()))
		}
	}
	return files, err
}

// IDs are the SPDX identifiers of a module's licences, in order. A module whose licence is
// not recognised is an error.
func (m Module) IDs() ([]string, error) {
	files, err := m.Files()
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, match := range licensecheck.Scan(text).Match {
			if !match.IsURL {
				ids = append(ids, match.ID)
			}
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("the licence of %s %s is not recognised: look at %s", m.Path, m.Version, strings.Join(files, " "))
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// Notices is the text that goes with a binary: the licences of Go and of each module in it.
func Notices(source string, env []string, packages ...string) (string, error) {
	modules, err := Linked(source, env, packages...)
	if err != nil {
		return "", err
	}
	root, err := run(source, nil, "env", "GOROOT")
	if err != nil {
		return "", err
	}
	modules = append([]Module{{Path: "Go and its standard library", Dir: strings.TrimSpace(root)}}, modules...)
	var all strings.Builder
	all.WriteString("The binary contains the software below, under these licences.\n")
	for _, m := range modules {
		files, err := m.Files()
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			name, err := filepath.Rel(m.Dir, file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&all, "\n%s\n%s, %s\n\n%s\n", strings.Repeat("-", 80), strings.TrimSpace(m.Path+" "+m.Version), filepath.ToSlash(name), strings.TrimSpace(string(text)))
		}
	}
	return all.String(), nil
}
