package body

import (
	"strings"
	"testing"
	"time"
)

func TestBufferClassesFitWhatTheyAreFor(t *testing.T) {
	last := 0
	for _, n := range []int{
		0, 1, 255, 256, 257, 288, 289, 1023, 1024, 1025, 1152, 1153, 2047, 2048, 2049, firstChunk, firstChunk + 1, 100_000,
		1 << 20, 1<<20 + 1, 10<<20 + 1, 64 << 20, 64<<20 + 1, 1 << 30,
	} {
		class, size := bufferClass(n)
		if size < n || size > max(leastBuffer, n+n/8) {
			t.Errorf("%d bytes get a buffer of %d", n, size)
		}
		if again, same := bufferClass(size); again != class || same != size {
			t.Errorf("a buffer of %d bytes, class %d, counts as one of %d, class %d", size, class, same, again)
		}
		if class < last {
			t.Errorf("%d bytes have class %d, after %d for less", n, class, last)
		}
		if kept := n <= 64<<20; kept != (class < classes) {
			t.Errorf("%d bytes have class %d of %d", n, class, classes)
		}
		last = class
	}
}

func TestBuffersAreUsedAgain(t *testing.T) {
	for range 100 { // a sync.Pool may drop any
		budget := &Budget{limit: unlimited}
		first, second := newBody(budget), newBody(budget)
		if err := first.grow(1 << 20); err != nil {
			t.Fatal(err)
		}
		first.Drop()
		if budget.garbage != 1<<20 {
			t.Fatalf("%d bytes of garbage, want those of the buffer", budget.garbage)
		}
		if err := second.grow(1 << 20); err != nil {
			t.Fatal(err)
		}
		if budget.garbage == 0 {
			return
		}
	}
	t.Error("no buffer was used again")
}

func TestABodyThatIsGoneIsNotShared(t *testing.T) {
	b, refused := readWithin(bodyRequest(strings.NewReader("12345"), 5), 10, &Budget{limit: unlimited})
	if refused != nil {
		t.Fatal(refused)
	}
	b.Drop()
	if b.Share() || b.data != nil {
		t.Error("the memory of other bodies was shared")
	}
}

// newBody is one that nothing has been read into.
func newBody(b *Budget) *Body { return &Body{upload: b.begin(nil, time.Now()), users: 1} }
