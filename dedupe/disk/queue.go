package disk

import (
	"sync"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// queue has the writes that wait for the writer, and says whether the disk took the last.
type queue struct {
	wake  chan struct{} // receives when there is something to do
	taken []*write      // by the last take; kept for its memory

	// mu guards what follows. No other lock is taken under it.
	mu      sync.Mutex
	waiting []*write
	unsaved []*write // commits of the last batch that failed
	failure error    // why the last batch failed; nil after one that did not
	closed  bool
}

func (q *queue) add(c *write) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return dedupe.ErrClosed
	}
	q.waiting = append(q.waiting, c)
	q.mu.Unlock()
	q.signal()
	return nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // the writer is awake already
	}
}

// take returns the writes of a round. After a failure, where it may retry, these are those
// that failed first: they are the best probe of whether the disk takes such writes by now.
func (q *queue) take(mayRetry bool) (queued []*write, closed, retry bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	queued = q.waiting
	q.waiting, q.taken = q.taken[:0], queued
	if retry = mayRetry && q.failure != nil; retry {
		queued = append(q.unsaved, queued...)
	}
	return queued, q.closed, retry
}

// lastFailure returns why the disk takes no writes, or nil.
func (q *queue) lastFailure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.failure
}

// fail notes why the disk takes no writes, until it takes one.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failure = err
}

// settle notes the result of a batch, and its commits if it failed.
func (q *queue) settle(err error, unsaved []*write) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.failure, q.unsaved = err, unsaved
}

// close refuses further writes. The writer ends once it has carried out what is queued. It
// reports whether it is the first call.
func (q *queue) close() (first bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first = !q.closed
	q.closed = true
	q.signal()
	return first
}
