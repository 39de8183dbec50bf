//go:build full

package programs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// installed is the path of a program that `make deps-full` installs. Without it the test
// fails: a program that is missing has shown nothing.
func installed(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps-full`", name)
	}
	return path
}

// goIn runs `go` in a folder of .ci/programs, whose module names a program and its version,
// and returns what it prints.
func goIn(t *testing.T, module string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = filepath.Join("..", "..", ".ci", "programs", module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s for %s: %v; `make deps-full` builds it\n%s", args[0], module, err, errs.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// built is the path of a program that is built from a module. Go keeps it in its cache.
func built(t *testing.T, module, command string) string {
	t.Helper()
	return goIn(t, module, "tool", "-n", command)
}

// write puts a file into a folder.
func write(t *testing.T, dir, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// api is a program's own interface.
type api struct {
	t      *testing.T
	url    string
	client *http.Client
	sign   func(*http.Request) // says who calls
}

// call sends JSON, or nothing where in is nil, and fails the test unless the answer is a
// success. It reads the answer into out, where that is not nil.
func (a api) call(method, path string, in, out any) {
	a.t.Helper()
	body := []byte(nil)
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			a.t.Fatal(err)
		}
	}
	answer := a.send(method, path, "application/json", body)
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer, out); err != nil {
		a.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
	}
}

// send sends a body and returns the answer's, which must be a success.
func (a api) send(method, path, contentType string, body []byte) []byte {
	a.t.Helper()
	status, answer, err := a.try(method, path, contentType, body)
	if err != nil || status >= http.StatusBadRequest {
		a.t.Fatalf("%s %s: %d %v: %s", method, path, status, err, answer)
	}
	return answer
}

func (a api) try(method, path, contentType string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequest(method, a.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", contentType)
	if a.sign != nil {
		a.sign(req)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// newAPI waits until a program answers at a path of its interface.
func newAPI(t *testing.T, p *testbed.Process, port int, ready string) api {
	t.Helper()
	a := api{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port), client: &http.Client{Timeout: patience}}
	ended := false
	up := func() bool {
		select {
		case <-p.Exited():
			ended = true
			return true
		default:
		}
		status, _, err := a.try(http.MethodGet, ready, "", nil)
		return err == nil && status == http.StatusOK
	}
	testbed.Eventually(t, patience, up, "the program's own interface")
	if ended {
		t.Fatalf("the program ended:\n%s", p.Output())
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the program printed:\n%s", p.Output())
		}
	})
	return a
}
