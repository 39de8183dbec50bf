package inbox

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

const (
	// MaxName bounds the name of an inbox, in bytes.
	MaxName = 128
	// MaxText bounds the scope, ID and type of an event and the error of an attempt.
	MaxText = 1024
	// MaxReason bounds the reason of a dead event.
	MaxReason = 64
	// MaxHead bounds what is remembered of an answer's body.
	MaxHead = 512
	// MaxAttempts bounds the attempts that are remembered of an event.
	MaxAttempts = 10
	// RateMinutes is how many minutes Status.Finished is about.
	RateMinutes = 60
	// MaxKeys bounds the keys of one Replay or Delete.
	MaxKeys = 500
)

// The checks below are for authors of stores: what they refuse no store can keep.

// CheckName checks the name of an inbox.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("the inbox has no name")
	case len(name) > MaxName:
		return fmt.Errorf("the inbox's name has %d bytes: it must not have more than %d", len(name), MaxName)
	case !utf8.ValidString(name):
		return errors.New("the inbox's name is not UTF-8")
	}
	for _, r := range name {
		if r < ' ' || r == '{' || r == '}' || r == 0x7f {
			return fmt.Errorf("the inbox's name holds %q: braces and control characters are not allowed", r)
		}
	}
	return nil
}

// CheckEvent checks the argument of Put.
func CheckEvent(ev Event) error {
	if err := CheckKey(ev.Key); err != nil {
		return err
	}
	if size := max(len(ev.Scope), len(ev.ID), len(ev.Type)); size > MaxText {
		return fmt.Errorf("a text of the event has %d bytes: it must not have more than %d", size, MaxText)
	}
	if len(ev.Envelope) == 0 {
		return errors.New("the event has no envelope")
	}
	return nil
}

// CheckKey refuses the zero Key.
func CheckKey(k Key) error {
	if k == (Key{}) {
		return errors.New("the event has no key")
	}
	return nil
}

// CheckKeys checks the keys of Replay and Delete.
func CheckKeys(keys []Key) error {
	if len(keys) > MaxKeys {
		return fmt.Errorf("there are %d keys: one step takes %d", len(keys), MaxKeys)
	}
	return nil
}

// CheckLease checks a lease. One of less than a millisecond would be none.
func CheckLease(lease time.Duration) error {
	if lease < time.Millisecond {
		return fmt.Errorf("lease is %s: it must be a millisecond at least", lease)
	}
	return nil
}

// CheckSettlement checks a settlement, and returns it as it is to be kept: with its texts
// cut to their bounds.
func CheckSettlement(s Settlement) (Settlement, error) {
	switch s.Outcome {
	case Success:
		s.Delay, s.Reason = 0, ""
	case Retry:
		s.Reason = ""
	case GiveUp, Postpone:
		if s.Outcome == GiveUp {
			s.Delay = 0
		} else {
			s.Attempt = Attempt{}
		}
		if s.Reason == "" || len(s.Reason) > MaxReason {
			return s, fmt.Errorf("the reason has %d bytes: it must have 1 to %d", len(s.Reason), MaxReason)
		}
	default:
		return s, fmt.Errorf("outcome(%d) is none", s.Outcome)
	}
	if s.Delay < 0 {
		return s, fmt.Errorf("delay is %s: it must not be negative", s.Delay)
	}
	if status := s.Attempt.Status; status != 0 && (status < 100 || status > 999) {
		return s, fmt.Errorf("status is %d: it must have three digits", status)
	}
	a := &s.Attempt
	a.Error = a.Error[:min(len(a.Error), MaxText)]
	a.Head = a.Head[:min(len(a.Head), MaxHead)]
	a.At = a.At.Truncate(time.Millisecond)
	a.Took = max(0, a.Took.Truncate(time.Millisecond))
	return s, nil
}

// Remember returns the attempts that are kept when one more has ended.
func Remember(attempts []Attempt, a Attempt) []Attempt {
	attempts = append(attempts, a)
	return attempts[max(0, len(attempts)-MaxAttempts):]
}
