// Package powercut says what a power cut could leave of files, for the tests of stores.
//
// A [Recorder], whose methods are safe for concurrent use, is told each write, sync and change of a name, in their order. At any moment
// what was synced is on the disk. Of what was not, each write is there or not, whole or in any
// of its sectors; a file has its new size or its old one; a name is there or not. That is what
// POSIX leaves open, and more than most file systems do. It is not what a disk does that lies
// about its syncs, or that damages what it had.
package powercut

import (
	"encoding/binary"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

const (
	// sector is what a disk writes as a whole.
	sector = 512
	// page is what a database writes as a whole; the first two say which of the others count.
	page = 4096
)

// Recorder has the steps of a store, from a moment on at which all was on the disk.
type Recorder struct {
	// Most is how many states there are at most for one moment. Where there could be more,
	// they are drawn.
	Most int

	lock    sync.Mutex // guards what follows
	rand    *rand.Rand
	durable map[string][]byte // the files, by path
	pending []step            // what may be on the disk
	mark    int               // what the last Mark has said
	database
	seen   map[uint64]bool
	states func(State) bool
	ended  bool
}

// State is what a power cut could leave.
type State struct {
	Files map[string][]byte // by path
	Mark  int               // the last one before the cut
}

// database is a file that is written in transactions, each of which syncs its pages before it
// says that they count.
type database struct {
	path     string
	old, new []byte  // new is nil until the transaction is on the disk
	since    []State // what was left at each moment since it began
}

// step is something that may be on the disk.
type step struct {
	path string
	// variants change the files in all ways in which it may be there; the first one does
	// nothing.
	variants []func(map[string][]byte)
}

// New begins with the files of a directory, and calls states with what a cut could leave at
// each moment, until it returns false.
func New(dir string, seed uint64, states func(State) bool) (*Recorder, error) {
	r := &Recorder{Most: 48, rand: rand.New(rand.NewPCG(seed, 3)), durable: make(map[string][]byte), seen: make(map[uint64]bool), states: states}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if r.durable[path], err = os.ReadFile(path); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Create records that a file was made, or emptied.
func (r *Recorder) Create(path string) {
	r.add(path, func(files map[string][]byte) {
		if files[path] == nil {
			files[path] = []byte{}
		}
	})
}

// Remove records that a name was removed.
func (r *Recorder) Remove(path string) {
	r.add(path, func(files map[string][]byte) { delete(files, path) })
}

// Truncate records that a file got another size.
func (r *Recorder) Truncate(path string, size int64) {
	r.add(path, func(files map[string][]byte) {
		if data, ok := files[path]; ok {
			files[path] = resized(data, int(size))
		}
	})
}

// Write records that data was written to a file.
func (r *Recorder) Write(path string, data []byte, at int64) {
	data = slices.Clone(data)
	r.lock.Lock()
	sectors := r.sectorsOf(int(at), len(data))
	r.lock.Unlock()
	var variants []func(map[string][]byte)
	for _, there := range sectors {
		variants = append(variants, func(files map[string][]byte) {
			file, ok := files[path]
			if !ok {
				return // its name is not there
			}
			file = resized(file, max(len(file), int(at)+len(data)))
			for n, is := range there {
				first := int(at) / sector * sector
				from, to := max(first+n*sector, int(at)), min(first+(n+1)*sector, int(at)+len(data))
				if is {
					copy(file[from:to], data[from-int(at):to-int(at)])
				}
			}
			files[path] = file
		})
	}
	r.add(path, variants...)
}

// resized returns a copy of data of another size.
func resized(data []byte, size int) []byte {
	return append(slices.Clone(data[:min(len(data), size)]), make([]byte, max(0, size-len(data)))...)
}

// sectorsOf returns which sectors of a write may be there: all combinations of few, and of
// many the prefixes, the suffixes, all but one, and some that are drawn. The last one is all.
func (r *Recorder) sectorsOf(at, size int) (all [][]bool) {
	n := (at+size-1)/sector - at/sector + 1
	pick := func(is func(i int) bool) {
		there := make([]bool, n)
		for i := range there {
			there[i] = is(i)
		}
		all = append(all, there)
	}
	if n <= 4 {
		for bits := range 1 << n {
			pick(func(i int) bool { return bits>>i&1 == 1 })
		}
		return all
	}
	for cut := range n {
		pick(func(i int) bool { return i < cut })
		pick(func(i int) bool { return i > cut })
		pick(func(i int) bool { return i != cut })
		pick(func(int) bool { return r.rand.IntN(2) == 0 })
	}
	pick(func(int) bool { return true })
	return all
}

// add adds a step that may be there in some variants, of which the last is all of it.
func (r *Recorder) add(path string, variants ...func(map[string][]byte)) {
	r.lock.Lock()
	defer r.lock.Unlock()
	none := func(map[string][]byte) {}
	r.pending = append(r.pending, step{path, append([]func(map[string][]byte){none}, variants...)})
	r.emit()
}

// Sync records that what was written to a file is on the disk, and maybe its name is not.
func (r *Recorder) Sync(path string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	var left []step
	_, named := r.durable[path]
	for _, s := range r.pending {
		whole := s.variants[len(s.variants)-1]
		switch {
		case s.path != path:
			left = append(left, s)
		case named:
			whole(r.durable)
		default:
			s.variants = []func(map[string][]byte){s.variants[0], whole}
			left = append(left, s)
		}
	}
	r.pending = left
	r.emit()
}

// SyncDir records that names are on the disk. Whoever calls it has synced the files, so that
// nothing is pending any more.
func (r *Recorder) SyncDir() {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, s := range r.pending {
		s.variants[len(s.variants)-1](r.durable)
	}
	r.pending = nil
	r.emit()
}

// Begin records that a transaction of a database has begun. It may reach the disk at any time
// until End.
func (r *Recorder) Begin(path string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.database = database{path: path, old: r.durable[path], since: []State{}}
}

// End records that the transaction is on the disk, as the file now is. Until it is, a cut
// leaves what was there before, with any of the pages that it writes to where nothing counts.
func (r *Recorder) End() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	data, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	r.new = data
	since := r.since
	r.since = nil
	for _, s := range since {
		r.give(s.Files, s.Mark)
	}
	r.emit()
	r.durable[r.path] = data
	r.database = database{}
	return nil
}

// Mark records what has been acknowledged.
func (r *Recorder) Mark(n int) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.mark = n
	r.emit()
}

