package interop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// callLimit is how long an SDK may take: the first call also loads it.
const callLimit = 3 * time.Minute

// call is a request to an SDK.
type call struct {
	N       int               `json:"n"`
	Op      string            `json:"op"`
	SDK     string            `json:"sdk"`
	Body    []byte            `json:"body"`
	Headers map[string]string `json:"headers"`
	Secret  string            `json:"secret"`
	Keys    string            `json:"keys"` // what the SDK verifies with
	URL     string            `json:"url"`
	Method  string            `json:"method"`
	ID      string            `json:"id"`
	Time    time.Time         `json:"time"`
}

// reply is an SDK's result.
type reply struct {
	N int `json:"n"`

	Signs    bool `json:"signs"`
	Verifies bool `json:"verifies"`

	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`

	Valid bool   `json:"valid"`
	Why   string `json:"why"`
	Event event  `json:"event"`

	Error   string `json:"error"`
	Missing bool   `json:"missing"`
}

// event is what an SDK reads of an event, where it reads it.
type event struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// sdks is a process that holds SDKs. There is one for each language in the whole test
// process; it ends when its standard input closes, so with the latter.
type sdks struct {
	mu      sync.Mutex
	in      io.Writer
	last    int
	waiting map[int]chan reply
	ended   error // why no reply will come any more
}

// startNode starts the process with the SDKs for Node.js, and startGo the one with those
// for Go.
var (
	startNode = sync.OnceValues(func() (*sdks, error) {
		if _, err := exec.LookPath("node"); err != nil {
			return nil, fmt.Errorf("node is not installed: run `%s`", makeDeps)
		}
		cmd := exec.Command("node", append([]string{"sdk.js"}, sdkArgs...)...)
		cmd.Dir = "sdk"
		return start(cmd)
	})
	startGo = sync.OnceValues(func() (*sdks, error) {
		binary, err := filepath.Abs("../../bin/testbed/interop-sdk")
		if err != nil {
			return nil, err
		}
		build := exec.Command("go", "build", "-o", binary, ".")
		build.Dir = "sdk/golang"
		build.Env = append(build.Environ(), "GOWORK=off") // a module of its own
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the SDKs for Go: %w\n%s", err, out)
		}
		return start(exec.Command(binary))
	})
)

func start(cmd *exec.Cmd) (*sdks, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	s := &sdks{in: in, waiting: make(map[int]chan reply)}
	go s.read(out, cmd.Wait)
	return s, nil
}

// read dispatches the replies until the process ends.
func (s *sdks) read(out io.Reader, wait func() error) {
	lines := bufio.NewReader(out)
	var failed error
	for failed == nil {
		var line []byte
		if line, failed = lines.ReadBytes('\n'); failed != nil {
			break
		}
		var r reply
		if failed = json.Unmarshal(line, &r); failed != nil {
			break
		}
		s.mu.Lock()
		waiting := s.waiting[r.N]
		delete(s.waiting, r.N)
		s.mu.Unlock()
		if waiting != nil {
			waiting <- r
		}
	}
	if errors.Is(failed, io.EOF) {
		failed = wait()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = fmt.Errorf("the SDKs' process has ended: %w", errors.Join(failed))
	for n, waiting := range s.waiting {
		waiting <- reply{N: n, Error: s.ended.Error()}
	}
	clear(s.waiting)
}

func (s *sdks) send(c call) (<-chan reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return nil, s.ended
	}
	s.last++
	c.N = s.last
	if c.Headers == nil {
		c.Headers = map[string]string{}
	}
	line, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		return nil, fmt.Errorf("asking an SDK: %w", err)
	}
	answer := make(chan reply, 1)
	s.waiting[c.N] = answer
	return answer, nil
}

// ask calls an SDK and waits for its reply.
func ask(t *testing.T, c call) reply {
	t.Helper()
	start := startNode
	if strings.HasPrefix(c.SDK, "github.com/") {
		start = startGo
	}
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := s.send(c)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case r := <-answer:
		switch {
		case r.Missing:
			t.Fatalf("%s is not installed: run `%s`\n%s", c.SDK, makeDeps, r.Error)
		case r.Error != "":
			t.Fatalf("%s: %s: %s", c.SDK, c.Op, r.Error)
		}
		return r
	case <-time.After(callLimit):
		t.Fatalf("%s: %s: no reply after %v", c.SDK, c.Op, callLimit)
		return reply{}
	}
}

// nodeHeaders are headers in the form of Node.js.
func nodeHeaders(header http.Header) map[string]string {
	flat := make(map[string]string, len(header))
	for name, values := range header {
		flat[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return flat
}
