package signature

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
)

// algorithm is an index into algorithms.
type algorithm int

// algorithms are the HMACs. SHA-1 is here because Twilio and old GitHub hooks
// use it: HMAC does not need the collision resistance that SHA-1 lost
// (RFC 6151 section 2 argues the same for MD5).
var algorithms = [...]struct {
	name string
	size int // of the MAC, in bytes
	new  func() hash.Hash
}{
	{"sha1", sha1.Size, sha1.New},
	{"sha256", sha256.Size, sha256.New},
	{"sha384", sha512.Size384, sha512.New384},
	{"sha512", sha512.Size, sha512.New},
}

// maxMAC is the longest MAC in bytes, maxEncodedMAC its longest text: hex.
const (
	maxMAC        = sha512.Size
	maxEncodedMAC = 2 * maxMAC
)

func findAlgorithm(name string) (algorithm, error) {
	for i, a := range algorithms {
		if a.name == name {
			return algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("unknown algorithm %q: use sha1, sha256, sha384 or sha512", name)
}

// encoding turns MACs into text and back.
type encoding struct {
	name string
	// padded and bare are nil for hex. Strict refuses texts that differ only
	// in bits that no byte holds: there must be one text for one MAC.
	padded, bare *base64.Encoding
}

var encodings = [...]encoding{
	{name: "hex"},
	{"base64", base64.StdEncoding.Strict(), base64.RawStdEncoding.Strict()},
	{"base64url", base64.URLEncoding.Strict(), base64.RawURLEncoding.Strict()},
}

func findEncoding(name string) (*encoding, error) {
	for i := range encodings {
		if encodings[i].name == name {
			return &encodings[i], nil
		}
	}
	return nil, fmt.Errorf("unknown encoding %q: use hex, base64 or base64url", name)
}

// decodeMAC decodes a MAC of size bytes into dst. It is false for every text
// that is not exactly one MAC; hex may be in either case.
func (e *encoding) decodeMAC(dst *[maxMAC]byte, text string, size int) bool {
	if len(text) > maxEncodedMAC {
		return false
	}
	var room [maxEncodedMAC]byte
	src := append(room[:0], text...)
	var n int
	var err error
	switch {
	case e.padded == nil:
		if len(src) != hex.EncodedLen(size) {
			return false
		}
		n, err = hex.Decode(dst[:], src)
	case len(src) == e.padded.EncodedLen(size):
		n, err = e.padded.Decode(dst[:], src)
	case len(src) == e.bare.EncodedLen(size):
		n, err = e.bare.Decode(dst[:], src)
	default:
		return false
	}
	// Go's base64 skips line breaks, so the length counts too.
	return err == nil && n == size
}

func (e *encoding) encode(mac []byte) string {
	if e.padded == nil {
		return hex.EncodeToString(mac)
	}
	return e.padded.EncodeToString(mac)
}
