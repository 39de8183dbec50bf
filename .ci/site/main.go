// The program site makes HTML pages of the repository's documents, without scripts:
//
//	go -C .ci/site run . <the repository> <a directory for the pages>
//
// It is a module of its own, so that users of the product do not get what it needs.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: site <the repository> <a directory for the pages>")
		os.Exit(2)
	}
	pages, err := build(os.DirFS(os.Args[1]))
	if err == nil {
		err = write(os.Args[2], pages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "site:", err)
		os.Exit(1)
	}
	fmt.Printf("%d files in %s\n", len(pages), os.Args[2])
}
