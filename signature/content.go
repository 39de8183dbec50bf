package signature

// templateContent is a template with the constants of its provider.
type templateContent struct {
	*Template
	params map[string]string
}

func (c templateContent) hash(st *macState, r *Request, p Parts) error {
	var err error
	st.buf, err = c.Template.hash(st.hash, st.buf, r, p, c.params)
	return err
}

func (c templateContent) covers(s Source) bool { return c.Template.Covers(s) }
