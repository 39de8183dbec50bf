package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
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
		budget := &budget{limit: unlimited}
		up := budget.begin(nil, time.Now())
		first, second := &body{budget: budget, users: 1}, &body{budget: budget, users: 1}
		if err := first.grow(up, 1<<20); err != nil {
			t.Fatal(err)
		}
		first.drop()
		if budget.garbage != 1<<20 {
			t.Fatalf("%d bytes of garbage, want those of the buffer", budget.garbage)
		}
		if err := second.grow(up, 1<<20); err != nil {
			t.Fatal(err)
		}
		if budget.garbage == 0 {
			return
		}
	}
	t.Error("no buffer was used again")
}

// The proxy reads on when the app has answered early, and other bodies come meanwhile.
func TestABodyEndsWithItsDelivery(t *testing.T) {
	b := newBench(t, nil)
	var readers sync.WaitGroup
	for i := range 200 {
		fill := byte('a' + i%26)
		sent := fmt.Sprintf(`{"event_id":"%d","fill":"%s"}`, i, bytes.Repeat([]byte{fill}, 4000))
		_, err := b.serve(b.request(sent), func(w http.ResponseWriter, r *http.Request) error {
			some := make([]byte, 100)
			if _, err := io.ReadFull(r.Body, some); err != nil {
				t.Error(err)
			}
			readers.Go(func() {
				rest, err := io.ReadAll(r.Body)
				if got := string(some) + string(rest); !strings.HasPrefix(sent, got) {
					t.Errorf("another body was read: %q", got)
				}
				if err != nil && !errors.Is(err, http.ErrBodyReadAfterClose) {
					t.Error(err)
				}
			})
			return says(http.StatusOK, "")(w, r)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	readers.Wait()
}

// What logs say of an event does not depend on its body's memory.
func TestPlaceholdersOutliveTheBody(t *testing.T) {
	b := newBench(t, nil)
	r := b.request(event("first"))
	if _, err := b.serve(r, says(http.StatusOK, "")); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := b.serve(b.request(event(fmt.Sprintf("oth%02d", i))), says(http.StatusOK, "")); err != nil {
			t.Fatal(err)
		}
	}
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if got := repl.ReplaceAll("{http.webhook_guard.id} {http.webhook_guard.event}", ""); got != "first done" {
		t.Errorf("the placeholders are %q", got)
	}
}

func TestABodyThatIsGoneIsNotShared(t *testing.T) {
	b, refused := readWithin(bodyRequest(strings.NewReader("12345"), 5), 10, &budget{limit: unlimited})
	if refused != nil {
		t.Fatal(refused)
	}
	b.drop()
	if b.share() || b.data != nil {
		t.Error("the memory of other bodies was shared")
	}
}
