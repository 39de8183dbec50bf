package signature

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// blanks are texts that everybody has.
var blanks = map[string]string{
	"nothing":         "",
	"a space":         " ",
	"white space":     " \t\r\n\v\f\n",
	"spaces of books": "\u00a0\u2003\u3000",
	"no width":        "\u200b\u2060",
	"a UTF-8 mark":    "\ufeff",
	"a mark and line": "\ufeff\r\n",
	"a UTF-16 mark":   "\xff\xfe",
	"a big one":       "\xfe\xff",
	"UTF-16 lines":    "\xff\xfe\n\x00\r\x00",
	"a zero":          "\x00",
	"zeros":           strings.Repeat("\x00", 32),
	"a block of them": strings.Repeat("\x00", 64),
	"more than one":   strings.Repeat("\x00", 200),
	"zeros and lines": "\x00\n\x00",
}

// A key that everybody has is none, however it is written.
func TestBlankKeysAreRefused(t *testing.T) {
	for name, blank := range blanks {
		for encoding, text := range map[string]string{
			"": blank, "raw": blank, "sha1": blank, "nfkd": blank, "hex": hex.EncodeToString([]byte(blank)),
			"base64": base64.StdEncoding.EncodeToString([]byte(blank)),
		} {
			texts := []string{text, "whsec_" + text, "v1,whsec_" + text, "whsec_" + blank}
			for _, text := range texts {
				if _, err := NewKey(text, encoding, "whsec_"); err == nil && !(strings.HasPrefix(text, "v1,") && encoding != "base64" && encoding != "hex") {
					t.Errorf("%s as %q is a key: %q", name, encoding, text)
				}
			}
			if scheme, err := Compile(Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, SecretEncoding: encoding}); err != nil {
				t.Fatal(err)
			} else if _, err := scheme.NewKeys(text); err == nil {
				t.Errorf("%s as %q is a list of keys", name, encoding)
			}
		}
	}
	for _, text := range []string{"whsec_", "whsec_  ", "\ufeffwhsec_\n", "wsk_", "pdl_ntfset_", "whsec_\u200b"} {
		if _, err := NewKey(text, "raw", ""); err == nil {
			t.Errorf("%q, a prefix, is a key", text)
		}
	}
	for _, text := range []string{"a", "\x00a", " a ", "whsec_a", "_", "A_", "\ufeffsecret"} {
		if _, err := NewKey(text, "raw", ""); (err == nil) != (text != "_") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := NewKey("whsec_AAAB", "base64", "whsec_"); err != nil {
		t.Error(err)
	}
}

// A public key whose private key anyone has proves nothing.
func TestWeakPublicKeysAreRefused(t *testing.T) {
	refused := func(name, text string) {
		t.Helper()
		if _, err := NewPublicKey(text); err == nil {
			t.Errorf("%s: is a public key", name)
		}
	}
	// The points of small order, in every way to write them: the list of libsodium and
	// of https://eprint.iacr.org/2020/1244, table 1.
	for _, point := range []string{
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"5866666666666666666666666666666666666666666666666666666666666666",
	} {
		raw, err := hex.DecodeString(point)
		if err != nil {
			t.Fatal(err)
		}
		refused(point, point)
		refused(point, "whpk_"+base64.StdEncoding.EncodeToString(raw))
		if spki, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw)); err == nil {
			refused(point, base64.StdEncoding.EncodeToString(spki))
		}
	}
	good := testPairs()["rsa"].signer.Public().(*rsa.PublicKey)
	short, err := rand.Prime(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	half, _ := rand.Prime(rand.Reader, 1024)
	for name, key := range map[string]*rsa.PublicKey{
		"exponent 1":        {N: good.N, E: 1},
		"exponent 2":        {N: good.N, E: 2},
		"an even exponent":  {N: good.N, E: 65536},
		"too short":         {N: new(big.Int).Rsh(good.N, 1), E: 65537},
		"an even modulus":   {N: new(big.Int).SetBit(good.N, 0, 0), E: 65537},
		"a prime":           {N: short, E: 65537},
		"a square":          {N: new(big.Int).Mul(half, half), E: 65537},
		"a small factor":    {N: new(big.Int).Mul(good.N, big.NewInt(97)), E: 65537},
		"a power of two":    {N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 65537},
		"all bits set, odd": {N: new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)), E: 65537},
	} {
		refused(name, toPEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(key)))
		if spki, err := x509.MarshalPKIXPublicKey(key); err == nil {
			refused(name, toPEM("PUBLIC KEY", spki))
		}
	}
	p256 := testPairs()["ecdsa"].spki
	head := p256[:len(p256)-66] // before the bit string
	infinity := append([]byte{}, head...)
	infinity = append(infinity, 3, 2, 0, 0)
	infinity[1] -= byte(len(p256) - len(infinity))
	refused("the point at infinity", base64.StdEncoding.EncodeToString(infinity))
	zero := append(append([]byte{}, p256[:len(p256)-64]...), make([]byte, 64)...)
	refused("the point 0, 0", base64.StdEncoding.EncodeToString(zero))
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		g := curve.Params()
		minus := new(big.Int).Sub(g.P, g.Gy)
		for _, y := range []*big.Int{g.Gy, minus} {
			size := (g.BitSize + 7) / 8
			point := slices.Concat([]byte{4}, g.Gx.FillBytes(make([]byte, size)), y.FillBytes(make([]byte, size)))
			key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
			if err != nil {
				t.Fatal(err)
			}
			spki, err := x509.MarshalPKIXPublicKey(key)
			if err != nil {
				t.Fatal(err)
			}
			refused("the generator of "+g.Name, base64.StdEncoding.EncodeToString(spki))
		}
	}
}
