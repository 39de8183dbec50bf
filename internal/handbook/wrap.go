package handbook

import "strings"

// pageWidth is the longest line of prose, in bytes.
const pageWidth = 156

// wrapProse breaks the page's long lines. Tables, headings and blocks of code stay.
func wrapProse(page string) string {
	var out strings.Builder
	inCode := false
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "```") {
			inCode = !inCode
		}
		if inCode || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "#") {
			out.WriteString(line)
			continue
		}
		indent := ""
		if strings.HasPrefix(line, "- ") {
			indent = "  "
		}
		for len(strings.TrimRight(line, "\n")) > pageWidth {
			end := strings.LastIndexByte(line[:pageWidth+1], ' ')
			if end <= len(indent) {
				break // one long word
			}
			out.WriteString(line[:end] + "\n")
			line = indent + line[end+1:]
		}
		out.WriteString(line)
	}
	return out.String()
}
