package report

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Update puts tables into a document, each between the lines
//
//	<!-- bench:<name> -->
//	<!-- /bench:<name> -->
//
// and leaves everything else as it is, tables that are not given too.
func Update(path string, tables map[string]string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	updated := string(text)
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		if updated, err = replaceBetween(updated, name, tables[name]); err != nil {
			return fmt.Errorf("report: %s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, []byte(updated), 0o644); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

func replaceBetween(text, name, table string) (string, error) {
	begin, end := "<!-- bench:"+name+" -->\n", "<!-- /bench:"+name+" -->\n"
	before, rest, ok := strings.Cut(text, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("the document has no place for the table %s: add the lines %sand %s", name, begin, end)
	}
	return before + begin + "\n" + strings.TrimRight(table, "\n") + "\n\n" + end + after, nil
}
