package caddymodule

import (
	"context"
	"sync"
)

// work counts the guard's work in progress over all stores: requests, and what
// goes on after their sender has hung up or got its answer.
var work workGroup

// workGroup is a sync.WaitGroup that one can stop waiting for, and that may be
// added to while somebody waits.
type workGroup struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n falls to 0; nil while nobody waits
}

func (g *workGroup) Add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.n += n
	if g.n == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *workGroup) Done() { g.Add(-1) }

// Wait returns when there is no work, or the context ends: then false.
func (g *workGroup) Wait(ctx context.Context) bool {
	g.mu.Lock()
	if g.n == 0 {
		g.mu.Unlock()
		return true
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return true
	case <-ctx.Done():
		return false
	}
}
