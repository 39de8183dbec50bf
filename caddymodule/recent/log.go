// Package recent remembers what a process has seen lately, in memory that is bounded and made
// once: the last refusals and deliveries of its guards, and what their verified requests show.
// It is what a page can list without a store.
package recent

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/texts"
)

// perResult is how many entries of each result a log keeps. Each has places of its own, so
// that a flood of one result leaves the others where they are.
const perResult = 100

// Entry is one refusal or one delivery. What does not apply to it is empty.
type Entry struct {
	At time.Time
	// Result is the word of the header Webhook-Guard, Reason why a request was refused or why
	// the app failed.
	Result, Reason  string
	Provider, Scope string
	// ID and Event are the event's, where it was named.
	ID, Event string
	// ClientIP, Host and Path say where a request came from and went to. RequestID is
	// Caddy's, where something has asked for one.
	ClientIP, Host, Path, RequestID string
	// Status is that of the app's answer; 0 where there was none.
	Status int
	// Took is how long the app worked.
	Took time.Duration
}

// Filter says which entries are meant: those that match all of its fields that are not zero.
type Filter struct {
	Result, Provider, Scope, ID string
	// Since and Until bound the time; an entry at Until does not match.
	Since, Until time.Time
}

func (f Filter) match(e *Entry) bool {
	return (f.Provider == "" || f.Provider == e.Provider) &&
		(f.Scope == "" || f.Scope == e.Scope) &&
		(f.ID == "" || f.ID == e.ID) &&
		(f.Since.IsZero() || !e.At.Before(f.Since)) &&
		(f.Until.IsZero() || e.At.Before(f.Until))
}

// Count is how many entries of a result there were.
type Count struct {
	Result string
	Total  uint64
}

// Log has the last entries of each result. The zero Log is ready for use, and safe for
// concurrent use. An entry costs no allocation, but for the first one of its result, which
// makes the places of all that follow: some 120 KB.
type Log struct {
	mu    sync.Mutex
	rings map[string]*ring
}

// ring has the last entries of one result.
type ring struct {
	slots [perResult]slot
	total uint64
}

// Add remembers an entry. It copies the texts, and cuts those that are long.
func (l *Log) Add(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rings[e.Result]
	if r == nil {
		if l.rings == nil {
			l.rings = make(map[string]*ring)
		}
		r = new(ring)
		l.rings[strings.Clone(e.Result)] = r
	}
	r.slots[r.total%perResult].fill(&e)
	r.total++
}

// Last returns the entries that match, up to limit of them, newest first.
func (l *Log) Last(f Filter, limit int) []Entry {
	var found []Entry
	for _, c := range l.Counts() {
		if f.Result != "" && f.Result != c.Result {
			continue
		}
		for _, s := range l.copied(c.Result) {
			if e := s.entry(c.Result); f.match(&e) {
				found = append(found, e)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Entry) int { return b.At.Compare(a.At) })
	return found[:min(len(found), max(0, limit))]
}

// copied returns the entries of a result, newest first, so that their texts are made while
// others are added.
func (l *Log) copied(result string) []slot {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rings[result]
	if r == nil {
		return nil
	}
	slots := make([]slot, 0, perResult)
	for back := uint64(1); back <= min(r.total, perResult); back++ {
		slots = append(slots, r.slots[(r.total-back)%perResult])
	}
	return slots
}

// Counts returns how many entries there were of each result since the log was cleared, most
// first.
func (l *Log) Counts() (counts []Count) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for result, r := range l.rings {
		counts = append(counts, Count{result, r.total})
	}
	slices.SortFunc(counts, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Result, b.Result))
	})
	return counts
}

// Clear forgets everything, and gives the memory back.
func (l *Log) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rings = nil
}

// The texts of an entry, in their order in a slot.
const (
	textReason = iota
	textProvider
	textScope
	textID
	textEvent
	textClientIP
	textHost
	textPath
	textRequestID
	textCount
)

// mostBytes is what is kept of each text. A sender or an attacker chooses most of them.
var mostBytes = [textCount]int{
	textReason: 240, textProvider: 64, textScope: 128, textID: 160, textEvent: 96,
	textClientIP: 46, textHost: 128, textPath: 200, textRequestID: 36,
}

// slotBytes is the sum of mostBytes.
const slotBytes = 240 + 64 + 128 + 160 + 96 + 46 + 128 + 200 + 36

// slot is an entry as a log keeps it, with the texts one behind the other.
type slot struct {
	at     time.Time
	took   time.Duration
	status int
	ends   [textCount]uint16
	text   [slotBytes]byte
}

func (s *slot) fill(e *Entry) {
	s.at, s.took, s.status = e.At, e.Took, e.Status
	n := 0
	for i, text := range [textCount]string{e.Reason, e.Provider, e.Scope, e.ID, e.Event, e.ClientIP, e.Host, e.Path, e.RequestID} {
		n += put(s.text[n:n+mostBytes[i]], text)
		s.ends[i] = uint16(n)
	}
}

// put copies a text, or what fits of it and an ellipsis, and returns its length.
func put(to []byte, text string) int {
	if len(text) <= len(to) {
		return copy(to, text)
	}
	n := copy(to, texts.Cut(text, len(to)-len(texts.Ellipsis)))
	return n + copy(to[n:], texts.Ellipsis)
}

func (s *slot) entry(result string) Entry {
	var all [textCount]string
	begin := uint16(0)
	for i, end := range s.ends {
		all[i] = strings.ToValidUTF8(string(s.text[begin:end]), "\uFFFD")
		begin = end
	}
	return Entry{
		At: s.at, Result: result, Took: s.took, Status: s.status,
		Reason: all[textReason], Provider: all[textProvider], Scope: all[textScope], ID: all[textID], Event: all[textEvent],
		ClientIP: all[textClientIP], Host: all[textHost], Path: all[textPath], RequestID: all[textRequestID],
	}
}
