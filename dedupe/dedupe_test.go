package dedupe_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/memory"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

func TestKeysTellEventsApart(t *testing.T) {
	t.Parallel()
	b := func(s string) []byte { return []byte(s) }
	keys := map[string]dedupe.Key{
		"one part":          dedupe.NewKey("id", b("ab")),
		"two parts":         dedupe.NewKey("id", b("a"), b("b")),
		"an empty part":     dedupe.NewKey("id", b("ab"), b("")),
		"empty part first":  dedupe.NewKey("id", b(""), b("ab")),
		"no part":           dedupe.NewKey("id"),
		"one empty part":    dedupe.NewKey("id", nil),
		"other kind":        dedupe.NewKey("content", b("ab")),
		"kind and part mix": dedupe.NewKey("ida", b("b")),
		"no kind":           dedupe.NewKey("", b("ab")),
		"a length as text":  dedupe.NewKey("id", b("\x00\x00\x00\x00\x00\x00\x00\x01a")),
		"huge":              dedupe.NewKey("id", bytes.Repeat(b("ab"), 1<<20)),
	}
	seen := make(map[dedupe.Key]string)
	for name, k := range keys {
		if other, ok := seen[k]; ok {
			t.Errorf("%s and %s have the same key", name, other)
		}
		seen[k] = name
		if k.IsZero() {
			t.Errorf("%s: the key of an event is zero", name)
		}
		if len(k.String()) != 22 {
			t.Errorf("%s: key %q has %d characters, want 22", name, k, len(k.String()))
		}
	}
}

// Stores outlive gateways, so a key must mean the same in every version.
func TestKeysStayTheSameAcrossVersions(t *testing.T) {
	t.Parallel()
	const want = "S8cRWzd4tmWW0ZmBP81xnw"
	for name, key := range map[string]dedupe.Key{
		"bytes": dedupe.NewKey("id", []byte("scope"), []byte("evt_1")),
		"text":  dedupe.TextKey("id", "scope", "evt_1"),
	} {
		if got := key.String(); got != want {
			t.Errorf("the key of %s is %s, want %s: with other keys, every stored event would be forgotten", name, got, want)
		}
	}
}

func TestZeroKeyIsNoIdentity(t *testing.T) {
	t.Parallel()
	if !(dedupe.Key{}).IsZero() {
		t.Error("the zero key is not zero")
	}
	if (dedupe.Key{15: 1}).IsZero() {
		t.Error("a key with one bit is zero")
	}
}

func TestTokensDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[dedupe.Token]bool)
	for range 1000 {
		seen[dedupe.NewToken()] = true
	}
	if len(seen) != 1000 || seen[dedupe.Token{}] {
		t.Errorf("%d tokens of 1000 differ", len(seen))
	}
}

func TestStatesHaveNames(t *testing.T) {
	t.Parallel()
	for state, want := range map[dedupe.State]string{
		dedupe.Absent: "absent", dedupe.Claimed: "claimed", dedupe.InFlight: "in_flight",
		dedupe.Done: "done", 9: "state(9)",
	} {
		if got := state.String(); got != want {
			t.Errorf("state %d is %q, want %q", uint8(state), got, want)
		}
	}
}

// TestStoresAgree walks all stores through the same random steps over a few keys and
// tokens. Whatever the one answers, the others answer too.
func TestStoresAgree(t *testing.T) {
	t.Parallel()
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	inMemory := memory.New(memory.Options{})
	others := map[string]dedupe.Store{
		"redis": openRedis(t),
		"disk":  openDisk(t, testkit.NewClock().Now),
	}

	contents, ids, tokens := make([]dedupe.Key, 4), make([]dedupe.Key, 4), make([]dedupe.Token, 3)
	for i := range contents[1:] { // the first stays zero: no such identity
		contents[i+1], ids[i+1] = dedupe.Key(dedupe.NewToken()), dedupe.Key(dedupe.NewToken())
	}
	for i := range tokens {
		tokens[i] = dedupe.NewToken()
	}
	type result struct {
		answer dedupe.Answer
		record dedupe.Record
		err    string
	}
	for n := range 4000 {
		ev := dedupe.Event{Content: contents[random.IntN(4)], ID: ids[random.IntN(4)]}
		k := ids[1+random.IntN(3)]
		if random.IntN(2) == 0 {
			k = contents[1+random.IntN(3)]
		}
		tok, status := tokens[random.IntN(3)], 200+random.IntN(3)
		d := time.Duration(1+random.IntN(9)) * time.Hour
		op := random.IntN(20)
		step := func(s dedupe.Store) (r result) {
			var err error
			switch {
			case op < 8:
				r.answer, err = s.Claim(t.Context(), ev, tok, d)
			case op < 11:
				err = s.Renew(t.Context(), ev, tok, d)
			case op < 14:
				err = s.Release(t.Context(), ev, tok)
			case op < 16:
				r.record, err = s.Forget(t.Context(), k)
			case op < 17:
				err = s.Commit(t.Context(), ev, dedupe.Success{Status: status}, d)
			default:
				r.record, err = s.Lookup(t.Context(), k)
			}
			r.record.TTL = r.record.TTL.Round(time.Hour)
			if err != nil {
				r.err = baseError(err).Error()
			}
			return r
		}
		m := step(inMemory)
		for name, other := range others {
			if s := step(other); m != s {
				t.Fatalf("step %d (op %d on %v): memory says %+v, %s says %+v", n, op, ev, m, name, s)
			}
		}
	}
}

// baseError returns the innermost error, without the words of the store around it.
func baseError(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok {
			return err
		}
		err = inner.Unwrap()
	}
}

func openRedis(tb testing.TB) dedupe.Store {
	tb.Helper()
	r, err := redis.New(redis.Options{URLs: []string{testbed.StartRedis(tb).URL()}, Timeout: testkit.Patient})
	return closedAtTheEnd(tb, r, err)
}

func openDisk(tb testing.TB, now func() time.Time) dedupe.Store {
	tb.Helper()
	d, err := disk.Open(disk.Options{Dir: tb.TempDir(), Now: now})
	return closedAtTheEnd(tb, d, err)
}

func closedAtTheEnd(tb testing.TB, s dedupe.Store, err error) dedupe.Store {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}
