package signature

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strings"
)

// algorithm is an index into algorithms.
type algorithm int

// algorithmKind is what a key of an algorithm is and does.
type algorithmKind int

const (
	keyedHash  algorithmKind = iota // an HMAC
	plainHash                       // a hash of a text that holds the secret
	asymmetric                      // a signature that a public key verifies
)

// The algorithms with a public key.
const (
	nameEd25519 = "ed25519"
	nameECDSA   = "ecdsa-sha256"
	nameECDSA1  = "ecdsa-sha1"
	nameRSA1    = "rsa-sha1"
	nameRSA256  = "rsa-sha256"
	nameRSA512  = "rsa-sha512"
	nameRSAPSS  = "rsa-pss-sha512"
)

// algorithms in the words of a signature line. SHA-1 is here because Twilio
// and old GitHub hooks use it: HMAC does not need the collision resistance
// that SHA-1 lost (RFC 6151 section 2 argues the same for MD5). A signature needs it, as
// whoever may choose what is signed could have two texts with one signature: ecdsa-sha1 is
// here for eBay, which signs with nothing else, and rsa-sha1 for Amazon SNS, which signs with
// it by default.
var algorithms = [...]struct {
	name string
	kind algorithmKind
	size int              // of the MAC, in bytes; zero where signatures differ in length
	new  func() hash.Hash // of the MAC or of the digest that is signed
	jwt  string           // its name in a token (RFC 7518 section 3.1, RFC 8037), if it has one
}{

	{"sha1", keyedHash, sha1.Size, sha1.New, ""},
	{"sha256", keyedHash, sha256.Size, sha256.New, "HS256"},
	{"sha384", keyedHash, sha512.Size384, sha512.New384, "HS384"},
	{"sha512", keyedHash, sha512.Size, sha512.New, "HS512"},
	{"plain-sha1", plainHash, sha1.Size, sha1.New, ""},
	{"plain-sha256", plainHash, sha256.Size, sha256.New, ""},
	{nameEd25519, asymmetric, 0, newMessage, "EdDSA"},
	{nameECDSA, asymmetric, 0, sha256.New, "ES256"},
	{nameECDSA1, asymmetric, 0, sha1.New, ""},
	{nameRSA1, asymmetric, 0, sha1.New, ""},
	{nameRSA256, asymmetric, 0, sha256.New, "RS256"},
	{nameRSA512, asymmetric, 0, sha512.New, "RS512"},
	{nameRSAPSS, asymmetric, 0, sha512.New, "PS512"},
}

// maxMAC is the longest MAC in bytes, maxEncodedMAC its longest text: the
// base64 of its hex.
const (
	maxMAC        = sha512.Size
	maxEncodedMAC = (2*maxMAC + 2) / 3 * 4
)

func findAlgorithm(name string) (algorithm, error) {
	var names []string
	for i, a := range algorithms {
		if a.name == name {
			return algorithm(i), nil
		}
		names = append(names, a.name)
	}
	return 0, fmt.Errorf("unknown algorithm %q: use %s", name, strings.Join(names, ", "))
}

func (a algorithm) String() string      { return algorithms[a].name }
func (a algorithm) kind() algorithmKind { return algorithms[a].kind }

// IsAlgorithm reports whether a signature line may name this algorithm.
func IsAlgorithm(name string) bool {
	_, err := findAlgorithm(name)
	return err == nil
}

// message is the hash of Ed25519, which signs the text itself: what is
// written is kept. It is the one algorithm that needs the body a second time
// in memory.
type message struct{ text []byte }

func newMessage() hash.Hash { return &message{} }

func (m *message) Write(p []byte) (int, error) {
	m.text = append(m.text, p...)
	return len(p), nil
}

func (m *message) Sum(b []byte) []byte { return append(b, m.text...) }
func (m *message) Reset()              { m.text = m.text[:0] }
func (m *message) Size() int           { return len(m.text) }
func (m *message) BlockSize() int      { return 1 }
