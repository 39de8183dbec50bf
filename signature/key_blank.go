package signature

import (
	"errors"
	"strings"
	"unicode"
)

// checkNotBlank refuses a secret that anybody has: nothing, white space, zero bytes, a byte
// order mark, or the prefix of a secret with nothing after it. HMAC pads a key with zero
// bytes (RFC 2104 section 2), so a key of zero bytes is the empty key. It is asked of the
// text and of the bytes that the text stands for.
func checkNotBlank(secret string) error {
	rest := TrimInvisible(secret)
	switch {
	case secret == "":
		return errors.New("the secret is empty")
	case rest == "":
		return errors.New("the secret is empty but for white space or zero bytes, so that anyone could sign with it")
	case isPrefix(rest):
		return errors.New("the secret is empty after its prefix, so that anyone could sign with it")
	}
	return nil
}

// TrimInvisible takes white space, zero bytes and byte order marks off the ends of a text.
// The mark of UTF-16 is no character, as that of UTF-8 is.
func TrimInvisible(text string) string {
	return strings.TrimFunc(strings.TrimPrefix(strings.TrimPrefix(text, "\xff\xfe"), "\xfe\xff"), invisible)
}

func invisible(r rune) bool {
	return r == 0 || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// isPrefix reports whether a text is what stands before secrets, and no more: whsec_.
func isPrefix(text string) bool {
	return strings.HasSuffix(text, "_") && strings.TrimLeft(text, "abcdefghijklmnopqrstuvwxyz_") == ""
}
