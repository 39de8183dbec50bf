//go:build linux

package main

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// scope is a testing.TB outside of tests, for what the testbed starts: fatal errors
// end the scope, and its clean-up is done when it ends.
type scope struct {
	testing.TB // nil: what is not overridden here is not to be called
	mu         sync.Mutex
	cleanups   []func()
	failed     bool
}

// aborted is what Fatalf panics with.
type aborted struct{ message string }

// inScope runs something and cleans up after it. An error is what Fatalf was called
// with.
func inScope(do func(testing.TB)) (err error) {
	s := &scope{}
	defer s.cleanUp()
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case aborted:
			err = fmt.Errorf("%s", cause.message)
		default:
			panic(cause)
		}
	}()
	do(s)
	return nil
}

func (s *scope) cleanUp() {
	for len(s.cleanups) > 0 {
		last := s.cleanups[len(s.cleanups)-1]
		s.cleanups = s.cleanups[:len(s.cleanups)-1]
		last()
	}
}

func (s *scope) Helper()      {}
func (s *scope) Failed() bool { return s.failed }

func (s *scope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *scope) TempDir() string {
	dir, err := os.MkdirTemp("", "webhook-guard-bench")
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func (s *scope) Logf(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func (s *scope) Errorf(format string, args ...any) {
	s.failed = true
	s.Logf(format, args...)
}

func (s *scope) Fatalf(format string, args ...any) {
	s.failed = true
	panic(aborted{fmt.Sprintf(format, args...)})
}

func (s *scope) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }
