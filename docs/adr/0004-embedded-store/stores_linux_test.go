package stores

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

type database struct {
	name string
	open func(dir string) (store, error)
}

var databases = []database{{"bbolt", openDisk}, {"pebble", openPebble}, {"badger", openBadger}}

func (db database) start(b *testing.B, dir string) store {
	b.Helper()
	s, err := db.open(dir)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func stop(b *testing.B, s store) {
	b.Helper()
	if err := s.close(); err != nil {
		b.Fatal(err)
	}
}

const ttl = 72 * time.Hour

func event() dedupe.Event {
	return dedupe.Event{Content: dedupe.Key(dedupe.NewToken()), ID: dedupe.Key(dedupe.NewToken())}
}

// numbered is an event that can be made again from its number.
func numbered(n int) dedupe.Event {
	var number [8]byte
	binary.BigEndian.PutUint64(number[:], uint64(n))
	return dedupe.Event{Content: dedupe.NewKey("content", number[:]), ID: dedupe.NewKey("id", number[:])}
}

// fill commits n numbered events, many at once: it is not what is measured.
func fill(b *testing.B, s store, n int) {
	b.Helper()
	var next atomic.Int64
	var callers sync.WaitGroup
	for range 2048 {
		callers.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := s.commit(numbered(i), ttl); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// each runs a benchmark on every database that holds so many events, each of them in a
// directory of its own. A pattern such as Holding/pebble/holding=1000000 picks one, and
// with it a process of its own, which is what figures of memory need.
func each(b *testing.B, held []int, bench func(b *testing.B, db database, dir string, held int)) {
	for _, db := range databases {
		b.Run(db.name, func(b *testing.B) {
			for _, n := range held {
				b.Run(fmt.Sprintf("holding=%d", n), func(b *testing.B) {
					dir := b.TempDir()
					s := db.start(b, dir)
					fill(b, s, n)
					stop(b, s)
					bench(b, db, dir, n)
				})
			}
		})
	}
}

// BenchmarkCommit is a durable commit of an event with two keys, by so many callers
// at once.
func BenchmarkCommit(b *testing.B) {
	each(b, []int{0, 200_000}, func(b *testing.B, db database, dir string, _ int) {
		s := db.start(b, dir)
		defer stop(b, s)
		for _, callers := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if err := s.commit(event(), ttl); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
			})
		}
	})
}

// BenchmarkHolding tells what it costs to hold events: bytes on the disk for each, the
// process's memory, the time to open, and look-ups of the two keys of an event.
func BenchmarkHolding(b *testing.B) {
	each(b, []int{10_000, 200_000, 1_000_000}, func(b *testing.B, db database, dir string, held int) {
		begun := time.Now()
		s := db.start(b, dir)
		opened := time.Since(begun)
		defer stop(b, s)
		for _, known := range []bool{true, false} {
			b.Run(fmt.Sprintf("known=%t", known), func(b *testing.B) {
				for b.Loop() {
					ev := event()
					if known {
						ev = numbered(1 + rand.IntN(held))
					}
					for _, k := range []dedupe.Key{ev.Content, ev.ID} {
						if found, err := s.known(k); err != nil || found != known {
							b.Fatal(found, err)
						}
					}
				}
				b.ReportMetric(float64(size(b, dir))/float64(held), "disk-B/event")
				b.ReportMetric(float64(opened.Milliseconds()), "open-ms")
				runtime.GC()
				b.ReportMetric(resident(b, "RssAnon"), "anon-MiB")
				b.ReportMetric(resident(b, "RssFile"), "mapped-MiB")
			})
		}
	})
}

// size is what the directory takes on the disk: files may have holes.
func size(b *testing.B, dir string) (bytes int64) {
	b.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			bytes += blocks(info)
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return bytes
}

// resident is a line of /proc/self/status in MiB.
func resident(b *testing.B, name string) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); fields[0] == name+":" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	b.Fatalf("no line %s", name)
	return 0
}
