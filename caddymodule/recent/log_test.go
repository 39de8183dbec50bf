package recent

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

var begin = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func entry(n int, result string) Entry {
	return Entry{
		At: begin.Add(time.Duration(n) * time.Second), Result: result, Reason: "no header X-Signature", Provider: "stripe", Scope: "acme",
		ID: fmt.Sprint("evt_", n), Event: "charge.succeeded", ClientIP: "192.0.2.1", Host: "hooks.example.com", Path: "/stripe", RequestID: "1",
		Status: 200, Took: time.Second,
	}
}

func ids(entries []Entry) (all []string) {
	for _, e := range entries {
		all = append(all, e.ID)
	}
	return all
}

func TestEntriesComeBackAsTheyWere(t *testing.T) {
	var l Log
	want := entry(1, "forwarded")
	l.Add(want)
	if got := l.Last(Filter{}, 10); len(got) != 1 || got[0] != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTheNewestOfAllResultsComeFirst(t *testing.T) {
	var l Log
	for n := range 6 {
		l.Add(entry(n, []string{"forwarded", "duplicate"}[n%2]))
	}
	if got := fmt.Sprint(ids(l.Last(Filter{}, 4))); got != "[evt_5 evt_4 evt_3 evt_2]" {
		t.Error(got)
	}
}

// A flood of forgeries must not push out what somebody looks for.
func TestAFloodOfOneResultLeavesTheOthers(t *testing.T) {
	var l Log
	l.Add(entry(0, "timestamp_stale"))
	for n := range 10 * perResult {
		l.Add(entry(n+1, "signature_invalid"))
	}
	if got := l.Last(Filter{Result: "timestamp_stale"}, 10); len(got) != 1 {
		t.Errorf("%d entries of the rare result are left, want 1", len(got))
	}
	all := l.Last(Filter{Result: "signature_invalid"}, 10*perResult)
	if len(all) != perResult || all[0].ID != fmt.Sprint("evt_", 10*perResult) {
		t.Errorf("%d entries of the common one, newest %s", len(all), all[0].ID)
	}
	if got := l.Counts(); fmt.Sprint(got) != "[{signature_invalid 1000} {timestamp_stale 1}]" {
		t.Error(got)
	}
}

func TestFilters(t *testing.T) {
	var l Log
	for n := range 4 {
		l.Add(entry(n, "forwarded"))
	}
	other := entry(4, "duplicate")
	other.Provider, other.Scope = "github", "umbrella"
	l.Add(other)
	for name, c := range map[string]struct {
		f    Filter
		want string
	}{
		"all":      {Filter{}, "[evt_4 evt_3 evt_2 evt_1 evt_0]"},
		"result":   {Filter{Result: "duplicate"}, "[evt_4]"},
		"provider": {Filter{Provider: "github"}, "[evt_4]"},
		"scope":    {Filter{Scope: "acme"}, "[evt_3 evt_2 evt_1 evt_0]"},
		"id":       {Filter{ID: "evt_2"}, "[evt_2]"},
		"since":    {Filter{Since: begin.Add(3 * time.Second)}, "[evt_4 evt_3]"},
		"until":    {Filter{Until: begin.Add(time.Second)}, "[evt_0]"},
		"nothing":  {Filter{Provider: "github", Scope: "acme"}, "[]"},
	} {
		if got := fmt.Sprint(ids(l.Last(c.f, 10))); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Anyone can send long texts, or bytes that are no text.
func TestTextsAreBoundedAndValid(t *testing.T) {
	var l Log
	long := strings.Repeat("ä", 10_000)
	l.Add(Entry{Result: "x", Reason: long, Provider: long, Scope: long, ID: long, Event: long, ClientIP: long, Host: long, Path: long, RequestID: long})
	l.Add(Entry{Result: "x", Path: "/\xff\xfe", Host: strings.Repeat("\x80", 10_000)})
	for _, e := range l.Last(Filter{}, 10) {
		for _, text := range []string{e.Reason, e.Provider, e.Scope, e.ID, e.Event, e.ClientIP, e.Host, e.Path, e.RequestID} {
			if !utf8.ValidString(text) || len(text) > 1024 {
				t.Errorf("%q", text)
			}
			if strings.HasPrefix(text, "ä") && !strings.HasSuffix(text, "ä…") {
				t.Errorf("%q is not cut between two characters", text)
			}
		}
	}
	sum := 0
	for _, most := range mostBytes {
		sum += most
	}
	if sum != slotBytes {
		t.Errorf("a slot has room for %d bytes, want %d", slotBytes, sum)
	}
}

// A log is in the way of every request, also of those that come in a flood.
func TestAllocations(t *testing.T) {
	var l Log
	var w Witness
	e := entry(1, "forwarded")
	e.Path = strings.Repeat("/long", 1000)
	l.Add(e)
	if n := testing.AllocsPerRun(1000, func() {
		l.Add(e)
		w.Verified(begin, begin, 0)
	}); n != 0 {
		t.Errorf("an entry costs %v allocations", n)
	}
}

func TestClear(t *testing.T) {
	var l Log
	l.Add(entry(1, "forwarded"))
	l.Clear()
	if l.Last(Filter{}, 10) != nil || l.Counts() != nil {
		t.Error("entries are left")
	}
}

func TestManyAtOnce(t *testing.T) {
	var l Log
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for n := range 500 {
				l.Add(entry(n, fmt.Sprint("result_", (n+g)%3)))
				if n%50 == 0 {
					l.Last(Filter{}, 10)
				}
			}
		})
	}
	all.Wait()
	total := uint64(0)
	for _, c := range l.Counts() {
		total += c.Total
	}
	if total != 2000 {
		t.Errorf("%d entries are counted, want 2000", total)
	}
}

func BenchmarkAdd(b *testing.B) {
	var l Log
	e := entry(1, "signature_invalid")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Add(e)
		}
	})
}

func BenchmarkVerified(b *testing.B) {
	var w Witness
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.Verified(begin, begin, 1)
		}
	})
}
