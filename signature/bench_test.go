package signature

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"
)

var benchSizes = []int{1 << 10, 64 << 10, 1 << 20}

// BenchmarkVerify measures whole verifications next to the bare HMAC of the same
// bytes: computed as a receiver does it, from the secret, and with the secret's
// hash state prepared, which nothing can be faster than.
func BenchmarkVerify(b *testing.B) {
	for _, size := range benchSizes {
		body := bytes.Repeat([]byte("a"), size)
		b.Run(fmt.Sprintf("hmac/%d", size), func(b *testing.B) { benchHMAC(b, body) })
		b.Run(fmt.Sprintf("hmac-prepared/%d", size), func(b *testing.B) { benchPreparedHMAC(b, body) })
		for _, c := range benchCases(b) {
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) { c.bench(b, body) })
		}
	}
}

func benchHMAC(b *testing.B, body []byte) {
	secret := []byte("secret")
	var sum [sha256.Size]byte
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		mac.Sum(sum[:0])
	}
}

func benchPreparedHMAC(b *testing.B, body []byte) {
	mac := hmac.New(sha256.New, []byte("secret"))
	sum := make([]byte, 0, sha256.Size)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		mac.Reset()
		mac.Write(body)
		sum = mac.Sum(sum[:0])
	}
}

type benchCase struct {
	name   string
	scheme *Scheme
}

func benchCases(tb testing.TB) []benchCase {
	stamped := Spec{
		Signatures: []SignatureSpec{{Header: "Sig", Format: "t={timestamp},v1={signature}", Split: []string{","}}},
		Signed:     []string{"{timestamp}.{body}"},
		Timestamp:  &StampSpec{Source: Source{Kind: SourceSignature}, Format: "unix"},
	}
	standard := Spec{
		Signatures: []SignatureSpec{{Header: "webhook-signature", Encoding: "base64", Format: "v1,{signature}", Split: []string{" "}}},
		Signed:     []string{"{id}.{timestamp}.{body}"},
		Timestamp:  testStamp(tb, "header webhook-timestamp unix"),
		ID:         []Source{testSource(tb, "header webhook-id")},
	}
	return []benchCase{
		{"body", mustCompile(tb, Spec{Signatures: []SignatureSpec{{Header: "Sig", Format: "sha256={signature}"}}})},
		{"stripe", mustCompile(tb, stamped)},
		{"standard", mustCompile(tb, standard)},
		{"digest", mustCompile(tb, Spec{Signatures: []SignatureSpec{{Header: "Sig"}}, Signed: []string{"{method}{body|sha256|hex}"}})},
	}
}

func (c benchCase) request(tb testing.TB, body []byte) (*Request, []Secret, time.Time) {
	tb.Helper()
	secrets := []Secret{{Key: testKey(tb, "secret")}}
	now := time.Unix(1764000000, 0)
	r := testRequest("POST", "https://example.com/hook", "")
	r.Body = body
	if err := c.scheme.Sign(r, secrets[0].Key, now, "msg_1"); err != nil {
		tb.Fatal(err)
	}
	return r, secrets, now
}

func (c benchCase) bench(b *testing.B, body []byte) {
	r, secrets, now := c.request(b, body)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.scheme.Verify(r, secrets, vectorWindow, now); err != nil {
			b.Fatal(err)
		}
	}
}

func mustCompile(tb testing.TB, spec Spec) *Scheme {
	tb.Helper()
	scheme, err := Compile(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return scheme
}
