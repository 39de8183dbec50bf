package disk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/diskfile"
)

// A log file is of fixed size. It is written from its beginning to its end, one batch of
// changes after the other, and then over again. Its first page says what it is and never
// changes. The names and marks on the disk still say "journal", as format 1 has them. All
// numbers are big-endian:
//
//	page    "webhook_guard journal 1\n", size of the file (8), store (16; an earlier version: zeros), zeros
//	batch   "wgb1", CRC-32C of what follows (4), length of the changes (4), number (8), time (unix ms, 8), changes
//	change  content key (16), ID key (16), expiry (unix ms, 8), status (2; 0: forgotten)
//
// A batch with a reply in it begins with "wgb2", and behind each change stands the length
// of its reply (4) and the reply, packed and escaped. A batch with the text of an ID in it
// begins with "wgb3", and behind each reply stand the length of that text (1), a zero, and
// the text, escaped.
//
// Batches are numbered through both files and all of their uses, so that what is left of
// an earlier use can be recognised: its numbers are lower.
const (
	logMagic = "webhook_guard journal 1\n"
	logStart = 4096
	// storeAt is where the first page says which store the file belongs to.
	storeAt = len(logMagic) + 8
	// logSize has room for 49,000 events in batches, or 28,000 that come alone; for 24,000
	// or 17,000 where there is an ID of 36 bytes to keep the text of.
	logSize = logStart + 2<<20

	batchMagic   = "wgb1"
	repliesMagic = "wgb2"
	idTextsMagic = "wgb3"
	magicStart   = "wgb" // of all
	magicSize    = 4
	batchHead    = 4 + 4 + 4 + 8 + 8
	changeSize   = 2*len(dedupe.Key{}) + 8 + 2
	// maxBatch bounds what one write hands to the disk, to 43 kB without the replies and the
	// texts of IDs.
	maxBatch = 1024
	// maxReplies bounds those in one write. A single one may be longer.
	maxReplies = 128 << 10
)

