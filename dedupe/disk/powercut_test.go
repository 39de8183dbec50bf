package disk_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/disk"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile/powercut"
)

// recordedLog is a log file that tells a recorder what goes through it.
type recordedLog struct {
	disk.LogFile
	path string
	rec  func() *powercut.Recorder // nil while the store opens
}

func (f recordedLog) WriteAt(data []byte, at int64) (int, error) {
	n, err := f.LogFile.WriteAt(data, at)
	if rec := f.rec(); rec != nil {
		rec.Write(f.path, data[:n], at)
	}
	return n, err
}

func (f recordedLog) SyncData() error {
	err := f.LogFile.SyncData()
	if rec := f.rec(); rec != nil && err == nil {
		rec.Sync(f.path)
	}
	return err
}

// The store is opened from every state in which a power cut could have left its files, at any
// moment of a run in which its log files take turns. Each one opens, and has all events that
// were committed, exactly as they were: nothing but the one call that was under way may be
// there beyond it.
func TestDiskOpensAfterEveryPowerCut(t *testing.T) {
	t.Parallel()
	for seed := range uint64(cuts) {
		t.Run(fmt.Sprint("run ", seed), func(t *testing.T) {
			t.Parallel()
			cutPower(t, seed, cutSteps)
		})
	}
}

const someEvents = 12

func cutPower(t *testing.T, seed uint64, steps int) {
	dir, clock := t.TempDir(), testkit.NewClock()
	path := filepath.Join(dir, "events.db")
	var rec *powercut.Recorder
	var states []powercut.State
	gate := make(chan struct{}, 1)
	o := disk.Options{Dir: dir, Now: clock.Now}.
		WithLog(firstPage+700, func(f disk.LogFile) disk.LogFile {
			return recordedLog{f, disk.PathOf(f), func() *powercut.Recorder { return rec }}
		}).
		WithHooks(func() {
			rec.Begin(path)
			select { // commits overtake it, until they have to wait for it
			case <-gate:
			case <-time.After(50 * time.Millisecond):
			}
		}, func() {
			if err := rec.End(); err != nil {
				t.Error(err)
			}
		})
	d, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	rec, err = powercut.New(dir, seed, func(s powercut.State) bool { states = append(states, s); return true })
	if err != nil {
		t.Fatal(err)
	}
	draw := rand.New(rand.NewPCG(seed, 4))
	known := []map[dedupe.Key]dedupe.Record{lookUpAll(t, d)}
	for n := 1; n <= steps; n++ {
		ev := testkit.Numbered(draw.IntN(someEvents))
		if draw.IntN(5) == 0 {
			_, err = d.Forget(t.Context(), ev.ID)
		} else {
			success := dedupe.Success{Status: 200 + n%100, IDText: fmt.Sprint(n)}
			if draw.IntN(3) == 0 {
				success.Reply = dedupe.Reply{ContentType: "text/plain", Body: fmt.Sprint("wgb1", n)}
			}
			err = d.Commit(t.Context(), ev, success, time.Duration(1+draw.IntN(5))*time.Hour)
		}
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, lookUpAll(t, d))
		rec.Mark(n)
		if n%16 == 0 {
			select {
			case gate <- struct{}{}:
			default:
			}
		}
	}
	close(gate)
	d.Crash(t)
	known = append(known, known[steps])
	t.Logf("%d states of %d steps", len(states), steps)
	if len(states) < 2*steps {
		t.Fatalf("only %d states were found", len(states))
	}
	for n, state := range states {
		o := disk.Options{Dir: t.TempDir(), Now: clock.Now}
		if err := state.Write(o.Dir); err != nil {
			t.Fatal(err)
		}
		d, err := disk.Open(o)
		if err != nil {
			t.Fatalf("state %d, after step %d: %v", n, state.Mark, err)
		}
		got := lookUpAll(t, d)
		if want, next := known[state.Mark], known[state.Mark+1]; !reflect.DeepEqual(got, want) && !reflect.DeepEqual(got, next) {
			t.Fatalf("state %d, after step %d: it has\n%v, want\n%v or\n%v", n, state.Mark, got, want, next)
		}
		d.Crash(t)
	}
}

// lookUpAll returns what the store knows of all events that there may be.
func lookUpAll(t *testing.T, d *disk.Store) map[dedupe.Key]dedupe.Record {
	t.Helper()
	all := make(map[dedupe.Key]dedupe.Record)
	for n := range someEvents {
		for k := range testkit.Numbered(n).Keys() {
			r, err := d.Lookup(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			if r.State != dedupe.Absent {
				all[k] = r
			}
		}
	}
	return all
}
