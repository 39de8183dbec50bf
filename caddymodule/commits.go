package caddymodule

import (
	"context"
	"sync"
	"time"
)

// commits are those of one store that nobody waits for: their events are safe in an inbox.
type commits struct {
	gatherFor time.Duration // 0: the store gathers none

	mu       sync.Mutex
	gathered []finishing
}

// add has a commit carried out soon. It must be called by a user of the store.
func (c *commits) add(store *sharedStore, f finishing) {
	c.mu.Lock()
	c.gathered = append(c.gathered, f)
	first := len(c.gathered) == 1
	c.mu.Unlock()
	if first {
		store.background(c.carryOut)
	}
}

// carryOut waits for more, and carries out what there is. At the exit of the process it does
// so at once.
func (c *commits) carryOut(ctx context.Context) {
	pause, end := context.WithTimeout(ctx, c.gatherFor)
	defer end()
	<-pause.Done()
	c.mu.Lock()
	gathered := c.gathered
	c.gathered = nil
	c.mu.Unlock()
	var all sync.WaitGroup
	for _, f := range gathered {
		all.Go(func() { f.record(context.WithoutCancel(ctx)) })
	}
	all.Wait()
}
