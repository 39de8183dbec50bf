package licences

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A module may have code of others in it, under a licence of its own. That licence goes with
// the binary too, unless nothing beside it is used.
func TestCodeOfOthersInAModuleHasItsLicence(t *testing.T) {
	top := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("main/go.mod", "module example.com/main\n\ngo 1.26\n\nrequire example.com/other v1.0.0\n\nreplace example.com/other => ../other\n")
	write("main/main.go", "package main\n\nimport _ \"example.com/other/vendored/part\"\n\nfunc main() {}\n")
	write("other/go.mod", "module example.com/other\n\ngo 1.26\n")
	for _, dir := range []string{"", "vendored/", "vendored/part/", "unused/"} {
		write("other/"+dir+"x.go", "package x\n")
		write("other/"+dir+"LICENSE", fmt.Sprintf("The licence of %q.\n", dir))
	}
	write("other/THIRD-PARTY", "The licence of a file.\n")
	notices, err := Notices(filepath.Join(top, "main"), []string{"GOWORK=off", "GOFLAGS=-mod=mod"}, ".")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(notices, "\nexample.com/other v1.0.0, THIRD-PARTY\n\nThe licence of a file.\n") {
		t.Error("the notices leave out THIRD-PARTY")
	}
	for dir, want := range map[string]bool{"": true, "vendored/": true, "vendored/part/": true, "unused/": false} {
		heading := fmt.Sprintf("\nexample.com/other v1.0.0, %sLICENSE\n\nThe licence of %q.\n", dir, dir)
		if got := strings.Contains(notices, heading); got != want {
			t.Errorf("the notices have the licence of %q: %t, want %t", dir, got, want)
		}
	}
}
