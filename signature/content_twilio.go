package signature

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
)

// namedTwilio is Twilio's scheme, which sorts a form and so is no template:
// https://www.twilio.com/docs/usage/webhooks/webhooks-security
const namedTwilio = "twilio"

var twilioSignature = SignatureSpec{Header: "X-Twilio-Signature", Algorithm: "sha1", Encoding: "base64"}

// twilioContent is the URL and the sorted form. Twilio signs some URLs without the port
// that they were registered with, and some with a port that they do not have, so its
// libraries try them all, and urlUse.anyPort does.
type twilioContent struct{}

func (twilioContent) hash(st *macState, r *Request, _ Parts) error {
	if r.Scheme == "" || r.Host == "" {
		return refuse(SignatureMalformed, "the request has no {url}, which is signed")
	}
	st.buf = r.appendURL(st.buf[:0])
	st.hash.Write(st.buf)
	form := isForm(r)
	if form {
		params, err := sortedOf(r, sortedParams)
		if err != nil {
			return err
		}
		st.hash.Write(params)
	}
	return checkBodySHA256(r, form)
}

// holds accepts the URL, which is always signed, and the body, which is signed as a form or
// through its digest in the URL.
func (twilioContent) holds(s Source) bool {
	return s.Kind == SourceQuery || s.Kind == SourceForm || s.Kind == SourceBody
}

// covers leaves out the query and the form: nothing separates the URL from the first key,
// and keys from values, so "a=bc" and "ab=c" have the same MAC. Only Twilio could change
// that.
func (twilioContent) covers(s Source) bool { return s.Kind == SourceBody }
func (twilioContent) trusts(variable) bool { return false }

func (twilioContent) uses(v variable) bool { return v == varURL }

func (twilioContent) Reads() Reads { return Reads{URL: true, Body: true} }

// sortedParams writes key and value of each field, sorted by key. The values
// of one key are sorted too, and those given twice count once.
func sortedParams(fields []formField) ([]byte, error) {
	var out []byte
	for _, f := range fields {
		slices.Sort(f.values)
		for _, value := range slices.Compact(f.values) {
			out = append(out, f.key...)
			out = append(out, value...)
		}
	}
	return out, nil
}

// checkBodySHA256 ties a body to the digest in the signed URL. Where the body
// is no form nothing else does, and any body could follow a captured URL. A
// digest counts for forms too: else a body of "&", called a form, would be
// good for every URL that was signed for JSON.
func checkBodySHA256(r *Request, form bool) error {
	v := readForm([]byte(r.Query), "bodySHA256")
	switch {
	case v.Repeated || v.Bad:
		return refuse(SignatureMalformed, "query bodySHA256 cannot be read")
	case !v.Found && (form || len(r.Body) == 0):
		return nil
	case !v.Found:
		return refuse(SignatureMalformed, "the body is no form and query has no bodySHA256, so nothing signs it")
	}
	digest, err := hex.DecodeString(v.Text)
	if err != nil || len(digest) != sha256.Size {
		return refuse(SignatureMalformed, "query bodySHA256 is not a SHA-256")
	}
	sum := sha256.Sum256(r.Body)
	if subtle.ConstantTimeCompare(sum[:], digest) != 1 {
		return refuse(SignatureInvalid, "the body is not the one of query bodySHA256")
	}
	return nil
}
