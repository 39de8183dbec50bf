// The program generate writes docs/providers.md from the catalogue, and the kinds
// of handshakes into docs/handshakes.md. It is run by
// go generate ./internal/handbook.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate <directory of the docs>")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(docs string) error {
	page, err := handbook.Page(config.Builtin())
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(docs, "providers.md"), []byte(page), 0o644); err != nil {
		return err
	}
	file := filepath.Join(docs, "handshakes.md")
	before, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	after, err := handbook.Handshakes(string(before))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(after), 0o644)
}
