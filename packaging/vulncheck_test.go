package packaging_test

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// vulnerable is a database with one vulnerability, in a function that the package signature
// calls.
func vulnerable(t *testing.T, function string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index/db.json":      `{"modified":"2026-01-01T00:00:00Z"}`,
		"index/modules.json": `[{"path":"golang.org/x/text","vulns":[{"id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z"}]}]`,
		"index/vulns.json":   `[{"id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z"}]`,
		"ID/GO-2026-0001.json": `{"schema_version":"1.3.1","id":"GO-2026-0001","modified":"2026-01-01T00:00:00Z","published":"2026-01-01T00:00:00Z",
			"summary":"Made up","details":"Made up.","database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-0001"},"affected":[{"package":{"name":"golang.org/x/text","ecosystem":"Go"},
			"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"golang.org/x/text/unicode/norm","symbols":["` + function + `"]}]}}]}`,
	} {
		write(t, filepath.Join(dir, name), text, 0o644)
	}
	return "file://" + dir
}

// A vulnerability that the code can reach is told from one that it cannot, and either from a
// database that was not there to ask.
func TestVulncheckTellsWhatItKnows(t *testing.T) {
	for name, want := range map[string]struct {
		database, says string
		status         int
	}{
		"reached":     {vulnerable(t, "Form.Bytes"), "GO-2026-0001", 3},
		"not reached": {vulnerable(t, "Iter.Seek"), "No vulnerabilities found", 0},
		"not there":   {"http://127.0.0.1:1", "NOT CHECKED", 75},
	} {
		cmd := exec.CommandContext(t.Context(), ".ci/vulncheck", "./signature")
		cmd.Dir = top
		cmd.Env = append(cmd.Environ(), "GOVULNDB="+want.database, "GOWORK=off")
		out, err := cmd.CombinedOutput()
		status := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			status = exit.ExitCode()
		}
		if status != want.status || !strings.Contains(string(out), want.says) {
			t.Errorf("%s: status %d, want %d and %q:\n%s", name, status, want.status, want.says, out)
		}
	}
}
