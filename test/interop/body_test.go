package interop

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// dress makes a body that careless code would change: unusual spaces, multi-byte text,
// escapes that are not needed.
func (tr *trial) dress(body []byte) []byte {
	tr.Helper()
	if tr.asIs {
		return body
	}
	if !json.Valid(body) {
		tr.Fatalf("the sample is not JSON: %s", body)
	}
	if tr.compact {
		return insert(tr.compacted(body), `"interop":"ü 🐟"`, "")
	}
	return insert(body, ` "interop" :`+"\t"+`"ü 🐟 \u00e9 \/ <&> é"`, "\r\n ")
}

// compacted is JSON as JSON.stringify writes it.
func (tr *trial) compacted(body []byte) []byte {
	tr.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		tr.Fatal(err)
	}
	return b.Bytes()
}

// insert puts a member before the others of the outermost object, and of each
// object right within an array; then space before the last bracket.
func insert(body []byte, member, space string) []byte {
	body = bytes.TrimSpace(body)
	open := bytes.IndexByte(body, '{')
	if open < 0 {
		return body
	}
	rest := body[open+1:]
	if !bytes.HasPrefix(bytes.TrimSpace(rest), []byte("}")) {
		member += ","
	}
	last := len(rest) - 1
	return slices.Concat(body[:open+1], []byte(member), rest[:last], []byte(space), rest[last:])
}

// change changes one byte of what is signed.
func (tr *trial) change(url string, header http.Header, body []byte) (string, http.Header, []byte) {
	switch covered, name, _ := strings.Cut(tr.covered, " "); covered {
	case "-":
		return strings.Replace(url, "/hook", "/Hook", 1), header, body
	case "token":
		header, name = header.Clone(), cmp.Or(name, "Authorization")
		head, claims, _ := strings.Cut(header.Get(name), ".")
		header.Set(name, head+"."+string(change([]byte(claims), "eyJ")))
		return url, header, body
	case "":
		return url, header, change(body, "interop")
	}
	return url, header, change(body, tr.covered)
}

// change changes the case of a letter: the first one of the text, where that is
// there, or the last one. JSON stays JSON.
func change(body []byte, text string) []byte {
	body = slices.Clone(body)
	i := bytes.Index(body, []byte(text))
	if i < 0 {
		i = bytes.LastIndexFunc(body, func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' })
	}
	if i < 0 {
		return append(body, ' ')
	}
	body[i] ^= 'a' ^ 'A'
	return body
}

// otherSecret is a secret of the same shape.
func otherSecret(secret string) string {
	if strings.HasPrefix(secret, "whsec_") {
		return secret[:len("whsec_")] + otherSecret(secret[len("whsec_"):])
	}
	i := len(secret) / 2
	return secret[:i] + string(secret[i]^1) + secret[i+1:]
}

func show(header http.Header, body []byte) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(header[name], ", "))
	}
	return b.String() + "\n" + string(body)
}

func TestChangeAndDress(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:         `{"interop":"ü 🐟"}`,
		`{"a":1}`:    `{"interop":"ü 🐟","a":1}`,
		`[{"a":{}}]`: `[{"interop":"ü 🐟","a":{}}]`,
	} {
		got := insert([]byte(body), `"interop":"ü 🐟"`, "")
		if string(got) != want {
			t.Errorf("%s became %s", body, got)
		}
		if changed := change(got, "interop"); !json.Valid(changed) || bytes.Equal(changed, got) {
			t.Errorf("%s changed to %s", got, changed)
		}
	}
}
