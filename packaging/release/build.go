package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/packaging/licences"
)

// buildTarget makes all files of one platform.
func (r *release) buildTarget(t target) error {
	dir := filepath.Join(r.work, t.os+"-"+t.arch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	binary := filepath.Join(dir, t.binary())
	if err := r.compile(t, binary); err != nil {
		return err
	}
	stem := fmt.Sprintf("%s_%s_%s_%s", name, strings.TrimPrefix(r.version, "v"), t.os, t.arch)
	if err := r.sbom(binary, filepath.Join(r.out, stem+".cdx.json")); err != nil {
		return err
	}
	notices, err := licences.Notices(r.source, buildEnv(t), "./cmd/caddy")
	if err != nil {
		return err
	}
	files := r.contents(t, binary)
	files = append(files, entry{name: "THIRD_PARTY_LICENSES.txt", data: []byte(notices)})
	if err := r.archive(t, stem, files); err != nil {
		return err
	}
	if t.os != "linux" {
		return nil
	}
	noticesFile := filepath.Join(dir, "THIRD_PARTY_LICENSES.txt")
	if err := os.WriteFile(noticesFile, []byte(notices), 0o644); err != nil {
		return err
	}
	return r.packages(t, binary, noticesFile)
}

// buildEnv is what decides about a binary besides the source, so that the environment of
// whoever builds does not.
func buildEnv(t target) []string {
	return []string{
		"GOOS=" + t.os, "GOARCH=" + t.arch, "CGO_ENABLED=0", "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=-mod=readonly", "GOWORK=off", "GOEXPERIMENT=", "GOFIPS140=off",
	}
}

// compile builds the binary. -trimpath leaves out where the source is. -buildvcs=false
// leaves out what git says: the same source is the same binary from a clone, a work tree
// and an unpacked archive. The version is set instead, and the provenance names the commit.
func (r *release) compile(t target, binary string) error {
	_, err := command(r.source, buildEnv(t), "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X github.com/webhookguard/caddy-webhook-guard/caddymodule/cli.release="+r.version,
		"-o", binary, "./cmd/caddy")
	return err
}

// sbom writes what the binary says it was built from, as CycloneDX. It has no time, no serial
// number and no checksum of the tool that made it, so that it is the same each time: a tool
// that `go tool` builds differs from one directory to the next.
func (r *release) sbom(binary, file string) error {
	made, err := r.tool(nil, "cyclonedx-gomod", "bin", "-json", "-std", "-licenses", "-noserial", "-notimestamp", "-version", r.version, binary)
	if err != nil {
		return err
	}
	text, err := withoutToolSums([]byte(made))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, text, 0o644)
}

// withoutToolSums removes the checksums of the tools from an SBOM.
func withoutToolSums(sbom []byte) ([]byte, error) {
	var all object
	if err := json.Unmarshal(sbom, &all); err != nil {
		return nil, err
	}
	metadata, _ := all["metadata"].(map[string]any)
	tools, _ := metadata["tools"].([]any)
	if len(tools) == 0 {
		return nil, errors.New("the SBOM does not say what made it where it used to")
	}
	for _, tool := range tools {
		if fields, ok := tool.(map[string]any); ok {
			delete(fields, "hashes")
		}
	}
	text, err := json.MarshalIndent(all, "", "  ")
	return append(text, '\n'), err
}

// tool runs a program that packaging/go.mod pins.
func (r *release) tool(env []string, program string, args ...string) (string, error) {
	env = append([]string{"GOWORK=off", "GOFLAGS="}, env...)
	return command(filepath.Join(r.source, "packaging"), env, "go", append([]string{"tool", program}, args...)...)
}
