package signature

// Spec describes a provider's scheme.
type Spec struct {
	// Signatures are the places to look at; any that is present may match.
	// With none, the provider does not sign and only the stamps can be checked.
	Signatures []SignatureSpec `json:"signatures,omitempty"`
	// Signed are templates of the bytes under the MAC; each is tried.
	// Default: {body}.
	Signed []string `json:"signed,omitempty"`
	// SignedFunctions are applied, left to right, to the whole of whichever
	// of the Signed templates: signed {timestamp}.{body} sha256. The first of
	// them has to be a digest.
	SignedFunctions []string `json:"signed_functions,omitempty"`
	// Items is the path of a list in the body of which each element is signed
	// on its own. The paths of Signed and Signatures begin at the element.
	Items string `json:"items,omitempty"`
	// Named is a scheme that templates cannot describe: twilio, contentful or
	// jwt. It replaces Signed.
	Named string `json:"named,omitempty"`
	// Claims are those that a token of the scheme jwt must have.
	Claims []Claim `json:"claims,omitempty"`
	// Timestamp is when the request was sent, EventTime when the event
	// happened. A request without an EventTime is malformed, unless it is optional.
	Timestamp *StampSpec `json:"timestamp,omitempty"`
	EventTime *StampSpec `json:"event_time,omitempty"`
	// ID are the sources of the event's ID.
	ID []Source `json:"id,omitempty"`
	// Event is the source of the event's type. It proves nothing, but says that what it
	// is in is an object.
	Event Source `json:"event,omitzero"`
	// Params are the constants of {param.NAME}.
	Params map[string]string `json:"params,omitempty"`
	// KeySet means that the keys are those of a set, which signatures may name one of:
	// see [NewKeySet].
	KeySet bool `json:"key_set,omitempty"`
	// KeyID is where a request names the key that signed it. A token names its own (kid).
	KeyID Source `json:"key_id,omitzero"`
	// KeyName is where a request names the key that it was signed with, which is then
	// fetched by that name: see [KeyName].
	KeyName Source `json:"key_name,omitzero"`
	// KeyByID means that keys are fetched one by one, by the ID that a request has at KeyID,
	// or its token as kid.
	KeyByID bool `json:"key_by_id,omitempty"`
	// Allowed are signed values that have to be the user's own.
	Allowed []Allowed `json:"allowed,omitempty"`
	// SecretEncoding and SecretPrefix are for [NewKey]. Default: raw, none.
	SecretEncoding string `json:"secret_encoding,omitempty"`
	SecretPrefix   string `json:"secret_prefix,omitempty"`
}

// SignatureSpec is one place that holds signatures: a header, as a rule.
type SignatureSpec struct {
	// Header is its name. A star at the end stands for a number.
	Header string `json:"header,omitempty"`
	// Source is where the signature is instead of in a header: header_json
	// <name>.<path>, query <key>, body <path>, form <field> or form_json
	// <field>.<path>. Without a path, body is a whole body that is a token.
	Source Source `json:"source,omitzero"`
	// Algorithm is sha1, sha256, sha384 or sha512, as an HMAC; plain-sha1 or
	// plain-sha256, as a hash of a text that holds the secret; or ed25519,
	// ecdsa-sha256, ecdsa-sha1, rsa-sha1, rsa-sha256, rsa-sha512 or rsa-pss-sha512, with a
	// public key. Default: sha256.
	Algorithm string `json:"algorithm,omitempty"`
	// Encoding is hex, base64, base64url or base64hex, or jws for a detached JWS,
	// <header>..<signature>. Default: hex. A token of the scheme jwt has an encoding
	// of its own.
	Encoding string `json:"encoding,omitempty"`
	// Format is the shape of the value there. Default: {signature}.
	Format string `json:"format,omitempty"`
	// Split holds the separator of the items, or of groups and items.
	Split []string `json:"split,omitempty"`
	// When is what a request has to be for its signature to be of this kind.
	When *Condition `json:"when,omitempty"`
}

// Condition is a value that a request has to have.
type Condition struct {
	// Source is where the value is.
	Source Source `json:"source"`
	// Value is what it has to be.
	Value string `json:"value"`
}

// StampSpec is where a time is and how it is written.
type StampSpec struct {
	Source Source `json:"source"`
	// Format is unix, unix_ms or rfc3339. Default: detected from the value.
	Format string `json:"format,omitempty"`
	// PerEvent means that the stamp stays the same across retries. The caller chooses
	// its window accordingly.
	PerEvent bool `json:"per_event,omitempty"`
	// Optional means that an event time may be missing.
	Optional bool `json:"optional,omitempty"`
	// MayBeRenewed means that PerEvent is a precaution: it is not known whether
	// retries renew the stamp.
	MayBeRenewed bool `json:"-"`
}

// Renewed reports whether a retry may have another stamp.
func (t *StampSpec) Renewed() bool { return !t.PerEvent || t.MayBeRenewed }

// Claim is one claim of a token and the value that it must have.
type Claim struct {
	// Name is the claim's name. A nested one is written like a body path.
	Name string `json:"name,omitempty"`
	// Or are other names of it. One of all these must be there, and each that is there
	// must have the value.
	Or []string `json:"or,omitempty"`
	// Template is the value that the claim must equal.
	Template string `json:"template,omitempty"`
	// OrTemplate are other values that it may equal. They hold nothing of the request.
	OrTemplate []string `json:"or_template,omitempty"`
	// Optional means that a token without the claim is accepted too, whatever the
	// request is. Such a claim does not make anything count as signed.
	Optional bool `json:"optional,omitempty"`
	// WithBody means that the claim, which has to be of the body, may be missing
	// where the request has none.
	WithBody bool `json:"with_body,omitempty"`
	// Unless is the name of another claim: where the token has that, this one may be
	// missing.
	Unless string `json:"unless,omitempty"`
	// Prefix means that the claim, where it is there, must begin with the value.
	Prefix bool `json:"prefix,omitempty"`
	// NotPrefix means that the claim must not begin with the value.
	NotPrefix bool `json:"not_prefix,omitempty"`
}
