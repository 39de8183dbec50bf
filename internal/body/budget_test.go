package body

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func wantBudget(t *testing.T, b *Budget, held, unverified int64) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held != held || b.unverified != unverified || b.leaving != 0 {
		t.Errorf("the budget counts %d, %d of it unverified, %d leaving; want %d, %d and 0", b.held, b.unverified, b.leaving, held, unverified)
	}
}

// verify and give do what the bodies of other uploads would.
func (b *Budget) verify(n int64) { b.update(func() { b.unverified -= n }) }

func (b *Budget) give(n int64, verified bool) {
	b.update(func() {
		b.held -= n
		if !verified {
			b.unverified -= n
		}
	})
}

// sender is an upload without a connection behind it. It ends as soon as it is
// interrupted, as a read does whose deadline has passed.
type sender struct {
	*upload
	stopped bool
}

// ended is a connection of which one only learns that its reads are ended.
type ended func()

func (end ended) SetReadDeadline(time.Time) error {
	end()
	return nil
}

func newSender(b *Budget) *sender {
	s := new(sender)
	s.upload = b.begin(ended(func() { s.stopped = true; go s.end(true) }), time.Now().Add(time.Hour))
	return s
}

// sends makes a sender that holds n bytes.
func sends(t *testing.T, b *Budget, n int64) *sender {
	t.Helper()
	s := newSender(b)
	if err := s.take(n); err != nil {
		t.Fatalf("taking %d: %v", n, err)
	}
	return s
}

func TestUnverifiedBodiesTakeHalfAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 100}
		take := func(n int64) error { return b.begin(nil, time.Now().Add(time.Minute)).take(n) }
		if err := take(51); !errors.Is(err, errOverBudget) {
			t.Errorf("51 of 100 unverified: %v", err)
		}
		wantBudget(t, b, 0, 0) // what is refused counts for nothing
		if err := take(50); err != nil {
			t.Errorf("50 of 100 unverified: %v", err)
		}
		if err := take(1); !errors.Is(err, errOverBudget) {
			t.Errorf("one more: %v", err)
		}
		b.verify(50)
		wantBudget(t, b, 50, 0)
		if err := take(50); err != nil {
			t.Errorf("beside 50 verified: %v", err)
		}
		b.verify(50)
		if err := take(1); !errors.Is(err, errOverBudget) {
			t.Errorf("beyond the whole: %v", err)
		}
		b.give(50, true)
		if err := take(50); err != nil {
			t.Errorf("after some was given back: %v", err)
		}
		b.give(50, false)
		b.give(50, true)
		wantBudget(t, b, 0, 0)
	})
}

func TestALowerLimitLeavesWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 100}
		s := b.begin(nil, time.Now().Add(time.Minute))
		if err := s.take(40); err != nil {
			t.Fatal(err)
		}
		b.SetLimit(10)
		wantBudget(t, b, 40, 40)
		if err := newSender(b).take(1); !errors.Is(err, errOverBudget) {
			t.Errorf("more was taken although the budget is overdrawn: %v", err)
		}
		s.end(true)
		if err := newSender(b).take(5); err != nil {
			t.Errorf("half of the lower limit: %v", err)
		}
	})
}

// A sender waits for what others give back, for roomWait in all.
func TestRoomIsWaitedForNoLongerThanAllowed(t *testing.T) {
	for name, tc := range map[string]struct {
		first, bodyTimeout, want time.Duration
	}{
		"for so long":                   {0, time.Minute, roomWait},
		"so long in all of its waits":   {600 * time.Millisecond, time.Minute, roomWait - 600*time.Millisecond},
		"no longer than body_timeout":   {0, 300 * time.Millisecond, 300 * time.Millisecond},
		"not at all after body_timeout": {0, -time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Budget{limit: 200}
				other := b.begin(nil, time.Now()) // one that cannot be interrupted
				if err := other.take(100); err != nil {
					t.Fatal(err)
				}
				s := b.begin(nil, time.Now().Add(tc.bodyTimeout))
				if tc.first > 0 {
					time.AfterFunc(tc.first, func() { b.give(10, false) })
					if err := s.take(10); err != nil {
						t.Fatal(err)
					}
				}
				start := time.Now()
				if err := s.take(10); !errors.Is(err, errOverBudget) {
					t.Errorf("%v, want that there is no room", err)
				}
				if took := time.Since(start); took != tc.want {
					t.Errorf("waited for %v, want %v", took, tc.want)
				}
				if b.first() != nil {
					t.Error("still in the queue")
				}
			})
		})
	}
}

func TestWhoComesFirstIsServedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 1 << 20}
		all := b.begin(nil, time.Now())
		if err := all.take(448 << 10); err != nil { // all that large bodies may have
			t.Fatal(err)
		}
		small := b.begin(nil, time.Now())
		if err := small.take(64 << 10); err != nil { // the rest
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		for _, w := range []struct {
			name string
			n    int64
		}{{"large 1", 100 << 10}, {"small 1", 10 << 10}, {"large 2", 70 << 10}, {"small 2", 1 << 10}} {
			go func() {
				err := b.begin(nil, time.Now().Add(time.Minute)).take(w.n)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("%s: %v", w.name, err)
				}
				order = append(order, w.name)
			}()
			synctest.Wait()
		}
		for _, give := range []int64{10 << 10, 1 << 10, 164 << 10, 70 << 10} {
			b.give(give, false)
			synctest.Wait()
		}
		if got := len(order); got != 4 || order[0] != "small 1" || order[1] != "small 2" || order[2] != "large 1" || order[3] != "large 2" {
			t.Errorf("served in the order %q", order)
		}
	})
}

// The reserve keeps small bodies from waiting, whatever large ones do.
func TestSmallBodiesHaveTheirOwnReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 2 << 20}
		for range 7 {
			sends(t, b, 128<<10)
		}
		if err := b.begin(nil, time.Now()).take(smallBody + 1); !errors.Is(err, errOverBudget) {
			t.Errorf("a large one took from the reserve: %v", err)
		}
		start := time.Now()
		sends(t, b, smallBody)
		sends(t, b, smallBody)
		if took := time.Since(start); took != 0 {
			t.Errorf("small ones waited for %v", took)
		}
	})
}

func TestTheLongestWithoutProgressMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 800 << 10} // 400 KiB for all, 350 KiB for large ones
		var held []*sender
		for range 3 {
			held = append(held, sends(t, b, 100<<10))
			time.Sleep(10 * time.Millisecond)
		}
		held[0].progress(50 << 10) // now it is the last to have moved
		start := time.Now()
		late := sends(t, b, 100<<10)
		// The second one moved last at 10 ms, 20 ms ago.
		if took := time.Since(start); took != stalledAfter-20*time.Millisecond {
			t.Errorf("room after %v", took)
		}
		if held[0].stopped || !held[1].stopped || held[2].stopped || late.stopped {
			t.Errorf("given up: %t %t %t %t, want only the second", held[0].stopped, held[1].stopped, held[2].stopped, late.stopped)
		}
		synctest.Wait()
		wantBudget(t, b, 300<<10, 300<<10)
	})
}

// No more are given up than make enough room, and nobody where that is hopeless.
func TestOnlyAsManyAsNeededAreGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		verified, n  int64
		wantGivenUp  int
		wantOverload bool
	}{
		"one is enough":               {0, 4 << 10, 1, false},
		"three for a larger one":      {0, 12 << 10, 3, false},
		"all":                         {0, 40 << 10, 10, false},
		"beside what is verified":     {40 << 10, 40 << 10, 10, false},
		"none beside too much":        {78 << 10, 4 << 10, 0, true},
		"none for what never fits":    {0, 41 << 10, 0, true},
		"some where little is needed": {41 << 10, 4 << 10, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &Budget{limit: 80 << 10}
				var held []*sender
				for range 10 {
					held = append(held, sends(t, b, 4<<10))
				}
				b.update(func() { b.held += tc.verified })
				time.Sleep(time.Second)
				err := newSender(b).take(tc.n)
				if errors.Is(err, errOverBudget) != tc.wantOverload {
					t.Errorf("got %v", err)
				}
				givenUp := 0
				for _, s := range held {
					if s.stopped {
						givenUp++
					}
				}
				if givenUp != tc.wantGivenUp {
					t.Errorf("%d given up, want %d", givenUp, tc.wantGivenUp)
				}
			})
		})
	}
}

