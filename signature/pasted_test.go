package signature

import (
	"strings"
	"testing"
	"time"
)

// Every official vector holds where its secret is pasted as a dashboard shows it, and
// where its signatures came through a proxy that joins values.

func TestVectorsHoldWithSecretsAsDashboardsShowThem(t *testing.T) {
	forms := 0
	for _, file := range readVectorFiles(t) {
		scheme := file.compile(t)
		encoding := file.Scheme.SecretEncoding
		if !scheme.Asymmetric() && encoding != "base64" && encoding != "hex" {
			continue
		}
		for _, v := range file.Vectors {
			if v.Expect != "valid" || v.Secret == "" {
				continue
			}
			shown := []string{v.Secret, " " + v.Secret + "\n", v.Secret + "|" + v.Secret, v.Secret + " | "}
			if encoding == "base64" {
				bare := strings.TrimPrefix(v.Secret, file.Scheme.SecretPrefix)
				other := file.Scheme.SecretPrefix + "b3RoZXItb3RoZXItb3RoZXI="
				shown = append(shown, "v1,"+v.Secret, "v1,"+file.Scheme.SecretPrefix+bare, "v1,"+other+"|v1,"+v.Secret, "v1,"+v.Secret+"|v1,"+other)
			}
			if scheme.Asymmetric() && !strings.HasPrefix(v.Secret, "-----") {
				shown = append(shown, "v1a,"+v.Secret, "v1a,"+publicKeyPrefix+strings.TrimPrefix(v.Secret, publicKeyPrefix))
			}
			for _, text := range shown {
				forms++
				keys, err := scheme.NewKeys(text)
				if err != nil {
					t.Errorf("%s/%s: %v", file.Provider, v.ID, err)
					continue
				}
				var secrets []Secret
				for _, key := range keys {
					secrets = append(secrets, Secret{Key: key})
				}
				if _, err := scheme.Verify(v.request(t), secrets, vectorWindow, time.Unix(v.Now, 0)); err != nil {
					t.Errorf("%s/%s: %v", file.Provider, v.ID, err)
				}
			}
		}
	}
	if forms < 50 {
		t.Errorf("only %d forms were tried", forms)
	}
}

func TestVectorsHoldWithSignaturesJoinedByCommas(t *testing.T) {
	tried := make(map[string]bool)
	for _, file := range readVectorFiles(t) {
		scheme := file.compile(t)
		for _, v := range file.Vectors {
			for _, s := range file.Scheme.Signatures {
				values := v.Headers[s.Header]
				if v.Expect != "valid" || len(s.Split) != 1 || s.Split[0] == "," || len(values) != 1 {
					continue
				}
				parts := strings.Split(values[0], s.Split[0])
				if !scheme.lines[0].format.has(varTimestamp) { // a part that may be there once
					parts = append(parts, parts[0])
				}
				for _, join := range []string{", ", "," + strings.TrimPrefix(s.Split[0], ","), " , "} {
					r := v.request(t)
					r.Header[canonical(s.Header)] = []string{strings.Join(parts, join)}
					if _, err := scheme.Verify(r, v.secrets(t, scheme), vectorWindow, time.Unix(v.Now, 0)); err != nil {
						t.Errorf("%s/%s, joined by %q: %v", file.Provider, v.ID, join, err)
					}
				}
				tried[file.Provider] = true
			}
		}
	}
	if len(tried) < 3 {
		t.Errorf("only %v were tried", tried)
	}
}

// A raw secret may hold whatever its sender likes, and is taken as it is.
func TestARawSecretIsNotTakenApart(t *testing.T) {
	scheme, err := Compile(Spec{Signatures: []SignatureSpec{{Header: "X-Sig"}}, Signed: []string{"{body}"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a|b", "v1,whsec_abc", "v1,a|v1,b", " padded ", "|"} {
		keys, err := scheme.NewKeys(text)
		if err != nil || len(keys) != 1 || string(keys[0].bytes) != text {
			t.Errorf("%q: %d keys, %v", text, len(keys), err)
		}
	}
}

func TestAKeyThatHMACTakesForTheEmptyOneIsRefused(t *testing.T) {
	for _, tc := range [][2]string{{" \t", "raw"}, {"\x00\x00", "raw"}, {"AAAA", "base64"}, {"0000", "hex"}, {"ICAg", "base64"}, {"\n", "nfkd"}} {
		if _, err := NewKey(tc[0], tc[1], ""); err == nil {
			t.Errorf("%q in %s is a key", tc[0], tc[1])
		}
	}
}

// Where a comma belongs to the format, or one value is expected, nothing is joined.
func TestOnlyListsAreJoined(t *testing.T) {
	for _, tc := range []struct {
		format string
		split  []string
		listed bool
	}{
		{"v1,{signature}", []string{" "}, true},
		{"t={timestamp},v1={signature}", []string{","}, false},
		{"t={timestamp},v1={signature}", []string{" ", ","}, true},
		{"{signature}", nil, false},
		{"sha256={signature}", nil, false},
		{"a, {signature}", []string{";"}, false},
		{"ts={timestamp};h1={signature}", []string{";"}, true},
	} {
		f, err := parseFormat(tc.format, tc.split)
		if err != nil || f.listed != tc.listed {
			t.Errorf("%s split %q: %v, %v", tc.format, tc.split, f != nil && f.listed, err)
		}
	}
}
