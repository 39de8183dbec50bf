package caddymodule

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// linesPerSecond is how many log lines of one kind a guard writes in a second. Anyone can
// send forgeries, and nobody reads thousands of lines that say the same.
const linesPerSecond = 100

// flood counts the log lines of one kind in the current second.
type flood struct {
	mu          sync.Mutex
	second      int64
	lines, held int
}

// admit returns whether one more line is to be written, and how many were held back since
// the last one.
func (f *flood) admit(now time.Time) (held int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if second := now.Unix(); second != f.second {
		f.second, f.lines = second, 0
	}
	if f.lines == linesPerSecond {
		f.held++
		return 0, false
	}
	f.lines++
	held, f.held = f.held, 0
	return held, true
}

// floods are the floods of a guard, by kind.
type floods struct{ kinds labelled[*flood] }

// admit returns whether a line of this kind is to be written, and the field that says how
// many before it were not.
func (f *floods) admit(kind string, now time.Time) (zap.Field, bool) {
	held, ok := f.kinds.get(kind, func(string) *flood { return &flood{} }).admit(now)
	if held == 0 {
		return zap.Skip(), ok
	}
	return zap.Int("held_back", held), ok
}
