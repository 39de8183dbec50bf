// Package dedupe remembers which webhook events are being handled and which are
// finished, so that no event reaches the app twice and none is lost.
//
// An event walks through three states:
//
//	absent --Claim--> in flight --Commit--> done
//	             \--Release or lapsed lease--> absent
//
// A claim belongs to one attempt, named by its [Token], and ends with its lease.
// Only the holder can renew or release it. A commit is not fenced: the app has done
// the work, whoever holds the claim by now. Only [Store.Forget] and the end of its time
// to live undo it.
//
// An event has up to two keys: one of its content and one of its ID. Stores look at
// the content first, then at the ID. No attempt keeps one key while it is refused the
// other, so two events that share only one key cannot block each other for good.
//
// The package knows nothing of HTTP. The stores are packages of their own: memory, disk
// and redis. Every [Store] passes the suite in storetest.
package dedupe

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"iter"
	"time"
)

var (
	// ErrLost is returned by Renew when the claim, or a part of it, has lapsed, was
	// taken over or was finished by another attempt.
	ErrLost = errors.New("claim is lost: its lease lapsed, or the event was finished elsewhere")
	// ErrFull is returned by Claim when a bounded store has no room for a new event.
	ErrFull = errors.New("store is full: raise max_entries, shorten dedupe_ttl or use another store")
	// ErrInFlight is returned by Forget for an event that is being handled right now.
	ErrInFlight = errors.New("event is in flight: try again when it is settled")
	// ErrClosed is returned by every method of a store that has been closed.
	ErrClosed = errors.New("store is closed")

	errNoKey = errors.New("event has neither a content nor an id key")
)

// Key names one event by one of its identities. It is a digest, so neither the size
// nor the content of its source ever matters to a store. The zero Key stands for an
// identity that the event does not have.
type Key [16]byte

// NewKey digests kind (what sort of identity, for instance "id" or "content") and
// parts into a Key. Kind and parts are length-prefixed, so no two different lists run
// together into the same bytes.
//
// The digest is SHA-256 cut to 128 bits. An attacker who can choose parts freely needs
// about 2^64 events to find two with one key, and gains that one of their own events
// counts as a copy of the other. To hit a key that exists takes 2^128 tries. Half the
// digest saves a third of the memory that a stored event takes.
func NewKey(kind string, parts ...[]byte) Key {
	var room [256]byte // most identities are short
	sum := sha256.Sum256(appendParts(room[:0], kind, parts))
	return Key(sum[:len(Key{})])
}

// TextKey is [NewKey] of parts that are text.
func TextKey(kind string, parts ...string) Key {
	var room [256]byte
	sum := sha256.Sum256(appendParts(room[:0], kind, parts))
	return Key(sum[:len(Key{})])
}

// StartKey returns a hash that has taken kind and parts. What is written to it then is
// the last part, of whatever length; [KeyOf] ends it. It is for parts that are large, or
// that are not in memory in one piece.
func StartKey(kind string, parts ...[]byte) hash.Hash {
	h := sha256.New()
	h.Write(appendParts(nil, kind, parts))
	return h
}

func appendParts[T string | []byte](to []byte, kind string, parts []T) []byte {
	to = append(binary.BigEndian.AppendUint64(to, uint64(len(kind))), kind...)
	for _, p := range parts {
		to = append(binary.BigEndian.AppendUint64(to, uint64(len(p))), p...)
	}
	return to
}

// KeyOf returns the key of what a hash of [StartKey] has taken.
func KeyOf(h hash.Hash) Key {
	var sum [sha256.Size]byte
	return Key(h.Sum(sum[:0])[:16])
}

// IsZero reports whether k stands for a missing identity.
func (k Key) IsZero() bool { return k == Key{} }

// String returns k in base64url without padding, 22 characters.
func (k Key) String() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// ParseKey reads what [Key.String] wrote.
func ParseKey(text string) (k Key, err error) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(bytes) != len(k) {
		return Key{}, fmt.Errorf("%q is no key: those have 22 characters of A-Z, a-z, 0-9, - and _", text)
	}
	return Key(bytes), nil
}

// Event is one event under the identities that it has. At least one is not zero.
type Event struct {
	// Content is the key of what makes two deliveries the same. Zero where the ID alone decides.
	Content Key
	// ID is the key of the sender's event or delivery ID. Zero where there is none.
	ID Key
}

