package chaos

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestTableHasAColumnForEachTopology(t *testing.T) {
	t.Parallel()
	table := Table([]Result{
		{Config: Config{Topology: "disk", Seed: 7, Duration: time.Minute}, Events: 10, Faults: map[string]int{"gateway killed": 3}},
		{Config: Config{Topology: "single", Seed: 7, Duration: time.Minute}, Events: 20, HandledTwice: 2, Repeats: map[string]int{causeKill: 2}},
	})
	for _, row := range []string{
		"|  | disk | single |\n| --- | ---: | ---: |\n",
		"| seed | 7 | 7 |\n",
		"| events | 10 | 20 |\n",
		"| fault: gateway killed | 3 | 0 |\n",
		"| because " + causeKill + " | 0 | 2 |\n",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("no row %q in\n%s", row, table)
		}
	}
}

func TestWriteReplacesTheTableAndNothingElse(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("before\n" + beginMark + "old\n" + endMark + "after\n")
	for range 2 {
		if err := Write(path, "| new |\n"); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before\n" + beginMark + "\n| new |\n\n" + endMark + "after\n"; string(got) != want {
			t.Errorf("the document is\n%s\nwant\n%s", got, want)
		}
	}
	for _, text := range []string{"nothing", beginMark, endMark + beginMark} {
		write(text)
		if err := Write(path, "| new |\n"); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q was accepted: %v", text, err)
		}
	}
	if err := Write(path+".none", ""); err == nil {
		t.Error("a missing document was accepted")
	}
}
