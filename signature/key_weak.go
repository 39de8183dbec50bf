package signature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// errAnyone is what is wrong with a public key whose private key everyone knows.
var errAnyone = errors.New("the public key is one that anyone can sign for")

// smallOrder recognises the few Ed25519 keys, such as all zeros, for which one
// signature verifies for every eighth text or more.
func smallOrder(key ed25519.PublicKey) bool {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1 // R is the neutral point, S is zero
	for i := range byte(64) {
		if ed25519.Verify(key, []byte{i}, forged) {
			return true
		}
	}
	return false
}

// ed25519Base is the base point of Ed25519 (RFC 8032 section 5.1): as a public key it has
// the private key 1.
var ed25519Base = append([]byte{0x58}, bytes.Repeat([]byte{0x66}, 31)...)

// isGenerator reports whether the private key is 1 or -1.
func isGenerator(key *ecdsa.PublicKey) bool {
	point, err := key.Bytes()
	if err != nil {
		return false
	}
	x := point[1 : 1+len(point)/2] // after the byte that says how the point is written
	return new(big.Int).SetBytes(x).Cmp(key.Curve.Params().Gx) == 0
}

// primorial is the product of the odd primes below 100.
var primorial, _ = new(big.Int).SetString("1152783981972759212376551073665878035", 10)

// checkRSA refuses a key that is no RSA key: anyone can find the factors of a modulus that
// is a prime, a square or divisible by a small prime, and with the exponent 1 a signature
// is the text itself.
func checkRSA(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minRSA {
		return fmt.Errorf("the public key is RSA with %d bits, and fewer than %d can be broken", bits, minRSA)
	}
	if key.E < 3 || key.E%2 == 0 {
		return fmt.Errorf("the public key is RSA with the exponent %d: it has to be odd, and 3 or more", key.E)
	}
	root := new(big.Int).Sqrt(key.N)
	square := root.Mul(root, root).Cmp(key.N) == 0
	divisor := new(big.Int).GCD(nil, nil, key.N, primorial)
	if key.N.Bit(0) == 0 || square || divisor.Cmp(big.NewInt(1)) != 0 || key.N.ProbablyPrime(0) {
		return errAnyone
	}
	return nil
}
