package signature

import (
	"bytes"
	"crypto/sha256"
	"slices"
)

// content writes the bytes under a MAC.
type content interface {
	hash(st *macState, r *Request, p Parts) error
	// holds reports whether what a source reads is in it, and covers whether it is also
	// known where that begins and ends.
	holds(Source) bool
	covers(Source) bool
	// uses and trusts are the same of {timestamp}, {id} and the URL.
	uses(variable) bool
	trusts(variable) bool
	Reads() Reads
}

// templateContent is a template with the constants of its provider.
type templateContent struct {
	*Template
	params map[string]string
	// whole are functions over all of it; the first is a digest.
	whole []string
	// open means that a plain hash is used that could be continued after its end.
	open bool
	// bounds are where its values begin and end.
	bounds *bounds
	// fields of the body are signed without the whole of it.
	fields []signedField
	// absent are the fields that only the other templates of the scheme sign.
	absent []Source
	// query has the keys that are signed without the whole query; freeQuery means that
	// nothing signs the whole.
	query     []string
	freeQuery bool
}

// signedField is a part of a body that is signed without the whole of it.
type signedField struct {
	Source
	// object means that more is read out of it, so that it is an object.
	object bool
}

func (c *templateContent) hash(st *macState, r *Request, p Parts) error {
	if c.open && bytes.IndexByte(r.Body, 0) >= 0 {
		// SHA-1 and SHA-256 pad with zero bytes. Whoever knows the hash of
		// secret and body can compute the hash of both, the padding and more
		// (length extension). A body extended in this way always has a zero
		// byte in it.
		return refuse(SignatureMalformed, "the body has a zero byte, which a plain hash does not protect")
	}
	e := env{r: r, parts: &p, params: c.params, secret: st.secret}
	if len(c.whole) == 0 {
		var err error
		st.buf, err = c.Template.hash(st.hash, st.buf, &e)
		return err
	}
	if st.whole == nil {
		st.whole = sha256.New()
	}
	st.whole.Reset()
	var err error
	if st.buf, err = c.Template.hash(st.whole, st.buf, &e); err != nil {
		return err
	}
	st.buf = st.whole.Sum(st.buf[:0])
	for _, f := range c.whole[1:] {
		st.buf = functions[f](st.buf, 0)
	}
	st.hash.Write(st.buf)
	return nil
}

// holds takes into account that a function over the whole applies to every part.
func (c *templateContent) holds(s Source) bool {
	return !slices.Contains(c.whole, "lower") && c.Template.Covers(s)
}

func (c *templateContent) covers(s Source) bool {
	return !slices.Contains(c.whole, "lower") &&
		c.bounds.trustsAny(func(ph *placeholder) bool { return ph.covers(s) })
}

func (c *templateContent) trusts(v variable) bool {
	return c.bounds.trustsAny(func(ph *placeholder) bool { return ph.variable == v })
}

// claim is a compiled Claim. Its content is the first of the values that it may have.
type claim struct {
	templateContent
	spec     Claim
	names    []string
	others   []templateContent // the other values
	optional bool              // it may be missing, whatever the request is
}
