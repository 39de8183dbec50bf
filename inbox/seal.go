package inbox

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A sealed piece is
//
//	magic (4)            "\x02wgs", with which no encoded envelope begins
//	name of the key (8)  derived from the key, so that the right one of several is found
//	salt (12)            random; the piece's own key is derived from the key and this
//	nonce (12)           random
//	ciphertext, tag (16) AES-256-GCM, bound to all before it, and to where the piece belongs
//
// The key of its own lets one key seal any number of pieces: random nonces alone would bound
// them to 2³² under one key.
const (
	sealMagic = "\x02wgs"
	sealName  = 8
	sealSalt  = 12
	sealNonce = 12
	sealHead  = len(sealMagic) + sealName + sealSalt + sealNonce
	// SealedSize is how much longer a sealed piece is.
	SealedSize = sealHead + 16
)

var (
	// ErrLocked is returned by Open for what is sealed with a key that is not among the keys.
	ErrLocked = errors.New("it is encrypted, and its key is not among those that are configured")
	// ErrSeal is returned by Open for what was changed, or belongs to something else.
	ErrSeal = errors.New("it cannot be decrypted: it was changed, or belongs to another event or inbox")

	errKeySize = errors.New("the key is not 32 bytes in base64 or hex: make one with `openssl rand -base64 32`")
)

// SealKey encrypts what an inbox keeps. It never prints.
type SealKey struct {
	secret []byte
	name   [sealName]byte
}

// NewSealKey reads a key of 32 bytes in base64 or hex. The error never holds the text.
func NewSealKey(text string) (*SealKey, error) {
	secret, err := hex.DecodeString(text)
	if err != nil {
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		secret, err = base64.RawStdEncoding.Strict().DecodeString(plain)
	}
	if err != nil || len(secret) != 32 {
		return nil, errKeySize
	}
	k := &SealKey{secret: secret}
	copy(k.name[:], k.derive("webhook_guard inbox: name of the key", sealName))
	return k, nil
}

// derive returns bytes that only somebody with the key can make.
func (k *SealKey) derive(what string, size int) []byte {
	derived, err := hkdf.Expand(sha256.New, k.secret, what, size)
	if err != nil {
		panic(err) // the sizes are ours
	}
	return derived
}

// aead returns the cipher of the piece with the given salt.
func (k *SealKey) aead(salt []byte) cipher.AEAD {
	block, err := aes.NewCipher(k.derive("webhook_guard inbox: key of a piece"+string(salt), 32))
	if err != nil {
		panic(err) // the size is ours
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // so is this
	}
	return aead
}

// Format prints none of it, with any verb.
func (k *SealKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[key]")) }

// MarshalText serves JSON and other encoders.
func (k *SealKey) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// SealKeys are the keys of an inbox. The first one encrypts, all of them decrypt.
type SealKeys []*SealKey

// Belonging says where a piece belongs. It opens nowhere else.
type Belonging struct {
	Inbox string
	Event Key
	// What the piece is of the event.
	What string
}

// bound returns what the piece with the given head is bound to.
func (b Belonging) bound(head []byte) []byte {
	to := append([]byte(nil), head...)
	for _, text := range []string{b.What, b.Inbox} {
		to = append(binary.AppendUvarint(to, uint64(len(text))), text...)
	}
	return append(to, b.Event[:]...)
}

// Seal encrypts a piece. There must be a key.
func (keys SealKeys) Seal(b Belonging, plain []byte) []byte {
	k := keys[0]
	piece := append(make([]byte, 0, len(plain)+SealedSize), sealMagic...)
	piece = append(piece, k.name[:]...)
	piece = piece[:sealHead]
	rand.Read(piece[sealHead-sealSalt-sealNonce:]) // documented to never return an error
	salt, nonce := piece[sealHead-sealSalt-sealNonce:sealHead-sealNonce], piece[sealHead-sealNonce:]
	return k.aead(salt).Seal(piece, nonce, plain, b.bound(piece))
}

// Open decrypts a piece. One that is not sealed is returned as it is: it was kept before
// there were keys.
func (keys SealKeys) Open(b Belonging, piece []byte) ([]byte, error) {
	if !strings.HasPrefix(string(piece[:min(len(piece), len(sealMagic))]), sealMagic) {
		return piece, nil
	}
	if len(piece) < SealedSize {
		return nil, ErrSeal
	}
	head, sealed := piece[:sealHead], piece[sealHead:]
	for _, k := range keys {
		if string(k.name[:]) != string(head[len(sealMagic):len(sealMagic)+sealName]) {
			continue
		}
		salt, nonce := head[sealHead-sealSalt-sealNonce:sealHead-sealNonce], head[sealHead-sealNonce:]
		plain, err := k.aead(salt).Open(nil, nonce, sealed, b.bound(head))
		if err != nil {
			return nil, ErrSeal
		}
		return plain, nil
	}
	return nil, ErrLocked
}
