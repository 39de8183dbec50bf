package signature

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash/crc32"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// optional is a function that changes nothing in a value, but allows it to be
// absent. Adyen signs an empty text for a field that its event does not have.
const optional = "optional"

// functionJSON is a function that changes nothing in a body, and says that it is a JSON object
// or list, or nothing: its braces then mark where it begins and ends.
const functionJSON = "json"

// functionLine is a function that changes nothing in a value, and says that it is of one line:
// line breaks in the text around it then mark where it begins and ends.
const functionLine = "line"

// functionCRC32 writes the checksum of a value as a decimal number. It is no digest: anyone can
// make another value with the same one, so it covers nothing.
const functionCRC32 = "crc32"

// functions work on the end of dst, from start on.
var functions = map[string]func(dst []byte, start int) []byte{
	"sha256":            appendSHA256,
	"hex":               appendHex,
	"base64":            appendBase64,
	"base64url":         appendBase64URL,
	"lower":             appendLower,
	"unescape_reserved": unescapeReserved,
	"php_json":          phpJSON,
	optional:            unchanged,
	functionJSON:        unchanged,
	functionLine:        unchanged,
	functionCRC32:       appendCRC32,
}

const (
	wholeFunctionList = "sha256 hex base64 base64url lower unescape_reserved php_json"
	functionList      = wholeFunctionList + " " + optional + " " + functionJSON + " " + functionLine + " " + functionCRC32
)

func unchanged(dst []byte, _ int) []byte { return dst }

func appendSHA256(dst []byte, start int) []byte {
	sum := sha256.Sum256(dst[start:])
	return append(dst[:start], sum[:]...)
}

func appendCRC32(dst []byte, start int) []byte {
	return strconv.AppendUint(dst[:start], uint64(crc32.ChecksumIEEE(dst[start:])), 10)
}

func appendHex(dst []byte, start int) []byte {
	return moveDown(hex.AppendEncode(dst, dst[start:]), start, len(dst))
}

func appendBase64(dst []byte, start int) []byte {
	return moveDown(base64.StdEncoding.AppendEncode(dst, dst[start:]), start, len(dst))
}

// appendBase64URL writes no padding, as RFC 7515 defines it.
func appendBase64URL(dst []byte, start int) []byte {
	return moveDown(base64.RawURLEncoding.AppendEncode(dst, dst[start:]), start, len(dst))
}

// moveDown replaces dst[start:] by dst[middle:]. No encoder promises to work in place,
// and a copy costs less than an allocation.
func moveDown(dst []byte, start, middle int) []byte {
	return append(dst[:start], dst[middle:]...)
}

func appendLower(dst []byte, start int) []byte {
	for i, c := range dst[start:] {
		if c >= 'A' && c <= 'Z' {
			dst[start+i] = c | 0x20
		}
	}
	return dst
}

// reserved are the characters whose escapes HubSpot decodes in the URL before
// it signs it: the table in "Validate the v3 request signature",
// https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
const reserved = ":/?@!$'()*,;"

func unescapeReserved(dst []byte, start int) []byte {
	out := dst[:start]
	for i := start; i < len(dst); i++ {
		if dst[i] == '%' && i+2 < len(dst) {
			var c [1]byte
			_, err := hex.Decode(c[:], dst[i+1:i+3])
			if err == nil && bytes.IndexByte([]byte(reserved), c[0]) >= 0 {
				out = append(out, c[0])
				i += 2
				continue
			}
		}
		out = append(out, dst[i])
	}
	return out
}

// phpJSON writes JSON as PHP's json_encode does without flags: no spaces, "/"
// as "\/" and everything beyond ASCII as \uXXXX in lower case. The order of
// keys and the text of numbers stay as they were sent; PHP decodes and encodes
// both to themselves.
func phpJSON(dst []byte, start int) []byte {
	src := slices.Clone(dst[start:])
	dst = dst[:start]
	for i := 0; i < len(src); i++ {
		switch c := src[i]; c {
		case ' ', '\t', '\r', '\n':
		case '"':
			end := endOfString(src, i)
			dst = append(dst, '"')
			dst = appendPHPText(dst, gjson.ParseBytes(src[i:end]).Str)
			dst = append(dst, '"')
			i = end - 1
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// endOfString is the place after the quote that ends the string at i.
func endOfString(src []byte, i int) int {
	for j := i + 1; j < len(src); j++ {
		switch src[j] {
		case '\\':
			j++
		case '"':
			return j + 1
		}
	}
	return len(src)
}

const lowerHex = "0123456789abcdef"

func appendPHPText(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, text[i]) // PHP would refuse it; it cannot verify
		case r == '"' || r == '\\' || r == '/':
			dst = append(dst, '\\', byte(r))
		case r == '\b':
			dst = append(dst, `\b`...)
		case r == '\f':
			dst = append(dst, `\f`...)
		case r == '\n':
			dst = append(dst, `\n`...)
		case r == '\r':
			dst = append(dst, `\r`...)
		case r == '\t':
			dst = append(dst, `\t`...)
		case r >= ' ' && r <= '~', r == 0x7f:
			dst = append(dst, byte(r))
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				dst = append(dst, '\\', 'u', lowerHex[unit>>12], lowerHex[unit>>8&15], lowerHex[unit>>4&15], lowerHex[unit&15])
			}
		}
		i += size
	}
	return dst
}
