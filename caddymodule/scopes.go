package caddymodule

import (
	"slices"
	"sync"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/scope"
)

// guardedScopes are the scopes of a configuration's guards, for the admin API.
type guardedScopes struct {
	mu   sync.Mutex
	byID map[string]bool // scope line → copies are recognised by ID alone
}

// add adds the scope of one guard. Guards may share one.
func (s *guardedScopes) add(line string, byID bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = make(map[string]bool)
	}
	if before, shared := s.byID[line]; shared {
		byID = byID && before
	}
	s.byID[line] = byID
}

// find reports whether a guard can have events in the scope, and whether their copies
// are recognised by ID alone.
func (s *guardedScopes) find(name string) (known, byID bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID = true
	for line, alone := range s.byID {
		if scope.Matches(line, name) {
			known, byID = true, byID && alone
		}
	}
	return known, known && byID
}

// lines lists the scopes as the configuration has them.
func (s *guardedScopes) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for line := range s.byID {
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}