// Where everybody holds something and waits for more, the last one gives way.
func TestThoseWhoWaitForEachOtherGetOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 16 << 20} // 7 MiB for large ones
		var wg sync.WaitGroup
		errs := make([]error, 7)
		for i := range errs {
			s := sends(t, b, 1<<20)
			wg.Go(func() {
				time.Sleep(time.Duration(1+i) * time.Millisecond) // when all have their first
				errs[i] = s.take(1 << 20)
				s.end(true)
			})
		}
		wg.Wait()
		for i, err := range errs {
			if wantErr := i == len(errs)-1; (err != nil) != wantErr {
				t.Errorf("number %d: %v", i, err)
			}
		}
		wantBudget(t, b, 0, 0)
	})
}

func TestTheBudgetIsNeverOverdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 1 << 20}
		var wg sync.WaitGroup
		for worker := range 16 {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			wg.Go(func() {
				for range 100 {
					stopped := make(chan struct{})
					u := b.begin(ended(sync.OnceFunc(func() { close(stopped) })), time.Now().Add(2*time.Second))
					u.run(t, random, stopped)
				}
			})
		}
		wg.Wait()
		synctest.Wait()
		wantBudget(t, b, 0, 0)
		if b.uploads.Len() > 0 || b.first() != nil {
			t.Error("uploads are left behind")
		}
	})
}

// run takes memory in steps, at some speed, and gives it back.
func (u *upload) run(t *testing.T, random *rand.Rand, stopped <-chan struct{}) {
	for n := int64(1 << 10); n < 1<<18; n *= 2 {
		if u.take(n) != nil {
			u.end(true)
			return
		}
		if held := u.budget.Bytes(); held > 1<<20 {
			t.Errorf("%d held", held)
		}
		select {
		case <-stopped:
			u.end(true)
			return
		case <-time.After(time.Duration(random.IntN(400)) * time.Millisecond):
			u.progress(u.marked + leastStep*16)
		}
	}
	u.end(false)
	u.verify()
	time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	u.give()
}

// What was freed counts until it is collected: nobody gets more meanwhile, and
// nobody is given up for it.
func TestFreedBuffersAreCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &Budget{limit: 16 << 20}
		idle := sends(t, b, 1<<20)
		time.Sleep(time.Minute)
		b.discard(1 << 20)
		if b.garbage != 1<<20 || b.collecting {
			t.Errorf("%d bytes of garbage, collecting: %t", b.garbage, b.collecting)
		}
		b.update(func() { b.collecting = true }) // one that takes long
		b.discard(3 << 20)
		b.update(func() { b.due = b.garbage })
		sends(t, b, smallBody) // these need not wait for it
		taken := make(chan error, 1)
		go func() { taken <- newSender(b).take(smallBody + 1) }()
		synctest.Wait()
		if len(taken) > 0 || idle.stopped {
			t.Error("memory was given out, or taken from others, before the garbage was collected")
		}
		b.collect()
		if err := <-taken; err != nil {
			t.Error(err)
		}
		b.discard(2 << 20) // begins a collection by itself
		synctest.Wait()
		if b.garbage != 0 || b.collecting {
			t.Errorf("%d bytes of garbage are left, collecting: %t", b.garbage, b.collecting)
		}
	})
}

// What is used again while a collection is under way is not counted as collected by it
// when it is freed once more.
func TestBuffersUsedDuringACollectionCountAfterIt(t *testing.T) {
	b := &Budget{limit: 16 << 20}
	b.garbage, b.due, b.collecting = 3<<20, 3<<20, true
	b.reuse(1 << 20)
	b.discard(1 << 20)
	b.collect()
	if b.garbage != 1<<20 || b.due != 0 || b.collecting {
		t.Errorf("%d bytes of garbage, %d due, collecting: %t", b.garbage, b.due, b.collecting)
	}
	b.reuse(4 << 20) // freed long before
	if b.garbage != 0 {
		t.Errorf("%d bytes of garbage", b.garbage)
	}
}
