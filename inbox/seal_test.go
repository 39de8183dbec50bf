package inbox_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

var (
	secretA = bytes.Repeat([]byte("a key of 16 b, "), 3)[:32]
	secretB = bytes.Repeat([]byte("another of 16b,"), 3)[:32]
	here    = inbox.Belonging{Inbox: "payments", Event: inbox.Key{1}, What: "envelope"}
)

func sealKey(t *testing.T, secret []byte) *inbox.SealKey {
	t.Helper()
	k, err := inbox.NewSealKey(base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What is sealed shows nothing, and opens with its key, where it belongs, and nowhere else.
func TestSealed(t *testing.T) {
	t.Parallel()
	keys := inbox.SealKeys{sealKey(t, secretA)}
	plain := []byte("a body that nobody but the app is to read")
	piece := keys.Seal(here, plain)
	if bytes.Contains(piece, plain[:8]) || len(piece) != len(plain)+inbox.SealedSize {
		t.Fatalf("%d bytes are sealed as %q", len(plain), piece)
	}
	if again := keys.Seal(here, plain); bytes.Equal(again, piece) {
		t.Error("equal pieces look the same when sealed")
	}
	if got, err := keys.Open(here, piece); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("opened as %q, %v", got, err)
	}
	for what, there := range map[string]inbox.Belonging{
		"another event":        {Inbox: here.Inbox, Event: inbox.Key{2}, What: here.What},
		"another inbox":        {Inbox: "orders", Event: here.Event, What: here.What},
		"another piece":        {Inbox: here.Inbox, Event: here.Event, What: "answer"},
		"texts that run along": {Inbox: "epayments", Event: here.Event, What: "envelop"},
	} {
		if got, err := keys.Open(there, piece); !errors.Is(err, inbox.ErrSeal) {
			t.Errorf("%s: opened as %q, %v", what, got, err)
		}
	}
	for i := range piece {
		changed := bytes.Clone(piece)
		changed[i] ^= 1
		if got, err := keys.Open(here, changed); err == nil && i >= 4 || bytes.Equal(got, plain) {
			t.Errorf("byte %d was changed, and it is opened as %q", i, got)
		}
	}
	for n := range piece {
		if got, err := keys.Open(here, piece[:n]); err == nil && n >= 4 || bytes.Equal(got, plain) {
			t.Errorf("cut to %d bytes, it is opened as %q", n, got)
		}
	}
}

// While a key is changed, the new one stands first, and what the old one has sealed opens.
// When the old one is gone, that is told from damage.
func TestSealKeysAreChanged(t *testing.T) {
	t.Parallel()
	a, b := sealKey(t, secretA), sealKey(t, secretB)
	old := inbox.SealKeys{a}.Seal(here, []byte("old"))
	both := inbox.SealKeys{b, a}
	fresh := both.Seal(here, []byte("fresh"))
	for want, piece := range map[string][]byte{"old": old, "fresh": fresh, "never sealed": []byte("never sealed"), "": nil} {
		if got, err := both.Open(here, piece); err != nil || string(got) != want {
			t.Errorf("opened as %q, %v; want %q", got, err, want)
		}
	}
	if got, err := (inbox.SealKeys{b}).Open(here, fresh); err != nil || string(got) != "fresh" {
		t.Errorf("the first key did not encrypt: %q, %v", got, err)
	}
	for _, keys := range []inbox.SealKeys{{b}, nil} {
		if got, err := keys.Open(here, old); !errors.Is(err, inbox.ErrLocked) {
			t.Errorf("without its key it is opened as %q, %v", got, err)
		}
	}
}

// An envelope is told from a sealed one by its first bytes.
func TestEnvelopesAreNotTakenForSealed(t *testing.T) {
	t.Parallel()
	e := inbox.Envelope{Method: "POST", URI: "/"}
	encoded := e.Encode()
	if got, err := (inbox.SealKeys{}).Open(here, encoded); err != nil || !bytes.Equal(got, encoded) {
		t.Errorf("%v", err)
	}
	if _, err := inbox.DecodeEnvelope((inbox.SealKeys{sealKey(t, secretA)}).Seal(here, encoded)); err == nil {
		t.Error("a sealed envelope is read without its key")
	}
}

func TestSealKeysAreRead(t *testing.T) {
	t.Parallel()
	piece := inbox.SealKeys{sealKey(t, secretA)}.Seal(here, []byte("plain"))
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(secretA), base64.RawURLEncoding.EncodeToString(secretA),
		hex.EncodeToString(secretA), strings.ToUpper(hex.EncodeToString(secretA)),
	} {
		k, err := inbox.NewSealKey(text)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if got, err := (inbox.SealKeys{k}).Open(here, piece); err != nil || string(got) != "plain" {
			t.Errorf("read otherwise: %q, %v", got, err)
		}
	}
	for what, text := range map[string]string{
		"empty": "", "a word": "correct horse battery staple", "16 bytes": base64.StdEncoding.EncodeToString(secretA[:16]),
		"33 bytes": hex.EncodeToString(append(secretA[:32:32], 1)), "32 characters": string(secretA),
	} {
		if _, err := inbox.NewSealKey(text); err == nil || !strings.Contains(err.Error(), "openssl") || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want the fix, without the text", what, err)
		}
	}
}

func TestASealKeyNeverPrints(t *testing.T) {
	t.Parallel()
	k := sealKey(t, secretA)
	encoded, err := json.Marshal(map[string]any{"key": k, "keys": inbox.SealKeys{k}})
	if err != nil {
		t.Fatal(err)
	}
	printed := string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, inbox.SealKeys{k})
	}
	for _, form := range []string{string(secretA[:8]), hex.EncodeToString(secretA[:8]), base64.StdEncoding.EncodeToString(secretA[:6]), strings.Trim(fmt.Sprintf("%d", secretA[:4]), "[]")} {
		if strings.Contains(printed, form) {
			t.Errorf("the key is printed: %s", printed)
		}
	}
}
