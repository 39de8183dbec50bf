package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/packaging/licences"
)

// Each direct dependency has a reason, and the page is what the files of today say.
func TestThePageIsCurrent(t *testing.T) {
	want, err := page("../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/dependencies.md is out of date: run `go generate ./...` in packaging/")
	}
}

func TestADependencyWithoutAReasonIsRefused(t *testing.T) {
	_, err := reasons("go.mod", []byte("module x\n\nrequire (\n\texample.com/a v1.0.0 // for one thing\n\texample.com/b v1.0.0\n\texample.com/c v1.0.0 // indirect\n)\n"))
	if err == nil || !strings.Contains(err.Error(), "example.com/b has no reason") || strings.Contains(err.Error(), "example.com/a") || strings.Contains(err.Error(), "example.com/c") {
		t.Errorf("got %v, want an error that names example.com/b alone", err)
	}
}

// Nothing is linked into the binary that may not be passed on under this project's licence.
func TestTheLicencesInTheBinaryAreAccepted(t *testing.T) {
	var modules []licences.Module
	for _, system := range []string{"linux", "darwin", "windows"} {
		linked, err := licences.Linked("../..", []string{"GOWORK=off", "CGO_ENABLED=0", "GOOS=" + system}, "./cmd/caddy")
		if err != nil {
			t.Fatal(err)
		}
		if len(linked) < 50 {
			t.Errorf("%s: only %d modules: is Caddy among them?", system, len(linked))
		}
		modules = append(modules, linked...)
	}
	for _, m := range modules {
		ids, err := m.IDs()
		if err != nil {
			t.Error(err)
			continue
		}
		for _, id := range ids {
			if !slices.Contains(accepted, id) {
				t.Errorf("%s has %s, which is not among the accepted licences", m.Path, id)
			}
		}
	}
}