var (
	errNotLog  = errors.New("the file is not a journal of this version")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// change is what a batch says about an event: that it is finished, or forgotten.
type change struct {
	event   dedupe.Event
	expires int64  // unix ms
	status  int    // 0: forgotten
	reply   string // packed; "": none
	idText  string // "": none
}

// batch is what one write adds to the log.
type batch struct {
	number  uint64
	time    int64 // unix ms; what had expired by then was no more
	changes []change
}

// encode appends b as it stands in a log file.
func (b *batch) encode(to []byte) []byte {
	at := len(to)
	magic := b.magic()
	to = append(to, magic...)
	to = binary.BigEndian.AppendUint32(to, 0) // the checksum's place
	to = binary.BigEndian.AppendUint32(to, uint32(b.size()-batchHead))
	to = binary.BigEndian.AppendUint64(to, b.number)
	to = binary.BigEndian.AppendUint64(to, uint64(b.time))
	for _, c := range b.changes {
		to = append(to, c.event.Content[:]...)
		to = append(to, c.event.ID[:]...)
		to = binary.BigEndian.AppendUint64(to, uint64(c.expires))
		to = binary.BigEndian.AppendUint16(to, uint16(c.status))
		if magic == batchMagic {
			continue
		}
		reply := escape(c.reply)
		to = binary.BigEndian.AppendUint32(to, uint32(len(reply)))
		to = append(to, reply...)
		if magic == idTextsMagic {
			text := escape(c.idText)
			to = append(to, byte(len(text)), 0) // the zero keeps a length from beginning a magic
			to = append(to, text...)
		}
	}
	binary.BigEndian.PutUint32(to[at+4:], crc32.Checksum(to[at+8:], castagnoli))
	return to
}

// magic returns what b begins with.
func (b *batch) magic() string {
	magic := batchMagic
	for _, c := range b.changes {
		switch {
		case c.idText != "":
			return idTextsMagic
		case c.reply != "":
			magic = repliesMagic
		}
	}
	return magic
}

func (b *batch) size() int {
	size, magic := batchHead+len(b.changes)*changeSize, b.magic()
	if magic == batchMagic {
		return size
	}
	for _, c := range b.changes {
		size += 4 + escapedLen(c.reply)
		if magic == idTextsMagic {
			size += 2 + escapedLen(c.idText)
		}
	}
	return size
}

// escaped is what begins the magic of a batch. In a reply, and in the text of an ID, a zero
// follows it, so that no app or sender, and nobody whose text they repeat, can write what
// looks like a batch.
const escaped = "wg"

func escape(text string) string   { return strings.ReplaceAll(text, escaped, escaped+"\x00") }
func unescape(text string) string { return strings.ReplaceAll(text, escaped+"\x00", escaped) }
func escapedLen(text string) int  { return len(text) + strings.Count(text, escaped) }

// parseBatch reads the batch that data begins with. It reports false where there is no
// whole and sound one.
func parseBatch(data []byte) (b batch, ok bool) {
	if len(data) < batchHead {
		return batch{}, false
	}
	magic := string(data[:magicSize])
	length := uint64(binary.BigEndian.Uint32(data[8:]))
	switch {
	case length > uint64(len(data)-batchHead),
		magic != batchMagic && magic != repliesMagic && magic != idTextsMagic,
		magic == batchMagic && length%uint64(changeSize) != 0:
		return batch{}, false
	}
	data = data[:batchHead+length]
	if crc32.Checksum(data[8:], castagnoli) != binary.BigEndian.Uint32(data[4:]) {
		return batch{}, false
	}
	b.number, b.time = binary.BigEndian.Uint64(data[12:]), int64(binary.BigEndian.Uint64(data[20:]))
	for data = data[batchHead:]; len(data) > 0; {
		if len(data) < changeSize {
			return batch{}, false
		}
		c := change{
			event:   dedupe.Event{Content: dedupe.Key(data), ID: dedupe.Key(data[16:])},
			expires: int64(binary.BigEndian.Uint64(data[32:])),
			status:  int(binary.BigEndian.Uint16(data[40:])),
		}
		data = data[changeSize:]
		if magic != batchMagic {
			if c.reply, data, ok = parseReply(data); !ok {
				return batch{}, false
			}
		}
		if magic == idTextsMagic {
			if c.idText, data, ok = parseIDText(data); !ok {
				return batch{}, false
			}
		}
		b.changes = append(b.changes, c)
	}
	return b, magic == b.magic()
}

// parseReply reads the reply that data begins with, and returns what follows it.
func parseReply(data []byte) (reply string, rest []byte, ok bool) {
	if len(data) < 4 {
		return "", nil, false
	}
	size := uint64(binary.BigEndian.Uint32(data))
	if data = data[4:]; size > uint64(len(data)) {
		return "", nil, false
	}
	written := string(data[:size])
	reply = unescape(written)
	_, ok = dedupe.UnpackReply(reply)
	return reply, data[size:], ok && escape(reply) == written
}

// parseIDText reads the text of an ID that data begins with, and returns what follows it.
func parseIDText(data []byte) (text string, rest []byte, ok bool) {
	if len(data) < 2 || data[1] != 0 || len(data)-2 < int(data[0]) {
		return "", nil, false
	}
	written, rest := string(data[2:2+int(data[0])]), data[2+int(data[0]):]
	text = unescape(written)
	return text, rest, len(text) <= dedupe.MaxIDText && escape(text) == written
}

// wal is the write-ahead log: two files that take turns. After openWAL the writer's
// goroutine alone uses it, so it needs no lock.
type wal struct {
	dir    *diskfile.Directory
	files  [2]*segment   // the active one comes first
	next   uint64        // number of the next batch
	since  time.Duration // when the active file got its first batch, by the store's clock
	buffer []byte        // kept for its memory
}

// segment is one of the two files.
type segment struct {
	file logFile
	size int64
	at   int64 // where the next batch goes
}

// logFile is what the log needs of a file.
type logFile interface {
	io.WriterAt
	io.Closer
	// SyncData returns when what was written is on the disk.
	SyncData() error
}

// last is the number of the last batch.
func (w *wal) last() uint64 { return w.next - 1 }

// fits reports whether the active file has room for a batch.
func (w *wal) fits(b *batch) bool {
	active := w.files[0]
	return active.at+int64(b.size()) <= active.size
}

// room is what an empty log file can take. It never changes.
func (w *wal) room() int { return int(min(w.files[0].size, w.files[1].size)) - logStart }

// append writes a batch and returns when it is on the disk. After an error the next batch
// goes to the same place: nobody knows what a failed sync has left in memory, and what of
// it the disk has.
func (w *wal) append(b *batch, now time.Duration) error {
	active := w.files[0]
	if active.at == logStart {
		w.since = now
	}
	w.buffer = b.encode(w.buffer[:0])
	if _, err := active.file.WriteAt(w.buffer, active.at); err != nil {
		return err
	}
	if err := active.file.SyncData(); err != nil {
		return err
	}
	active.at += int64(len(w.buffer))
	w.next++
	return nil
}

// swap goes on at the beginning of the other file, whose batches are in the database.
func (w *wal) swap() {
	w.files[0], w.files[1] = w.files[1], w.files[0]
	w.files[0].at = logStart
}

func (w *wal) close() (err error) {
	for _, f := range w.files {
		if f != nil {
			err = errors.Join(err, f.file.Close())
		}
	}
	return err
}

// logPage is the first page of a log file.
func logPage(size int64, store storeID) []byte {
	page := append(make([]byte, 0, logStart), logMagic...)
	page = binary.BigEndian.AppendUint64(page, uint64(size))
	return append(page, store[:]...)[:logStart]
}

// readLog returns the batches that a log file holds, in the order of their numbers. Those
// up to the number done are in the database already.
//
// It ends where a batch is not sound. That is what a crash leaves of a write that was
// never acknowledged, as no batch is begun before the one in front of it is on the disk.
// So where a later one follows after all, the disk has lost what it had acknowledged.
func readLog(data []byte, done uint64) ([]batch, error) {
	size := int64(len(data))
	if size < logStart || !bytes.HasPrefix(data, []byte(logMagic)) {
		return nil, errNotLog
	}
	if want := int64(binary.BigEndian.Uint64(data[len(logMagic):])); size != want {
		return nil, fmt.Errorf("%w: %d bytes of %d are left", diskfile.ErrDamaged, size, want)
	}
	var run []batch
	last := done
	at := logStart
	for {
		b, ok := parseBatch(data[at:])
		if !ok || len(run) > 0 && b.number != run[len(run)-1].number+1 {
			break
		}
		if !b.sound() {
			return nil, fmt.Errorf("%w: batch %d makes no sense", diskfile.ErrDamaged, b.number)
		}
		run = append(run, b)
		last = max(last, b.number)
		at += b.size()
	}
	for from := at; ; from++ {
		next := bytes.Index(data[from:], []byte(magicStart))
		if next < 0 {
			return run, nil
		}
		from += next
		if b, ok := parseBatch(data[from:]); ok && b.number > last {
			return nil, fmt.Errorf("%w: something at byte %d cannot be read, and batch %d follows it", diskfile.ErrDamaged, at, b.number)
		}
	}
}

// sound reports whether the changes are such as a store makes.
func (b *batch) sound() bool {
	for _, c := range b.changes {
		if dedupe.CheckEvent(c.event) != nil || c.status != 0 && dedupe.CheckCommit(c.event, dedupe.Success{Status: c.status}, time.Hour) != nil {
			return false
		}
	}
	return true
}
