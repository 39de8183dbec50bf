package signature

import (
	"fmt"
	"time"
)

// Verdict is what a verified request proved.
type Verdict struct {
	// Secret is the index of the secret that matched.
	Secret int
	// Time is the stamp, EventTime the event's own; zero where there is none.
	Time, EventTime time.Time
	// Parts are the stamp's text, the ID and nonce of the signature header or
	// of what is signed, and the claims of a token, for [Source.Read].
	Parts Parts

	content  int // which of the scheme's contents matched
	spelling int // of the URL: 0 is as given, the others are those of urlUse.spellings
}

// Reason says in one word why a request was refused. The words are the
// results that users see.
type Reason string

// The reasons that this package gives.
const (
	SignatureMissing   Reason = "signature_missing"
	SignatureMalformed Reason = "signature_malformed"
	SignatureInvalid   Reason = "signature_invalid"
	TimestampMissing   Reason = "timestamp_missing"
	TimestampMalformed Reason = "timestamp_malformed"
	TimestampStale     Reason = "timestamp_stale"
	TimestampFuture    Reason = "timestamp_future"
	EventExpired       Reason = "event_expired"
)

// Error is a refusal. Detail is for logs: it names headers, sources and
// counts, and never holds a signature, a secret or a part of the body.
type Error struct {
	Reason Reason
	Detail string

	// OtherKey means that a key which is not in the set yet could have signed the request.
	// KeyNamed means that it is one by an ID that no key of the set has.
	OtherKey, KeyNamed bool
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Reason)
	}
	return string(e.Reason) + ": " + e.Detail
}

func refuse(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
