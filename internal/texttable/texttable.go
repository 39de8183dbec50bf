// Package texttable writes tables that fit the width of a terminal.
package texttable

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Column is one column of a table whose rows are each a T.
type Column[T any] struct {
	Title string

	// Width is how many characters a cell has at most; a longer one is cut off and ends
	// with an ellipsis. 0 never cuts: the column is as wide as its longest cell.
	Width int

	// From is the narrowest table that has the column. Default: every table has it.
	From int

	Cell func(T) string
}

// Write writes a line of titles and one line for each row. A table of the given width
// leaves columns out and cuts cells off as they say. With a width of 0 it does neither.
func Write[T any](w io.Writer, columns []Column[T], rows []T, width int) error {
	lines := make([]strings.Builder, 1+len(rows))
	for _, c := range columns {
		if width > 0 && c.From > width {
			continue
		}
		cells := []string{c.Title}
		for _, row := range rows {
			cells = append(cells, c.Cell(row))
		}
		wide := c.Width
		if width == 0 || c.Width == 0 {
			wide = longest(cells)
		}
		for i, cell := range cells {
			if lines[i].Len() > 0 {
				lines[i].WriteByte(' ')
			}
			lines[i].WriteString(fit(cell, wide))
		}
	}
	for i := range lines {
		if _, err := io.WriteString(w, strings.TrimRight(lines[i].String(), " ")+"\n"); err != nil {
			return err
		}
	}
	return nil
}

func longest(cells []string) (n int) {
	for _, cell := range cells {
		n = max(n, utf8.RuneCountInString(cell))
	}
	return n
}

// fit pads a text or cuts it off.
func fit(text string, width int) string {
	if n := utf8.RuneCountInString(text); n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	return string([]rune(text)[:width-1]) + "…"
}
