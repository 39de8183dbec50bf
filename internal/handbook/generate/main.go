// The program generate writes docs/providers.md from the catalogue. It is run by
// go generate ./internal/handbook.
package main

import (
	"fmt"
	"os"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate <file>")
		os.Exit(2)
	}
	page, err := handbook.Page(config.Builtin())
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte(page), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
