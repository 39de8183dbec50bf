package inbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// An encoded envelope is the version (1 byte), the length of what follows before it was
// compressed (uvarint), and a zstd frame of
//
//	method, URI, scheme, host, remote address   each: length (uvarint), text
//	number of headers (uvarint), in the order of their names, each:
//	  name (length, text), number of values (uvarint), values (length, text)
//	body                                        the rest
const (
	envelopeVersion = 1
	// maxEnvelope bounds what is made of an encoded envelope, in bytes. Bodies that a gateway
	// accepts are far smaller.
	maxEnvelope = 1 << 30
)

var errEnvelope = errors.New("the envelope cannot be read")

// Envelope is a verified request, as the app is to get it.
type Envelope struct {
	Method, URI, Scheme, Host, RemoteAddr string
	// Header has the headers that the app gets, less the token.
	Header map[string][]string
	Body   []byte
}

// coders compress and decompress for everybody. Their methods are safe for concurrent use,
// and keep little memory: webhooks are small, so the window is too.
var coders = sync.OnceValue(func() (c struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}) {
	var err1, err2 error
	c.encoder, err1 = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithWindowSize(256<<10), zstd.WithLowerEncoderMem(true), zstd.WithSingleSegment(true)) // which writes the size
	c.decoder, err2 = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0),
		zstd.WithDecoderMaxMemory(maxEnvelope), zstd.WithDecoderLowmem(true))
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // these options are sound
	}
	return c
})

// plains are kept for the next envelope.
var plains = sync.Pool{New: func() any { return new([]byte) }}

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
	encoded := make([]byte, 0, 64+len(plain)/2)
	encoded = binary.AppendUvarint(append(encoded, envelopeVersion), uint64(len(plain)))
	encoded = coders().encoder.EncodeAll(plain, encoded)
	if cap(plain) <= mostKept {
		*room = plain
		plains.Put(room)
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
	if len(encoded) == 0 || encoded[0] != envelopeVersion {
		return e, fmt.Errorf("%w: it is not of this version", errEnvelope)
	}
	size, n := binary.Uvarint(encoded[1:])
	if n <= 0 || size > most {
		return e, fmt.Errorf("%w: its size makes no sense", errEnvelope)
	}
	frame := encoded[1+n:]
	var head zstd.Header
	// The frame must say the same size, so that nothing larger is ever made of it.
	if err := head.Decode(frame); err != nil || !head.HasFCS || head.FrameContentSize != size {
		return e, fmt.Errorf("%w: its frame makes no sense", errEnvelope)
	}
	plain, err := coders().decoder.DecodeAll(frame, nil)
	if err != nil || uint64(len(plain)) != size {
		return e, fmt.Errorf("%w: its frame is damaged", errEnvelope)
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
