package testbed

import (
	"bytes"
	"strings"
	"sync"
)

// output collects what a process prints. It may be read while it is written.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed and replaced at every write
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

// Write never fails: a process must not be stopped by its captured output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(p), nil
}

// String returns everything printed so far.
func (o *output) String() string {
	text, _ := o.snapshot()
	return text
}

// snapshot returns everything printed so far, and a channel that closes when
// there is more.
func (o *output) snapshot() (text string, more <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.changed
}

// linesWith returns the complete lines that begin with the prefix.
func (o *output) linesWith(prefix string) []string {
	var found []string
	lines := strings.Split(o.String(), "\n")
	for _, line := range lines[:len(lines)-1] {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimRight(line, "\r"))
		}
	}
	return found
}
