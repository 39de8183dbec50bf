package signature

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// encoding turns signatures into text and back.
type encoding struct {
	name string
	// padded and bare are nil for hex. Strict refuses texts that differ only
	// in bits that no byte holds: there must be one text for one MAC.
	padded, bare *base64.Encoding
	// ofHex means that the base64 holds the lower-case hex text, not the bytes.
	ofHex bool
}

var encodings = [...]encoding{
	{name: "hex"},
	{"base64", base64.StdEncoding.Strict(), base64.RawStdEncoding.Strict(), false},
	{"base64url", base64.URLEncoding.Strict(), base64.RawURLEncoding.Strict(), false},
	{"base64hex", base64.StdEncoding.Strict(), base64.RawStdEncoding.Strict(), true},
}

func findEncoding(name string) (*encoding, error) {
	for i := range encodings {
		if encodings[i].name == name {
			return &encodings[i], nil
		}
	}
	return nil, fmt.Errorf("unknown encoding %q: use hex, base64, base64url, base64hex or jws", name)
}

// decodeMAC decodes a MAC of size bytes into dst. It is false for every text
// that is not exactly one MAC; hex may be in either case.
func (e *encoding) decodeMAC(dst *[maxMAC]byte, text string, size int) bool {
	if len(text) > maxEncodedMAC {
		return false
	}
	src := []byte(text) // without a copy, as none of the decoders writes to it
	if e.padded == nil {
		return decodeHex(dst, src, size)
	}
	if !e.ofHex {
		return e.decodeBase64(dst[:], src, size)
	}
	var digits [2 * maxMAC]byte
	if !e.decodeBase64(digits[:], src, hex.EncodedLen(size)) {
		return false
	}
	for _, c := range digits[:hex.EncodedLen(size)] {
		if c >= 'A' && c <= 'F' {
			return false
		}
	}
	return decodeHex(dst, digits[:hex.EncodedLen(size)], size)
}

func decodeHex(dst *[maxMAC]byte, src []byte, size int) bool {
	if len(src) != hex.EncodedLen(size) {
		return false
	}
	n, err := hex.Decode(dst[:], src)
	return err == nil && n == size
}

func (e *encoding) decodeBase64(dst, src []byte, size int) bool {
	var n int
	var err error
	switch len(src) {
	case e.padded.EncodedLen(size):
		n, err = e.padded.Decode(dst, src)
	case e.bare.EncodedLen(size):
		n, err = e.bare.Decode(dst, src)
	default:
		return false
	}
	// Go's base64 skips line breaks, so the length counts too.
	return err == nil && n == size
}

// maxSignature bounds the bytes of a signature whose length is not known from
// its algorithm. RSA with 8192 bits has 1024 of them.
const maxSignature = 1 << 10

// decode decodes a signature of any length up to maxSignature.
func (e *encoding) decode(text string) ([]byte, bool) {
	if text == "" || len(text) > 4*maxSignature || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	var out []byte
	var err error
	switch {
	case e.padded == nil:
		out, err = hex.DecodeString(text)
	case strings.HasSuffix(text, "="):
		out, err = e.padded.DecodeString(text)
	default:
		if out, err = e.bare.DecodeString(text); err != nil {
			return nil, false
		}
	}
	if err == nil && e.ofHex {
		if strings.ContainsAny(string(out), "ABCDEF") {
			return nil, false
		}
		out, err = hex.DecodeString(string(out))
	}
	return out, err == nil && len(out) > 0 && len(out) <= maxSignature
}

func (e *encoding) encode(mac []byte) string {
	if e.padded == nil {
		return hex.EncodeToString(mac)
	}
	if e.ofHex {
		mac = []byte(hex.EncodeToString(mac))
	}
	if e.name == "base64url" {
		// Unpadded, as RFC 7515 and Sanity write it; some verifiers compare texts.
		return e.bare.EncodeToString(mac)
	}
	return e.padded.EncodeToString(mac)
}
