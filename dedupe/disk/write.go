package disk

import (
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// write is a change that a caller waits for.
type write struct {
	change
	forget   bool          // remove the ID that the change names, and its content
	found    dedupe.Record // by a Forget
	inFlight bool          // what a Forget found is

	done chan struct{} // receives when it is on the disk, or err says why it is not
	late *time.Timer
	err  error
}

// writes are kept for the next caller, with what it waits on.
var writes = sync.Pool{New: func() any {
	late := time.NewTimer(time.Hour)
	late.Stop()
	return &write{done: make(chan struct{}, 1), late: late}
}}

func newWrite(c change) *write {
	w := writes.Get().(*write)
	*w = write{change: c, done: w.done, late: w.late}
	return w
}
