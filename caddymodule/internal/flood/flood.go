// Package flood keeps log lines from being written faster than anybody reads them.
package flood

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// LinesPerSecond is how many log lines of one kind are written in a second. Anyone can send
// forgeries, an app or a store that is away fails every event, and nobody reads thousands of
// lines that say the same.
const LinesPerSecond = 100

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
	if f.lines == LinesPerSecond {
		f.held++
		return 0, false
	}
	f.lines++
	held, f.held = f.held, 0
	return held, true
}

// Floods are those of one guard or inbox, by kind. The zero value is ready for use.
type Floods struct{ kinds sync.Map }

// Admit returns whether a line of this kind is to be written, and the field that says how
// many before it were not. Kinds come from a closed set.
func (f *Floods) Admit(kind string, now time.Time) (zap.Field, bool) {
	known, ok := f.kinds.Load(kind)
	if !ok {
		known, _ = f.kinds.LoadOrStore(kind, new(flood))
	}
	held, ok := known.(*flood).admit(now)
	if held == 0 {
		return zap.Skip(), ok
	}
	return zap.Int("held_back", held), ok
}

// Log writes a line whose message is its kind, unless too many of it come.
func (f *Floods) Log(logger *zap.Logger, level zapcore.Level, message string, now time.Time, fields ...zap.Field) {
	entry := logger.Check(level, message)
	if entry == nil {
		return
	}
	if held, ok := f.Admit(message, now); ok {
		entry.Write(append(fields, held)...)
	}
}
