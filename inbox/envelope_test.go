package inbox

import (
	"bytes"
	"crypto/rand"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func example() Envelope {
	return Envelope{
		Method: "POST", URI: "/hook?a=1", Scheme: "https", Host: "hooks.example.com", RemoteAddr: "192.0.2.1:4711",
		Header: map[string][]string{
			"Content-Type":     {"application/json"},
			"X-Twice":          {"one", "two"},
			"X-Empty":          {""},
			"Webhook-Guard-Id": {"evt_1"},
			"X-None":           {},
		},
		Body: []byte(`{"id":"evt_1","text":"` + strings.Repeat("again and ", 200) + `"}`),
	}
}

func TestAnEnvelopeComesBackAsItWas(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 300<<10)
	rand.Read(noise)
	empty, large := Envelope{Header: map[string][]string{}, Body: []byte{}}, example()
	large.Body = noise
	for name, e := range map[string]Envelope{"usual": example(), "empty": empty, "large": large} {
		encoded := e.Encode()
		got, err := DecodeEnvelope(encoded)
		if err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("%s: %v; the envelope is not what was encoded", name, err)
		}
		for range 5 { // maps have no order, envelopes have
			if !bytes.Equal(e.Encode(), encoded) {
				t.Errorf("%s: equal envelopes are encoded differently", name)
			}
		}
	}
	if e := example(); len(e.Encode()) > len(e.Body)/4 {
		t.Errorf("%d bytes of %d are left: it is hardly compressed", len(e.Encode()), len(e.Body))
	}
}

// Whatever byte of an envelope is changed or missing, it is noticed, or means the same.
func TestADamagedEnvelopeIsRefused(t *testing.T) {
	t.Parallel()
	e := example()
	encoded := e.Encode()
	for at := range encoded {
		if _, err := DecodeEnvelope(encoded[:at]); err == nil {
			t.Errorf("the first %d bytes were taken for a whole one", at)
		}
		for _, mask := range []byte{1, 0x80, 0xff} {
			changed := slices.Clone(encoded)
			changed[at] ^= mask
			if got, err := DecodeEnvelope(changed); err == nil && !reflect.DeepEqual(got, e) {
				t.Errorf("byte %d was changed, and nobody noticed", at)
			}
		}
	}
}

// An envelope of a version to come is told from one that is damaged: it is to wait.
func TestAnEnvelopeOfALaterVersionIsTold(t *testing.T) {
	t.Parallel()
	e := example()
	for version, newer := range map[byte]bool{0: false, envelopeVersion - 1: false, envelopeVersion: false, envelopeVersion + 1: true} {
		encoded := e.Encode()
		encoded[0] = version
		if _, err := DecodeEnvelope(encoded); errors.Is(err, ErrNewer) != newer || (err == nil) != (version == envelopeVersion) {
			t.Errorf("of version %d: %v", version, err)
		}
	}
}

// Encoding reuses its memory, and what it returned must not be changed by that.
func TestEncodedEnvelopesAreTheirOwners(t *testing.T) {
	t.Parallel()
	a, b := example(), example()
	b.Body = bytes.Repeat([]byte("other "), 100)
	first := a.Encode()
	kept := slices.Clone(first)
	for range 10 {
		b.Encode()
	}
	if !bytes.Equal(first, kept) {
		t.Error("a later envelope was written over it")
	}
}

func FuzzEnvelope(f *testing.F) {
	e := example()
	f.Add(e.Encode())
	f.Add((&Envelope{}).Encode())
	f.Add([]byte{envelopeVersion, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEnvelope(data, 1<<20)
		if err != nil {
			return
		}
		again, err := DecodeEnvelope(e.Encode())
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("what was read cannot be written and read again: %v", err)
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	e := example()
	encoded := e.Encode()
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			e.Encode()
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeEnvelope(encoded); err != nil {
				b.Fatal(err)
			}
		}
	})
}
