package disk_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/inbox/disk"
	"github.com/webhookguard/caddy-webhook-guard/inbox/queuetest"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile/powercut"
)

// recorded is a layer that tells a recorder what goes through it.
type recorded struct {
	disk.Layer
	rec func() *powercut.Recorder
}

func (l recorded) Create(path string) (disk.File, error) {
	f, err := l.Layer.Create(path)
	if err == nil {
		l.rec().Create(path)
	}
	return recordedFile{f, path, l.rec}, err
}

func (l recorded) Open(path string) (disk.File, int64, error) {
	f, size, err := l.Layer.Open(path)
	return recordedFile{f, path, l.rec}, size, err
}

func (l recorded) Remove(path string) error {
	err := l.Layer.Remove(path)
	if err == nil {
		l.rec().Remove(path)
	}
	return err
}

func (l recorded) SyncDir(dir string) error {
	err := l.Layer.SyncDir(dir)
	if err == nil {
		l.rec().SyncDir()
	}
	return err
}

type recordedFile struct {
	disk.File
	path string
	rec  func() *powercut.Recorder
}

func (f recordedFile) WriteAt(data []byte, at int64) (int, error) {
	n, err := f.File.WriteAt(data, at)
	f.rec().Write(f.path, data[:n], at)
	return n, err
}

func (f recordedFile) Truncate(size int64) error {
	err := f.File.Truncate(size)
	if err == nil {
		f.rec().Truncate(f.path, size)
	}
	return err
}

func (f recordedFile) SyncData() error {
	err := f.File.SyncData()
	if err == nil {
		f.rec().Sync(f.path)
	}
	return err
}

// unsynced is a layer for which nobody waits, where no power is cut.
type unsynced struct{ disk.Layer }

type unsyncedFile struct{ disk.File }

func (unsyncedFile) SyncData() error  { return nil }
func (unsynced) SyncDir(string) error { return nil }
func (l unsynced) Create(path string) (disk.File, error) {
	f, err := l.Layer.Create(path)
	return unsyncedFile{f}, err
}

func (l unsynced) Open(path string) (disk.File, int64, error) {
	f, size, err := l.Layer.Open(path)
	return unsyncedFile{f}, size, err
}

// lasting is all of an inbox that outlasts the process and does not change with time.
func lasting(t *testing.T, q inbox.Queue) map[inbox.Key]string {
	t.Helper()
	all := see(t, q)
	s := all.status
	all.records[inbox.Key{}] = fmt.Sprintln(s.Waiting(), s.Dead, s.Done, s.Bytes, s.Reasons, s.Paused)
	for k := range all.records {
		if k == (inbox.Key{}) {
			continue
		}
		r, err := q.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		if r.State.Waits() {
			r.State = inbox.Ready
		}
		all.records[k] = fmt.Sprintf("%+v", r)
	}
	return all.records
}

// The store is opened from every state in which a power cut could have left its files, at any
// moment of a run with checkpoints, new segments, compactions and removals. Each one opens,
// and has all that was acknowledged, exactly as it was: nothing but the one step that was
// under way may be there beyond it.
func TestEveryPowerCutLeavesWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	for seed := range cuts {
		t.Run(fmt.Sprint("run ", seed), func(t *testing.T) {
			t.Parallel()
			cutPower(t, uint64(seed), cutSteps)
		})
	}
}

func cutPower(t *testing.T, seed uint64, steps int) {
	clock, dir := queuetest.NewClock(), t.TempDir()
	var rec *powercut.Recorder
	var states []powercut.State
	record := func() *powercut.Recorder {
		if rec == nil { // the database is there, and nothing else
			var err error
			if rec, err = powercut.New(dir, seed, func(s powercut.State) bool {
				states = append(states, s)
				return true
			}); err != nil {
				t.Fatal(err)
			}
		}
		return rec
	}
	gate := make(chan struct{}, 1) // lets a checkpoint go on, which others have overtaken
	o := disk.Options{Dir: dir, Now: clock.Now}.WithSegments(2000).WithAhead(700).WithCheckpoints(6).WithHooks(
		func() { rec.Begin(dir + "/inbox.db"); <-gate },
		func() {
			if err := rec.End(); err != nil {
				t.Error(err)
			}
		}).WithLayer(func(l disk.Layer) disk.Layer { return recorded{l, record} })
	s, err := disk.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	options := inbox.Options{KeepBodies: seed == 1, Keep: 10 * time.Minute, KeepDead: 20 * time.Minute}
	q := queueOf(t, s, options)
	w := newWalker(t, seed, clock, 900)
	known := []map[inbox.Key]string{lasting(t, q)}
	for n := 1; n <= steps; n++ {
		w.step(q)
		known = append(known, lasting(t, q))
		rec.Mark(n)
		if n%9 == 0 {
			select {
			case gate <- struct{}{}:
			default:
			}
		}
	}
	known = append(known, known[steps])
	close(gate)
	closeDisk(t, s)
	t.Logf("%d states of %d steps, %d segments, %d envelopes copied", len(states), steps, s.Segments(), s.Copied())
	if len(states) < 2*steps {
		t.Fatalf("only %d states were found", len(states))
	}
	for n, state := range states {
		check(t, state, clock, options, known, n%10 == 0)
		if t.Failed() {
			t.Fatalf("that was state %d, after step %d", n, state.Mark)
		}
	}
}

// check opens a state, and looks whether it has what is known to have been acknowledged. Where
// again is set it goes on from there.
func check(t *testing.T, state powercut.State, clock *queuetest.Clock, options inbox.Options, known []map[inbox.Key]string, again bool) {
	t.Helper()
	o := disk.Options{Dir: t.TempDir(), Now: clock.Now}.WithLayer(func(l disk.Layer) disk.Layer { return unsynced{l} })
	if err := state.Write(o.Dir); err != nil {
		t.Fatal(err)
	}
	s, err := disk.Open(o)
	if err != nil {
		t.Error(err)
		return
	}
	q := queueOf(t, s, options)
	got := lasting(t, q)
	if want, next := known[state.Mark], known[state.Mark+1]; !reflect.DeepEqual(got, want) && !reflect.DeepEqual(got, next) {
		for k, r := range want {
			if got[k] != r {
				t.Errorf("%s was\n%s, and is\n%s\nor could be\n%s", k, r, got[k], next[k])
			}
		}
		t.Errorf("there are %d events, want %d or %d", len(got)-1, len(want)-1, len(next)-1)
	}
	if again {
		if err := q.Pause(t.Context(), false); err != nil {
			t.Error(err)
		}
		if _, err := q.Put(t.Context(), eventOf(5000, 700)); err != nil {
			t.Error(err)
		}
		before := lasting(t, q)
		s.Crash(t)
		if s, err = disk.Open(o); err != nil {
			t.Error(err)
			return
		}
		if after := lasting(t, queueOf(t, s, options)); !reflect.DeepEqual(before, after) {
			t.Error("what went on from there was not kept")
		}
	}
	s.Crash(t)
}