// Keys yields the keys that ev has, in the order that every store works in.
func (ev Event) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		if !ev.Content.IsZero() && !yield(ev.Content) {
			return
		}
		if !ev.ID.IsZero() {
			yield(ev.ID)
		}
	}
}

// Token names one attempt to handle an event.
type Token [16]byte

// NewToken returns a random token. It never fails.
func NewToken() Token {
	var t Token
	rand.Read(t[:]) // documented to never return an error
	return t
}

// State is where an event stands.
type State uint8

const (
	// Absent events are unknown, or no longer known.
	Absent State = iota
	// Claimed events are in flight for the attempt that asked.
	Claimed
	// InFlight events are being handled by another attempt.
	InFlight
	// Done events are finished: the app has answered success.
	Done
)

// String returns the state's name as it stands in logs.
func (s State) String() string {
	switch s {
	case Absent:
		return "absent"
	case Claimed:
		return "claimed"
	case InFlight:
		return "in_flight"
	case Done:
		return "done"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

const (
	// MaxReply bounds the content type and the body of a [Reply] together, in bytes.
	MaxReply = 68 << 10
	// MaxIDText bounds the text of an ID in a [Success], in bytes.
	MaxIDText = 128
)

// Reply is what the app said with its success, for senders to whom that is an
// instruction. The zero Reply stands for one that is not remembered.
type Reply struct {
	ContentType string
	Body        string
}

// Success is the app's first success, which finished an event.
type Success struct {
	// Status is the HTTP status.
	Status int
	// Reply is what copies of the event are to get again. It costs room, so it is only
	// given where somebody wants it.
	Reply Reply
	// IDText is the event's ID as logs show it; "" where it has none. It is kept with the
	// content key only: a copy that is recognised by it may come with another ID.
	IDText string
}

// Answer is what a Claim found. The fields beside State are set for Done only.
type Answer struct {
	// State is Claimed, InFlight or Done.
	State State
	// Status is the HTTP status of the app's first success.
	Status int
	// Reply is what the app said with it, where that was given to Commit.
	Reply Reply
	// ByContent: the content key was found, not the ID.
	ByContent bool
	// IDText is the ID of the event that was found by its content, where that was given to
	// Commit.
	IDText string
	// Conflict: the ID was found, but it was finished with other content.
	Conflict bool
}

// Record is what a store knows of one key.
type Record struct {
	// State is Absent, InFlight or Done. It is never Claimed, as a look-up has no token.
	State State
	// Status is the HTTP status of the first success. Zero unless Done.
	Status int
	// Reply is what the app said with it, where that was given to Commit.
	Reply Reply
	// Content is the content key that an ID was finished with. Zero unless Done, and
	// zero for content keys themselves.
	Content Key
	// IDText is the ID that a content key was finished with, where that was given to
	// Commit.
	IDText string
	// TTL is what is left of the lease, or of the time to live.
	TTL time.Duration
}

// Answer returns the answer to a claim on ev that met r: under the content key of ev, or
// under its ID.
func (r Record) Answer(ev Event, byContent bool) Answer {
	if r.State != Done {
		return Answer{State: InFlight}
	}
	// Only an ID's record has a content, so what is found by content never conflicts.
	known := !r.Content.IsZero() && !ev.Content.IsZero()
	return Answer{
		State:     Done,
		Status:    r.Status,
		Reply:     r.Reply,
		ByContent: byContent,
		IDText:    r.IDText,
		Conflict:  known && r.Content != ev.Content,
	}
}

// Store keeps claims and finished events. Its methods are safe for concurrent use, by
// many gateways where the store is shared. All may be repeated after an error: a repeated
// call does no harm, whether or not the first one took effect.
//
// Errors need not name the store or the method; the caller adds both. A store may also be
// a [Warner].
//
// Leases and times to live must be positive; stores may round them up to a
// millisecond. A context that ends early is an error, and leaves open whether the
// call took effect.
type Store interface {
	// Claim takes ev for the attempt t until lease has passed. A content key that is
	// finished or held by another attempt decides before the ID is looked at. An event
	// that is a duplicate by content does not mark the ID that it came with. Claimed again
	// under the same token, ev stays claimed, with a new lease. Bounded stores return
	// ErrFull.
	Claim(ctx context.Context, ev Event, t Token, lease time.Duration) (Answer, error)

	// Renew gives the claim of t on ev a new lease, counted from now. It returns
	// ErrLost when t no longer holds every key of ev, and then renews none. It never
	// revives a claim that has lapsed.
	Renew(ctx context.Context, ev Event, t Token, lease time.Duration) error

	// Commit marks ev as finished with the given success, for ttl. Its status has three
	// digits. It overwrites claims, whoever holds them. Keys that are finished already
	// keep their status, reply, content and ID's text, and their time to live is only ever
	// lengthened.
	Commit(ctx context.Context, ev Event, success Success, ttl time.Duration) error

	// Release ends what t holds of ev, at once. To hold nothing is not an error.
	Release(ctx context.Context, ev Event, t Token) error

	// Lookup returns what is known of k. An unknown key is Absent, not an error.
	Lookup(ctx context.Context, k Key) (Record, error)

	// Forget removes the finished record of id and the content key that it names, so
	// that the event is let through again, and returns the record. It returns
	// ErrInFlight, and removes nothing, while either of the two is in flight. An
	// unknown ID is Absent, not an error.
	Forget(ctx context.Context, id Key) (Record, error)

	// Close closes what the store holds open; later calls return ErrClosed. It does not
	// wait for calls that are under way.
	Close() error
}

// Warner is implemented by stores that can check how their server is set up. The gateway
// asks once it has started, and logs what it gets.
type Warner interface {
	// Warnings returns a sentence for each setting under which the store may lose claims
	// or finished events, with its fix. It fails only where the server does not answer.
	Warnings(ctx context.Context) ([]string, error)
}

// Gatherer is implemented by stores in which the commit of an event that is safe elsewhere
// need not be waited for, and which better carry several out together. It is for stores that
// nobody shares and that have no failover: elsewhere others wait for a commit, and a failover
// may lose the event and not its commit.
type Gatherer interface {
	// GatherFor is how long such commits are gathered.
	GatherFor() time.Duration
}

// The checks below are for authors of stores: what they refuse no store can keep.

// CheckClaim checks the arguments of Claim and Renew. A lease of zero would be no claim.
func CheckClaim(ev Event, lease time.Duration) error {
	if lease <= 0 {
		return fmt.Errorf("lease is %s: it must be positive", lease)
	}
	return CheckEvent(ev)
}

// CheckCommit checks the arguments of Commit. Stores parse records by the three digits of
// a status.
func CheckCommit(ev Event, success Success, ttl time.Duration) error {
	if success.Status < 100 || success.Status > 999 {
		return fmt.Errorf("status is %d: it must have three digits", success.Status)
	}
	if size := len(success.Reply.ContentType) + len(success.Reply.Body); size > MaxReply {
		return fmt.Errorf("reply has %d bytes: it must not have more than %d", size, MaxReply)
	}
	if size := len(success.IDText); size > MaxIDText {
		return fmt.Errorf("text of the id has %d bytes: it must not have more than %d", size, MaxIDText)
	}
	if ttl <= 0 {
		return fmt.Errorf("time to live is %s: it must be positive", ttl)
	}
	return CheckEvent(ev)
}

// CheckEvent refuses an event without a key.
func CheckEvent(ev Event) error {
	if ev.Content.IsZero() && ev.ID.IsZero() {
		return errNoKey
	}
	return nil
}

// Pack returns r in one piece, for stores to keep: "" for the zero Reply, else the length
// of the content type (4 bytes, big-endian), the content type and the body.
func (r Reply) Pack() string {
	if r == (Reply{}) {
		return ""
	}
	size := binary.BigEndian.AppendUint32(make([]byte, 0, 4), uint32(len(r.ContentType)))
	return string(size) + r.ContentType + r.Body
}

// UnpackReply reads what Pack made. It returns false for anything else.
func UnpackReply(packed string) (r Reply, ok bool) {
	if packed == "" {
		return Reply{}, true
	}
	if len(packed) <= 4 || len(packed) > 4+MaxReply {
		return Reply{}, false
	}
	size, rest := binary.BigEndian.Uint32([]byte(packed[:4])), packed[4:]
	if uint64(size) > uint64(len(rest)) {
		return Reply{}, false
	}
	return Reply{ContentType: rest[:size], Body: rest[size:]}, true
}

// Millis returns d in milliseconds, rounded up, so that what is positive stays so.
func Millis(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
