package inbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"

	"github.com/klauspost/compress/s2"
)

// An encoded envelope is the version (1 byte), the CRC-32C of what follows before it was
// compressed (4, big-endian), and a block of S2, which begins with its length, of
//
//	method, URI, scheme, host, remote address   each: length (uvarint), text
//	number of headers (uvarint), in the order of their names, each:
//	  name (length, text), number of values (uvarint), values (length, text)
//	body                                        the rest
//
// S2 leaves some 20% more of an event's 1 to 4 KB than zstd does, which is 5 to 10% of what
// an event takes in a store. It takes a twelfth of the time, which is a tenth of an event's.
const (
	envelopeVersion = 3
	envelopeHead    = 1 + 4
	// maxEnvelope bounds what is made of an encoded envelope, in bytes. Bodies that a gateway
	// accepts are far smaller.
	maxEnvelope = 1 << 30
)

var (
	errEnvelope = errors.New("the envelope cannot be read")
	// ErrNewer is returned for an envelope of a version to come: a newer gateway on the same
	// store has written it, or one that was here before this.
	ErrNewer = errors.New("a later version of the gateway has written it")
)

// Envelope is a verified request, as the app is to get it.
type Envelope struct {
	Method, URI, Scheme, Host, RemoteAddr string
	// Header has the headers that the app gets, less the token.
	Header map[string][]string
	Body   []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// plains and blocks are kept for the next envelope.
var (
	plains = sync.Pool{New: func() any { return new([]byte) }}
	blocks = sync.Pool{New: func() any { return new([]byte) }}
)

// mostKept is the largest that is kept.
const mostKept = 1 << 20

// Encode returns e in one compressed piece. Equal envelopes are equal pieces.
func (e *Envelope) Encode() []byte {
	room := plains.Get().(*[]byte)
	plain := (*room)[:0]
	for _, text := range []string{e.Method, e.URI, e.Scheme, e.Host, e.RemoteAddr} {
		plain = appendText(plain, text)
	}
	plain = binary.AppendUvarint(plain, uint64(len(e.Header)))
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		plain = appendText(plain, name)
		values := e.Header[name]
		plain = binary.AppendUvarint(plain, uint64(len(values)))
		for _, value := range values {
			plain = appendText(plain, value)
		}
	}
	plain = append(plain, e.Body...)
	encoded := compress(plain)
	if cap(plain) <= mostKept {
		*room = plain
		plains.Put(room)
	}
	return encoded
}

// compress returns plain as an encoded envelope. What it makes room for is seldom all used, so
// what is kept is a copy.
func compress(plain []byte) []byte {
	room := blocks.Get().(*[]byte)
	block := s2.Encode((*room)[:cap(*room)], plain)
	encoded := append(make([]byte, 0, envelopeHead+len(block)), envelopeVersion)
	encoded = binary.BigEndian.AppendUint32(encoded, crc32.Checksum(plain, castagnoli))
	encoded = append(encoded, block...)
	if cap(block) <= mostKept {
		*room = block
		blocks.Put(room)
	}
	return encoded
}

func appendText(to []byte, text string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// DecodeEnvelope reads what Encode returned. The body is a part of memory that nobody else
// has.
func DecodeEnvelope(encoded []byte) (Envelope, error) { return decodeEnvelope(encoded, maxEnvelope) }

func decodeEnvelope(encoded []byte, most uint64) (e Envelope, err error) {
	if len(encoded) > 0 && encoded[0] > envelopeVersion {
		return e, fmt.Errorf("%w: %w", errEnvelope, ErrNewer)
	}
	if len(encoded) == 0 || encoded[0] != envelopeVersion {
		return e, fmt.Errorf("%w: it is not of this version", errEnvelope)
	}
	block := encoded[min(envelopeHead, len(encoded)):]
	size, err := s2.DecodedLen(block)
	if err != nil || uint64(size) > most {
		return e, fmt.Errorf("%w: its size makes no sense", errEnvelope)
	}
	plain, err := s2.Decode(nil, block)
	if err != nil || binary.BigEndian.Uint32(encoded[1:]) != crc32.Checksum(plain, castagnoli) {
		return e, fmt.Errorf("%w: its block is damaged", errEnvelope)
	}
	r := envelopeReader{rest: plain}
	e = Envelope{Method: r.text(), URI: r.text(), Scheme: r.text(), Host: r.text(), RemoteAddr: r.text()}
	e.Header = r.header()
	if r.failed {
		return Envelope{}, fmt.Errorf("%w: its fields make no sense", errEnvelope)
	}
	e.Body = r.rest
	return e, nil
}

// envelopeReader reads fields one after the other, until one makes no sense.
type envelopeReader struct {
	rest   []byte
	failed bool
}

func (r *envelopeReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	// Each thing that is counted takes a byte at least, so a larger number is none. One way
	// to write a number keeps equal envelopes equal.
	if n <= 0 || v > uint64(len(r.rest)-n) || n > 1 && r.rest[n-1] == 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *envelopeReader) text() string {
	n := r.number()
	text := string(r.rest[:n])
	r.rest = r.rest[n:]
	return text
}

func (r *envelopeReader) header() map[string][]string {
	n := r.number()
	header := make(map[string][]string, min(n, 64))
	last := ""
	for i := range n {
		name := r.text()
		if i > 0 && name <= last {
			r.failed = true
		}
		last = name
		values := make([]string, r.number())
		for v := range values {
			values[v] = r.text()
		}
		if r.failed {
			return nil
		}
		header[name] = values
	}
	return header
}