// emit calls states with what a cut could leave now.
func (r *Recorder) emit() {
	combinations := 1
	for _, s := range r.pending {
		if combinations *= len(s.variants); combinations > r.Most {
			break
		}
	}
	choose := func(draw func(n int) int) map[string][]byte {
		files := maps.Clone(r.durable)
		for _, s := range r.pending {
			s.variants[draw(len(s.variants))](files)
		}
		return files
	}
	if combinations <= r.Most {
		for n := range combinations {
			r.give(choose(func(of int) (i int) { i, n = n%of, n/of; return i }), r.mark)
		}
		return
	}
	r.give(choose(func(int) int { return 0 }), r.mark)
	r.give(choose(func(of int) int { return of - 1 }), r.mark)
	for range r.Most - 2 {
		r.give(choose(r.rand.IntN), r.mark)
	}
}

// give calls states with files, and with all ways in which a transaction may be in them.
func (r *Recorder) give(files map[string][]byte, mark int) {
	r.giveOnce(files, mark)
	if r.since != nil {
		r.since = append(r.since, State{files, mark})
	}
	if r.new == nil {
		return
	}
	for n := range 3 {
		some := maps.Clone(files)
		some[r.path] = r.partly(n)
		r.giveOnce(some, mark)
	}
	whole := maps.Clone(files)
	whole[r.path] = r.new
	r.giveOnce(whole, mark)
}

// partly is the database with some of the pages that the transaction writes; with all of them
// where n is 0, but for those that say that they count.
func (r *Recorder) partly(n int) []byte {
	file := resized(r.old, max(len(r.old), len(r.new)))
	for at := 2 * page; at < len(r.new); at += page {
		if to := min(at+page, len(r.new)); n == 0 || r.rand.IntN(2) == 0 {
			copy(file[at:to], r.new[at:to])
		}
	}
	return file
}

func (r *Recorder) giveOnce(files map[string][]byte, mark int) {
	h := fnv.New64a()
	for _, path := range slices.Sorted(maps.Keys(files)) {
		h.Write([]byte(path))
		h.Write(files[path])
		h.Write([]byte{0})
	}
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(mark)))
	if sum := h.Sum64(); !r.ended && !r.seen[sum] {
		r.seen[sum] = true
		r.ended = !r.states(State{files, mark})
	}
}

// Write puts the files of a state into a directory, under their names.
func (s State) Write(dir string) error {
	for path, data := range s.Files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}
