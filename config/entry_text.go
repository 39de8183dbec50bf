package config

import (
	"fmt"
	"strings"
)

// EntryText returns the file of a built-in provider in two parts: its comment,
// and its lines as they are in the catalogue.
func EntryText(name string) (comment, lines string, err error) {
	text, err := catalogueFiles.ReadFile("providers/" + name + ".caddyfile")
	if err != nil {
		return "", "", fmt.Errorf("no built-in provider is called %q", name)
	}
	comment, lines = SplitEntry(string(text))
	return comment, lines, nil
}

// SplitEntry separates an entry's comment, without its # signs, from its lines. A
// blank line in the comment separates paragraphs. Blank lines between lines are
// dropped.
func SplitEntry(text string) (comment, lines string) {
	var said, rest []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch words, ok := strings.CutPrefix(line, "#"); {
		case ok && len(rest) == 0:
			said = append(said, strings.TrimSpace(words))
		case line != "":
			rest = append(rest, line)
		}
	}
	return strings.TrimSpace(strings.Join(said, "\n")), strings.Join(rest, "\n") + "\n"
}
