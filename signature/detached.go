package signature

import (
	"encoding/base64"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tidwall/gjson"
)

// encodingJWS is a signature that is written as a detached JWS (RFC 7515 appendix F): a
// header, nothing, and the signature of both the header and what the templates say.
const encodingJWS = "jws"

// checkDetached checks a signature line whose signature is a detached JWS.
func checkDetached(l *signatureLine) error {
	l.detached, l.encoding = true, &tokenEncoding
	if algorithms[l.algorithm].jwt == "" {
		return fmt.Errorf("there is no JWS with the algorithm %s", l.algorithm)
	}
	return nil
}

// readDetached splits a detached JWS. The header chooses nothing: its algorithm has to be
// the configured one, and of the keys of a set it may name one, unless the request does so
// elsewhere.
func readDetached(l *signatureLine, r *Request, text string) (p Parts, mac, problem string) {
	head, mac, ok := strings.Cut(text, "..")
	if !ok || strings.Contains(head, ".") || strings.Contains(mac, ".") {
		return p, "", "is not a detached token, <header>..<signature>"
	}
	if len(head) > maxToken {
		return p, "", fmt.Sprintf("holds a token with a header of more than %d KiB", maxToken>>10)
	}
	header, problem := decodeTokenPart(head)
	if problem != "" {
		return p, "", "holds a token whose header " + problem
	}
	if problem = l.checkTokenHeader(header); problem != "" {
		return p, "", problem
	}
	if gjson.GetBytes(header, "b64").Exists() {
		// RFC 7797: without it, what is signed is encoded.
		return p, "", "holds a token with critical extensions"
	}
	switch {
	case l.keyID != Source{}:
		p.keyID, problem = readKeyName(l.keyID, r)
	case l.keySet:
		p.keyID, problem = readKeyID(header)
	}
	if problem != "" {
		return p, "", problem
	}
	p.token = head
	return p, mac, ""
}

// isDetached reports whether the parts are those of a detached JWS: of a token there are
// claims too.
func (p *Parts) isDetached() bool { return p.token != "" && p.claims == "" }

// hashContent writes what a signature is over. Of a detached JWS that is its header and the
// content in base64url (RFC 7515 section 5.2).
func hashContent(st *macState, c content, r *Request, p *Parts) error {
	if !p.isDetached() {
		return c.hash(st, r, *p)
	}
	outer := st.hash
	_, _ = io.WriteString(outer, p.token+".")
	encoder := base64.NewEncoder(base64.RawURLEncoding, outer)
	st.hash = encodedHash{outer, encoder}
	err := c.hash(st, r, *p)
	_ = encoder.Close() // hashes return no errors
	st.hash = outer
	return err
}

// encodedHash is a hash to which an encoder writes.
type encodedHash struct {
	hash.Hash
	encoder io.Writer
}

func (h encodedHash) Write(p []byte) (int, error) { return h.encoder.Write(p) }

// newDetachedHeader is the header of a signature that Sign makes.
func newDetachedHeader(l *signatureLine) string {
	return tokenEncoding.bare.EncodeToString([]byte(`{"alg":"` + algorithms[l.algorithm].jwt + `"}`))
}
