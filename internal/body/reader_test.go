package body

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

const text = "0123456789"

func open(data string) *Reader {
	r := new(Reader)
	r.Open([]byte(data))
	return r
}

// read reads n bytes and, with all, to the end.
func read(t *testing.T, r *Reader, n int, all bool) string {
	t.Helper()
	got, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err == nil && all {
		var rest []byte
		rest, err = io.ReadAll(r)
		got = append(got, rest...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

// Each try gets the whole body, or none.
func TestEachTryGetsTheWholeBody(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(r *Reader) // the first try
		try    func(r *Reader) // the try before
		ready  bool
	}{
		"nothing was read":              {nil, func(*Reader) {}, true},
		"nothing was read, closed":      {nil, func(r *Reader) { _ = r.Close() }, true},
		"read and closed":               {nil, func(r *Reader) { _ = read(t, r, 10, true); _ = r.Close(); _ = r.Close() }, true},
		"half read and closed":          {nil, func(r *Reader) { _ = read(t, r, 5, false); _ = r.Close() }, true},
		"half read, never closed":       {nil, func(r *Reader) { _ = read(t, r, 5, false) }, true},
		"read to the end, never closed": {nil, func(r *Reader) { _ = read(t, r, 10, true) }, true},
		"ended":                         {nil, func(r *Reader) { r.End() }, false},
		"buffered as a whole":           {func(r *Reader) { _ = read(t, r, 10, true); _ = r.Close() }, func(*Reader) {}, true},
		"buffered in part, then closed": {func(r *Reader) { _ = read(t, r, 4, false) }, func(r *Reader) { _ = r.Close() }, false},
		"buffered in part, then read":   {func(r *Reader) { _ = read(t, r, 4, false) }, func(r *Reader) { _ = read(t, r, 1, false) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(text)
			if tc.before != nil {
				tc.before(r)
			}
			if !r.Begin() {
				t.Fatal("there is no first try")
			}
			tc.try(r)
			if ready := r.Begin(); ready != tc.ready {
				t.Fatalf("ready: %t, want %t", ready, tc.ready)
			}
			if tc.ready {
				if got := read(t, r, 3, true); got != text {
					t.Errorf("the next try got %q", got)
				}
			}
		})
	}
}

// What was buffered in part before the first try is not given again by one that failed
// before it read anything: the buffer still has it.
func TestABufferIsLeftAlone(t *testing.T) {
	r := open(text)
	_ = read(t, r, 4, false)
	for range 3 {
		if !r.Begin() {
			t.Fatal("no try")
		}
	}
	if got := read(t, r, 6, true); got != text[4:] {
		t.Errorf("got %q", got)
	}
}

func TestALateCloseDoesNotEndTheNextTry(t *testing.T) {
	r := open(text)
	for range 3 {
		if !r.Begin() {
			t.Fatal("no try")
		}
		_ = r.Close()
		got := read(t, r, 4, false)
		_ = r.Close()
		if got += read(t, r, 6, true); got != text {
			t.Errorf("got %q", got)
		}
		_ = r.Close()
	}
}

func TestNothingIsReadAfterTheEnd(t *testing.T) {
	r := open(strings.Repeat(text, 10))
	_ = read(t, r, 50, false)
	r.End()
	if n, err := r.Read(make([]byte, 10)); n > 0 || !errors.Is(err, http.ErrBodyReadAfterClose) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}
