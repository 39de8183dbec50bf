package disk

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// A segment begins with 64 bytes, and goes on with one batch after the other. All numbers are
// big-endian; a checksum is CRC-32C, begun with the store's ID, so that nobody who sends
// events can write what looks like a batch:
//
//	segment  "webhook_guard inbox 1\n", store (16), number of the segment (8), number of its first batch (8), checksum (4), zeros
//	batch    "wgi1", checksum of the rest of the head (4), number (8), time (unix ms, 8),
//	         length of the bodies (8) and of the changes (4), checksum of the changes (4), bodies, changes
//	body     checksum of key and envelope (4), envelope
//	change   what (1), name of the inbox, and
//	         event: key (16), parts (1), entry, texts (part 1), attempt (part 2)
//	         removed: key (16)
//	         pause: 0 or 1
//
// Batches are numbered through all segments.
const (
	segmentMagic = "webhook_guard inbox 1\n"
	segmentHead  = 64
	batchMagic   = "wgi1"
	batchHead    = 4 + 4 + 8 + 8 + 8 + 4 + 4
	bodyHead     = 4

	changeEvent   = 1
	changeRemoved = 2
	changePause   = 3

	partMeta    = 1
	partAttempt = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// storeID is what the files of one store have in common.
type storeID [16]byte

func (id storeID) checksum(parts ...[]byte) uint32 {
	sum := crc32.Checksum(id[:], castagnoli)
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

// encodeSegmentHead returns what a segment begins with.
func (id storeID) encodeSegmentHead(number, first uint64) []byte {
	head := append(make([]byte, 0, segmentHead), segmentMagic...)
	head = append(head, id[:]...)
	head = binary.BigEndian.AppendUint64(head, number)
	head = binary.BigEndian.AppendUint64(head, first)
	head = binary.BigEndian.AppendUint32(head, id.checksum(head))
	return head[:segmentHead]
}

// parseSegmentHead returns the number of a segment's first batch.
func (id storeID) parseSegmentHead(head []byte, number uint64) (first uint64, ok bool) {
	if len(head) < segmentHead {
		return 0, false
	}
	first = binary.BigEndian.Uint64(head[len(segmentMagic)+16+8:])
	return first, string(id.encodeSegmentHead(number, first)) == string(head[:segmentHead])
}

// encodeBatchHead fills in the first bytes of a batch, whose changes are its end.
func (id storeID) encodeBatchHead(batch []byte, number uint64, now int64, changes int) {
	head := append(batch[:0], batchMagic...)
	head = binary.BigEndian.AppendUint32(head, 0)
	head = binary.BigEndian.AppendUint64(head, number)
	head = binary.BigEndian.AppendUint64(head, uint64(now))
	head = binary.BigEndian.AppendUint64(head, uint64(len(batch)-batchHead-changes))
	head = binary.BigEndian.AppendUint32(head, uint32(changes))
	head = binary.BigEndian.AppendUint32(head, id.checksum(batch[len(batch)-changes:]))
	binary.BigEndian.PutUint32(head[4:], id.checksum(head[8:]))
}

// batchInfo is what the head of a batch says.
type batchInfo struct {
	number          uint64
	time            int64
	bodies, changes uint64 // their lengths
	sum             uint32
}

func (b batchInfo) size() uint64 { return batchHead + b.bodies + b.changes }

// parseBatchHead reads the head that data begins with. It reports false where there is no
// sound one.
func (id storeID) parseBatchHead(data []byte) (b batchInfo, ok bool) {
	if len(data) < batchHead || string(data[:4]) != batchMagic || binary.BigEndian.Uint32(data[4:]) != id.checksum(data[8:batchHead]) {
		return b, false
	}
	b.number = binary.BigEndian.Uint64(data[8:])
	b.time = int64(binary.BigEndian.Uint64(data[16:]))
	b.bodies = binary.BigEndian.Uint64(data[24:])
	b.changes = uint64(binary.BigEndian.Uint32(data[32:]))
	b.sum = binary.BigEndian.Uint32(data[36:])
	return b, b.bodies < 1<<62
}

// change is one change of a batch.
type change struct {
	what    byte
	name    string
	key     inbox.Key
	entry   *entry // with its texts, where they are there
	attempt []inbox.Attempt
	paused  bool
}

// parseChanges reads the changes of a batch.
func parseChanges(data []byte) (all []change, ok bool) {
	d := decoder{rest: data}
	for len(d.rest) > 0 && !d.failed {
		c := change{what: d.byte(), name: d.text()}
		switch c.what {
		case changeEvent:
			c.key = d.key()
			parts := d.byte()
			d.failed = d.failed || parts > partMeta|partAttempt
			c.entry = d.entry(c.key)
			if parts&partMeta != 0 {
				c.entry.meta = d.meta()
			}
			if parts&partAttempt != 0 {
				c.attempt = append(c.attempt, d.attempt())
			}
		case changeRemoved:
			c.key = d.key()
		case changePause:
			value := d.byte()
			c.paused, d.failed = value == 1, d.failed || value > 1
		default:
			return nil, false
		}
		if inbox.CheckName(c.name) != nil {
			return nil, false
		}
		all = append(all, c)
	}
	return all, !d.failed
}

// encodeBody appends an envelope with its checksum.
func (id storeID) encodeBody(to []byte, k inbox.Key, envelope []byte) []byte {
	return append(binary.BigEndian.AppendUint32(to, id.checksum(k[:], envelope)), envelope...)
}

// parseBody returns the envelope of a body, or nil.
func (id storeID) parseBody(body []byte, k inbox.Key) []byte {
	if len(body) < bodyHead || binary.BigEndian.Uint32(body) != id.checksum(k[:], body[bodyHead:]) {
		return nil
	}
	return body[bodyHead:]
}
