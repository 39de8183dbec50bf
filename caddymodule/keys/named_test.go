package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// shelf is a publisher of keys by name, and counts what it is asked for.
type shelf struct {
	mu       sync.Mutex
	keys     map[string]string // the documents
	away     error
	visits   map[string]int
	lifetime time.Duration
	hold     chan struct{}
}

func newShelf(names ...string) *shelf {
	s := &shelf{keys: make(map[string]string), visits: make(map[string]int), lifetime: time.Hour}
	for _, name := range names {
		s.keys[name] = name
	}
	return s
}

func (s *shelf) fetch(name string) Fetch {
	return func(ctx context.Context) ([]byte, time.Duration, error) {
		s.mu.Lock()
		hold := s.hold
		s.visits[name]++
		document, ok := s.keys[name]
		away := s.away
		s.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-ctx.Done():
				return nil, 0, ctx.Err()
			}
		}
		switch {
		case away != nil:
			return nil, 0, away
		case !ok:
			return nil, 0, fmt.Errorf("%w: not found", ErrUnknownKey)
		}
		return []byte(document), s.lifetime, nil
	}
}

func (s *shelf) set(change func(*shelf)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *shelf) count() (all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.visits {
		all += n
	}
	return all
}

// newNamed makes keys by name, each with a key whose ID is its document.
func newNamed(t *testing.T, s *shelf, store Store) (*Named, *clock) {
	t.Helper()
	good, err := signature.NewKey("0123456789abcdef", "", "")
	if err != nil {
		t.Fatal(err)
	}
	c := &clock{at: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	n := NewNamed(NamedOptions{
		Fetch: s.fetch, Store: store, Logger: zap.NewNop(), Allows: func(name string) bool { return !strings.HasPrefix(name, "other") },
		Parse: func(_ string, document []byte) ([]signature.Secret, error) {
			text, until, ends := strings.Cut(string(document), " until ")
			key := signature.Secret{Key: good, ID: text}
			if ends {
				if key.Until, err = time.Parse(time.RFC3339, until); err != nil {
					return nil, err
				}
			}
			if strings.HasPrefix(text, "bad") {
				return nil, errors.New("no key in it")
			}
			return []signature.Secret{key}, nil
		},
	})
	n.now, n.limits = c.now, patient
	n.Start(t.Context())
	return n, c
}

// until waits for a condition, for a minute at most.
func until(condition func() bool) {
	for end := time.Now().Add(time.Minute); !condition() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func wantNamed(t *testing.T, n *Named, name, id string) {
	t.Helper()
	got, err := n.Keys(name)
	if err != nil || len(got) != 1 || got[0].ID != id {
		t.Fatalf("%s: keys %v, %v, want %s", name, got, err, id)
	}
	n.Judged(name, true)
}

func TestEachNameHasItsOwnKey(t *testing.T) {
	s := newShelf("a", "b")
	n, clock := newNamed(t, s, nil)
	for range 5 {
		wantNamed(t, n, "a", "a")
		wantNamed(t, n, "b", "b")
	}
	if s.count() != 2 {
		t.Errorf("%d fetches, want one for each", s.count())
	}
	// They are fetched again once their time is over, and stay in force while that fails.
	s.set(func(s *shelf) { s.keys["a"], s.away = "a2", errors.New("away") })
	clock.pass(time.Hour)
	wantNamed(t, n, "a", "a")
	s.set(func(s *shelf) { s.away = nil })
	clock.pass(retryEvery)
	wantNamed(t, n, "a", "a2")
}

// A name that the publisher does not know is asked for once a minute, and a key that it has
// withdrawn is one.
func TestUnknownNames(t *testing.T) {
	s, store := newShelf("a"), &memory{}
	n, clock := newNamed(t, s, store)
	for range 5 {
		if _, err := n.Keys("x"); !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	if s.count() != 1 {
		t.Errorf("%d fetches, want one", s.count())
	}
	s.set(func(s *shelf) { s.keys["x"] = "x" })
	clock.pass(lookEvery)
	wantNamed(t, n, "x", "x")

	wantNamed(t, n, "a", "a")
	s.set(func(s *shelf) { delete(s.keys, "a") })
	clock.pass(time.Hour)
	if got, err := n.Keys("a"); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a withdrawn key: %v, %v", got, err)
	}
	stored := 0
	store.values.Range(func(_, _ any) bool { stored++; return true })
	if stored != 1 {
		t.Errorf("%d keys are kept, want that of x", stored)
	}
}

// What cannot be had now, and what is no key, may be one later.
func TestNamesThatCannotBeHad(t *testing.T) {
	s := newShelf()
	s.keys["bad"] = "bad"
	n, clock := newNamed(t, s, nil)
	s.set(func(s *shelf) { s.away = errors.New("away") })
	if _, err := n.Keys("a"); err == nil || errors.Is(err, ErrUnknownKey) {
		t.Errorf("%v", err)
	}
	s.set(func(s *shelf) { s.away = nil; s.keys["a"] = "a" })
	if _, err := n.Keys("bad"); err == nil || errors.Is(err, ErrUnknownKey) {
		t.Errorf("%v", err)
	}
	clock.pass(retryEvery)
	wantNamed(t, n, "a", "a")
}

// A key whose certificate has expired is in force no longer, whatever the publisher says of
// its lifetime.
func TestKeysThatExpire(t *testing.T) {
	s := newShelf()
	s.keys["a"] = "a until 2026-11-28T12:10:00Z"
	n, clock := newNamed(t, s, nil)
	wantNamed(t, n, "a", "a")
	clock.pass(9 * time.Minute)
	wantNamed(t, n, "a", "a")
	if s.count() != 1 {
		t.Errorf("%d fetches, want one", s.count())
	}
	s.set(func(s *shelf) { s.away = errors.New("away") })
	clock.pass(time.Minute)
	if got, err := n.Keys("a"); !errors.Is(err, errExpired) {
		t.Errorf("keys %v, %v", got, err)
	}
	s.set(func(s *shelf) { s.away = nil; s.keys["a"] = "a2 until 2026-11-29T12:00:00Z" })
	clock.pass(retryEvery)
	wantNamed(t, n, "a", "a2")
}

// One fetch is made for all who ask for a name at once, and another name does not wait for it.
func TestNamesAreFetchedOnce(t *testing.T) {
	s := newShelf("a", "b")
	s.hold = make(chan struct{})
	n, _ := newNamed(t, s, nil)
	var all sync.WaitGroup
	for i := range 40 {
		name := []string{"a", "b"}[i%2]
		all.Go(func() {
			if got, err := n.Keys(name); err != nil || got[0].ID != name {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	for s.count() < 2 { // both are on their way
		time.Sleep(time.Millisecond)
	}
	close(s.hold)
	all.Wait()
	if s.count() != 2 {
		t.Errorf("%d fetches, want one for each", s.count())
	}
}

// Names that strangers make up are looked for slowly, and push no key out.
func TestMadeUpNames(t *testing.T) {
	s := newShelf("a")
	n, clock := newNamed(t, s, nil)
	wantNamed(t, n, "a", "a")
	refused := 0
	for i := range 1000 {
		if _, err := n.Keys(fmt.Sprint("made-up-", i)); errors.Is(err, errTooManyNew) {
			refused++
		} else if !errors.Is(err, ErrUnknownKey) {
			t.Fatal(err)
		}
	}
	if s.count() != 1+newAtOnce || refused != 1000-newAtOnce {
		t.Errorf("%d fetches and %d refused", s.count(), refused)
	}
	wantNamed(t, n, "a", "a")
	for i := range 500 {
		clock.pass(newEvery)
		_, _ = n.Keys(fmt.Sprint("later-", i))
		_, _ = n.Keys(fmt.Sprint("too-soon-", i))
	}
	if got := s.count(); got > 1+newAtOnce+500 {
		t.Errorf("%d fetches", got)
	}
	s.set(func(s *shelf) { s.away = errors.New("away") })
	wantNamed(t, n, "a", "a")
	if len(n.known) > maxNamed {
		t.Errorf("%d names are kept", len(n.known))
	}
}

// Of the keys, those are kept that were used last, in the store too.
func TestFewKeysAreKept(t *testing.T) {
	s, store := newShelf(), &memory{}
	n, clock := newNamed(t, s, store)
	for i := range maxNamed + 10 {
		name := fmt.Sprint("k", i)
		s.set(func(s *shelf) { s.keys[name] = name })
		clock.pass(newEvery)
		wantNamed(t, n, name, name)
		wantNamed(t, n, "k0", "k0") // in use
	}
	if len(n.known) != maxNamed {
		t.Errorf("%d names are kept, want %d", len(n.known), maxNamed)
	}
	if n.known["k0"] == nil || n.known["k1"] != nil {
		t.Error("not those that were used last")
	}
	stored := func() (n int) {
		store.values.Range(func(_, _ any) bool { n++; return true })
		return n
	}
	until(func() bool { return stored() == maxNamed }) // those that were dropped go in the background
	if stored() != maxNamed {
		t.Errorf("%d keys are stored, want %d", stored(), maxNamed)
	}
}

// Names under which the publisher has a key that verifies nothing are limited as those that
// nobody has, also while requests are judged, and push out no key that has verified something.
func TestNamesThatVerifyNothing(t *testing.T) {
	s := newShelf("a")
	n, clock := newNamed(t, s, nil)
	wantNamed(t, n, "a", "a")
	for i := range 500 {
		s.set(func(s *shelf) { s.keys[fmt.Sprint("A", i)] = "a" })
	}
	for _, judged := range []bool{false, true} {
		for i := range 100 {
			name := fmt.Sprint("A", i)
			if _, err := n.Keys(name); err != nil && !errors.Is(err, errTooManyNew) {
				t.Fatal(err)
			}
			if judged {
				n.Judged(name, false)
			}
		}
		if got := s.count(); got != 1+newAtOnce {
			t.Errorf("%d fetches, want %d", got, 1+newAtOnce)
		}
	}
	for i := range 400 {
		clock.pass(newEvery)
		name := fmt.Sprint("A", 100+i)
		if _, err := n.Keys(name); err != nil {
			t.Fatal(err)
		}
		n.Judged(name, false)
	}
	if n.known["a"] == nil || len(n.known) != maxNamed || n.looks != 0 {
		t.Errorf("%d names are kept, with %d looks, and that of the key: %v", len(n.known), n.looks, n.known["a"] != nil)
	}
}

// Names that are looked for in vain have no more fetches when they come again and again.
func TestNamesThatComeAgainInVain(t *testing.T) {
	s := newShelf("a")
	n, clock := newNamed(t, s, nil)
	wantNamed(t, n, "a", "a")
	s.set(func(s *shelf) { s.away = errors.New("away") })
	const rounds = 60
	for range rounds {
		for i := range 3 * newAtOnce {
			_, _ = n.Keys(fmt.Sprint("made-up-", i))
		}
		clock.pass(retryEvery)
	}
	if got, limit := s.count(), 1+newAtOnce+rounds*int(retryEvery/newEvery+1); got > limit {
		t.Errorf("%d fetches, want %d at most", got, limit)
	}
	wantNamed(t, n, "a", "a")
}

func TestNamedKeysAreKeptForTheNextProcess(t *testing.T) {
	s, store := newShelf("a"), &memory{}
	first, _ := newNamed(t, s, store)
	wantNamed(t, first, "a", "a")
	s.set(func(s *shelf) { s.away = errors.New("away") })
	second, _ := newNamed(t, s, store)
	wantNamed(t, second, "a", "a")
	if _, err := second.Keys("b"); err == nil {
		t.Error("a key that was never there")
	}
}

// The keys that an earlier process kept are known before anyone asks for them, so that no
// flood of names keeps them out. Others' records are left alone.
func TestKeptKeysAreKnownFromTheStart(t *testing.T) {
	s, store := newShelf("a", "other"), &memory{}
	first, _ := newNamed(t, s, store)
	wantNamed(t, first, "a", "a")
	wantNamed(t, first, "other", "other")
	_ = store.Store(t.Context(), storedIn+"/x.json", []byte("no record"))
	s.set(func(s *shelf) { s.away = errors.New("away") })
	second, _ := newNamed(t, s, store)
	known := func() bool {
		second.mu.Lock()
		defer second.mu.Unlock()
		return second.known["a"] != nil && second.known["a"].held.Load() != nil
	}
	until(known)
	if !known() {
		t.Error("the stored key is not known from the start")
	}
	for i := range 100 {
		_, _ = second.Keys(fmt.Sprint("made-up-", i))
	}
	wantNamed(t, second, "a", "a")
	if second.known["other"] != nil {
		t.Error("a name that is not allowed is known")
	}
}

// Keys that are there are found however many are new, and names that nobody has do not use up
// more than their room meanwhile.
func TestNewKeysThatAreThereAreNotLimited(t *testing.T) {
	var names []string
	for i := range 3 * newAtOnce {
		names = append(names, fmt.Sprint("k", i))
	}
	s := newShelf(names...)
	n, _ := newNamed(t, s, nil)
	for _, name := range names[newAtOnce:] {
		wantNamed(t, n, name, name)
	}
	for i, name := range names[:newAtOnce] {
		wantNamed(t, n, name, name)
		if _, err := n.Keys(fmt.Sprint("made-up-", i)); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("made-up name %d: %v", i, err)
		}
	}
	if _, err := n.Keys("one more"); !errors.Is(err, errTooManyNew) {
		t.Errorf("one more made-up name: %v", err)
	}
	for _, name := range names[:newAtOnce] {
		wantNamed(t, n, name, name)
	}
}
