package signature

import (
	"crypto"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/unicode/norm"
)

// Key is one secret or one public key, with hash states ready for use. It may
// be used by many goroutines at once and never prints.
type Key struct {
	// bytes are the secret's, and none for a public key.
	bytes   []byte
	public  crypto.PublicKey
	private crypto.Signer              // of a key that can also sign
	called  string                     // the name of another key that it passes for
	chain   *chain                     // in place of both: each token brings its key along
	brings  [][]byte                   // certificates, in DER, that tokens signed with it bring along
	states  [len(algorithms)]sync.Pool // of *macState
}

// secretEncodings are how a secret's text becomes the bytes of a key.
const secretEncodings = "raw, base64, hex, sha1 or nfkd"

// NewKey makes a key of a secret's text: prefix is taken off where it is
// there, and the rest is raw, base64 (with or without padding) or hex. sha1
// takes the digest of the text as the key, as Braintree does, and nfkd the
// text in Unicode's compatibility form, as EasyPost does. An empty encoding is
// raw. Errors name the encoding and never hold the text. A key that anyone could
// sign with is an error: no bytes, or nothing but white space or zero bytes.
//
// Around base64 and hex, white space and the v1, with which some dashboards
// show a secret of Standard Webhooks are taken off: neither is a part of them.
func NewKey(text, encoding, prefix string) (*Key, error) {
	if encoding == "base64" || encoding == "hex" {
		text = strings.TrimPrefix(strings.TrimSpace(text), secretVersion)
	}
	text = strings.TrimPrefix(text, prefix)
	if err := checkNotBlank(text); err != nil {
		return nil, err
	}
	var key []byte
	var err error
	switch encoding {
	case "", "raw":
		key = []byte(text)
	case "sha1":
		sum := sha1.Sum([]byte(text))
		key = sum[:]
	case "nfkd":
		key = norm.NFKD.Bytes([]byte(text))
	case "base64":
		if strings.HasSuffix(text, "=") {
			key, err = base64.StdEncoding.DecodeString(text)
		} else {
			key, err = base64.RawStdEncoding.DecodeString(text)
		}
	case "hex":
		key, err = hex.DecodeString(text)
	default:
		return nil, fmt.Errorf("unknown secret encoding %q: use %s", encoding, secretEncodings)
	}
	if err != nil {
		// Not wrapped, since the decoders quote the character that they reject.
		return nil, fmt.Errorf("the secret is malformed: it is not %s", encoding)
	}
	if err := checkNotBlank(string(key)); err != nil {
		return nil, err
	}
	return &Key{bytes: key}, nil
}

// secretVersion and publicKeyVersion are put before secrets and public keys by senders
// that show them as they write signatures: v1,whsec_… (Supabase does).
const (
	secretVersion    = "v1,"
	publicKeyVersion = "v1a,"
)

// splitSecrets takes a list of secrets apart, a|b, as the same senders show them
// while one is changed. It must not be asked of raw secrets: theirs may hold a |.
func splitSecrets(text string) []string {
	var each []string
	for one := range strings.SplitSeq(text, "|") {
		if one = strings.TrimSpace(one); one != "" {
			each = append(each, one)
		}
	}
	if len(each) == 0 {
		return []string{text}
	}
	return each
}

// Size is how many bytes a secret's key has, and 0 for a public key.
func (k *Key) Size() int { return len(k.bytes) }

// EqualText reports whether a text equals the key's bytes. It is for tokens, where the
// secret itself is sent. Both are digested first, so that the time it takes reveals
// nothing about the key, not even its length. A public key equals no text.
func (k *Key) EqualText(text string) bool {
	if !k.usable() || len(k.bytes) == 0 {
		return false
	}
	want, got := sha256.Sum256(k.bytes), sha256.Sum256([]byte(text))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

const redacted = "[redacted]"

// String, GoString, MarshalText and Format keep the key out of every log.
func (k *Key) String() string { return redacted }

// GoString is what %#v prints.
func (k *Key) GoString() string { return redacted }

// MarshalText serves JSON and other encoders.
func (k *Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format serves every verb, %x too.
func (k *Key) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

func (k *Key) usable() bool {
	return k != nil && (len(k.bytes) > 0 || k.public != nil || k.chain != nil)
}

// macState is a hash under one key and room for what is written to it.
type macState struct {
	hash   hash.Hash
	secret []byte // for {secret}; the key's own bytes
	buf    []byte
	sum    [maxMAC]byte
	whole  hash.Hash // for a function over the whole of a template
}

// state takes a ready hash from the pool. Making an HMAC costs two hash blocks
// and some allocations, resetting one a copy.
func (k *Key) state(a algorithm) *macState {
	if st, ok := k.states[a].Get().(*macState); ok {
		st.hash.Reset() // back to the keyed state, not to an empty one
		return st
	}
	if a.kind() == keyedHash {
		return &macState{hash: hmac.New(algorithms[a].new, k.bytes)}
	}
	return &macState{hash: algorithms[a].new(), secret: k.bytes}
}

func (k *Key) done(a algorithm, st *macState) {
	// A large request must not keep a megabyte of rendered text in the pool.
	if cap(st.buf) > 64<<10 {
		st.buf = nil
	}
	if m, ok := st.hash.(*message); ok && cap(m.text) > 64<<10 {
		m.text = nil
	}
	k.states[a].Put(st)
}

// digest is the MAC, or what a signature is made of: for Ed25519 the text.
func (st *macState) digest() []byte {
	if m, ok := st.hash.(*message); ok {
		return m.text
	}
	return st.hash.Sum(st.sum[:0])
}

// Secret is a key and the time until which it is accepted.
type Secret struct {
	Key *Key
	// ID is what tokens call the key; empty where it was not fetched with a name.
	ID string
	// Until is the end of the secret's time, exclusive. Zero is never.
	Until time.Time
}

// InForce reports whether the secret is accepted at this time.
func (s Secret) InForce(now time.Time) bool {
	return s.Key.usable() && (s.Until.IsZero() || now.Before(s.Until))
}
