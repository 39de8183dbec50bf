package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestNewKey(t *testing.T) {
	for _, test := range []struct{ text, encoding, prefix, want string }{
		{"secret", "", "", "secret"},
		{"secret", "raw", "", "secret"},
		{"whsec_secret", "raw", "whsec_", "secret"},
		{"secret", "raw", "whsec_", "secret"},
		{" secret\n", "raw", "", " secret\n"},
		{"c2VjcmV0cw==", "base64", "", "secrets"},
		{"c2VjcmV0cw", "base64", "", "secrets"},
		{"whsec_c2VjcmV0cw==", "base64", "whsec_", "secrets"},
		{"736563726574", "hex", "", "secret"},
		{"6A6b", "hex", "", "jk"},
	} {
		key, err := NewKey(test.text, test.encoding, test.prefix)
		if err != nil || string(key.bytes) != test.want {
			t.Errorf("%+v: got %q, %v", test, key.bytes, err)
		}
	}
}

func TestNewKeyErrors(t *testing.T) {
	for _, test := range []struct{ text, encoding, prefix, want string }{
		{"", "", "", "the secret is empty"},
		{"whsec_", "raw", "whsec_", "the secret is empty"},
		{"whsec_", "base64", "whsec_", "the secret is empty"},
		{"", "hex", "", "the secret is empty"},
		{"whsec_c2VjcmV0", "base64", "", "it is not base64"},
		{"not base64!", "base64", "", "it is not base64"},
		{"c2VjcmV0cw=", "base64", "", "it is not base64"},
		{"c2VjcmV0cw====", "base64", "", "it is not base64"},
		{"73656", "hex", "", "it is not hex"},
		{"canary-secret", "hex", "", "it is not hex"},
		{"canary-secret", "base32", "", "unknown secret encoding"},
	} {
		_, err := NewKey(test.text, test.encoding, test.prefix)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v", test, err)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
}

// TestKeyNeverPrints checks that no way of printing a key shows its bytes.
func TestKeyNeverPrints(t *testing.T) {
	key := testKey(t, "canary")
	printed := fmt.Sprint(key, Secret{Key: key}, []*Key{key}) +
		fmt.Sprintf("%v %+v %#v %s %q %x %d %T", key, key, key, key, key, key, key, key) +
		fmt.Sprintf("%v %+v %#v", Secret{Key: key}, &Secret{Key: key}, Secret{Key: key}) + key.String() + key.GoString()
	text, err := json.Marshal(map[string]any{"key": key, "secret": Secret{Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	printed += string(text)
	for _, form := range []string{"canary", fmt.Sprintf("%x", "canary"), base64.StdEncoding.EncodeToString([]byte("canary")), "99 97 110"} {
		if strings.Contains(printed, form) {
			t.Errorf("found %q in %s", form, printed)
		}
	}
	if !strings.Contains(printed, redacted) {
		t.Error("nothing says that the key is hidden")
	}
}

func TestSecretUntil(t *testing.T) {
	now := time.Unix(1764000000, 0)
	key := testKey(t, "k")
	for _, test := range []struct {
		secret Secret
		want   bool
	}{
		{Secret{Key: key}, true},
		{Secret{Key: key, Until: now.Add(1)}, true},
		{Secret{Key: key, Until: now}, false},
		{Secret{Key: key, Until: now.Add(-1)}, false},
		{Secret{}, false},
		{Secret{Key: &Key{}}, false},
	} {
		if test.secret.InForce(now) != test.want {
			t.Errorf("until %v: want %v", test.secret.Until, test.want)
		}
	}
}

// TestKeyConcurrently checks that one key serves all requests of a route at once, with
// several algorithms. Run it with -race.
func TestKeyConcurrently(t *testing.T) {
	key := testKey(t, "k")
	schemes := []*Scheme{}
	for _, algorithm := range []string{"sha1", "sha256", "sha384", "sha512"} {
		schemes = append(schemes, mustCompile(t, Spec{Signatures: []SignatureSpec{{Header: "Sig", Algorithm: algorithm}}, Signed: []string{"{method}{body}"}}))
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 50 {
				scheme := schemes[(i+j)%len(schemes)]
				r := testRequest("POST", "https://example.com/", fmt.Sprint(i, j))
				if err := scheme.Sign(r, key, time.Now(), ""); err != nil {
					t.Error(err)
				}
				if _, err := scheme.Verify(r, []Secret{{Key: key}}, vectorWindow, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestKeyEqualText(t *testing.T) {
	key := testKey(t, "s3cret")
	for text, want := range map[string]bool{"s3cret": true, "s3cre": false, "s3cret\x00": false, "": false} {
		if key.EqualText(text) != want {
			t.Errorf("%q: want %t", text, want)
		}
	}
	if (&Key{}).EqualText("") || (*Key)(nil).EqualText("") {
		t.Error("no key equals a text")
	}
	public := &Key{public: ed25519.PublicKey("x")}
	if public.EqualText("") || public.EqualText("x") {
		t.Error("a public key equals a text")
	}
}
