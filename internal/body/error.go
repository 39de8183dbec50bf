package body

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Kind is the reason why a body could not be held.
type Kind int

// The kinds of [Error].
const (
	TooLarge Kind = iota + 1
	TimedOut
	NoRoom
	Unreadable
)

// Error reports why a body could not be held. Its text names sizes and limits, and never
// contains any of the body.
type Error struct {
	Kind  Kind
	cause error
}

func (e *Error) Error() string { return e.cause.Error() }
func (e *Error) Unwrap() error { return e.cause }

func failed(kind Kind, format string, args ...any) *Error {
	return &Error{kind, fmt.Errorf(format, args...)}
}

var (
	errTooLarge          = errors.New("too large")
	errMoreThanAnnounced = errors.New("more bytes than were announced")
)

// explain turns an error of reading into one that names the limit.
func explain(err error, limit int64, timeout time.Duration) *Error {
	var tooLarge *http.MaxBytesError // of request_body's max_size, or the like
	switch {
	case errors.As(err, &tooLarge):
		return failed(TooLarge, "the body has more than %d bytes", tooLarge.Limit)
	case errors.Is(err, errTooLarge):
		return failed(TooLarge, "the body has more bytes than max_body, %d", limit)
	case errors.Is(err, errOverBudget):
		return &Error{NoRoom, err}
	case errors.Is(err, errEvicted):
		return &Error{TimedOut, err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return failed(TimedOut, "the body took longer than body_timeout, %s", timeout)
	}
	return failed(Unreadable, "reading the body: %w", err)
}
