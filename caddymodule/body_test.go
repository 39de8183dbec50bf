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

	"github.com/caddyserver/caddy/v2"
)

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

// The log fields of an event do not depend on its body's memory.
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

// A placeholder reads the body while the event is handled, by whatever copy of the request,
// and nothing afterwards.
func TestPlaceholdersReadTheBodyUntilTheEnd(t *testing.T) {
	b := newBench(t, nil)
	sent := event("1")
	r := b.request(sent)
	repl := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
		for range 2 {
			if got := repl.ReplaceAll("{http.request.body}", ""); got != sent {
				t.Errorf("the placeholder is %q", got)
			}
		}
		if got, err := io.ReadAll(r.Body); string(got) != sent || err != nil {
			t.Errorf("the app got %q, %v", got, err)
		}
		return says(http.StatusOK, "")(w, r)
	})
	if err != nil {
		t.Fatal(err)
	}
	late := b.request(event("2"))
	if _, err := b.serve(late, says(http.StatusOK, "")); err != nil {
		t.Fatal(err)
	}
	repl = late.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if got := repl.ReplaceAll("{http.request.body}", ""); got != "" {
		t.Errorf("after the end the placeholder is %q", got)
	}
}
