// Package config describes senders of webhooks: how they sign, how they identify
// events, how often they retry, how they check an endpoint. A [Provider] is written
// in the lines of the Caddyfile. The built-in catalogue in providers/ is written in
// the same lines, so that an entry can be read, copied and changed.
//
// A Provider goes through three steps. Its lines are parsed. A guard's own lines are
// merged over it ([Provider.Over]). [Provider.Resolve] checks the result and fills in
// every default, derived from the sender's own facts.
package config

import (
	"fmt"
	"reflect"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Provider describes a sender. Every field is one line of the Caddyfile and has the
// same name there. The zero value of a field means that it is not set: the catalogue
// entry's value applies, or the default.
type Provider struct {
	// The sender's usual name.
	Title string `json:"title,omitempty"`

	// Where the sender documents its webhooks.
	Docs string `json:"docs,omitempty"`

	// What its secret is called and where it is found.
	SecretHint string `json:"secret_hint,omitempty"`

	// The sender sends the secret itself instead of a signature: `bearer`, `basic`
	// (the secret is `user:password`) or a source such as `header X-Api-Token` or
	// `query token`. It is removed from what the app gets, unless it is in the body.
	// With a star in a body's path, each element of the list has one.
	Token string `json:"token,omitempty"`

	// The headers, or other sources, that carry the signature. Any one that is
	// present may match.
	Signature []signature.SignatureSpec `json:"signature,omitempty"`

	// Templates of the bytes under the MAC; each is tried. Default: `{body}`.
	Signed []string `json:"signed,omitempty"`

	// Functions over the whole of the signed bytes, as in
	// `signed {timestamp}.{body} sha256`.
	SignedFunctions []string `json:"signed_functions,omitempty"`

	// The path of a list in the body. Each element has its own signature, and the
	// paths of `signature` and `signed` begin at the element.
	Items string `json:"items,omitempty"`

	// A named scheme, for senders whose signed bytes no template can express:
	// `twilio`, `contentful` or `jwt`.
	Scheme string `json:"scheme,omitempty"`

	// The claims that a token of the scheme `jwt` must contain.
	Claim []signature.Claim `json:"claim,omitempty"`

	// Where the sender publishes its public keys. They are fetched, and fetched again as
	// they change. A guard's own `public_key` takes their place.
	Keys *KeySource `json:"keys,omitempty"`

	// Where a request names the key that signed it, by its ID. A token names its own (kid).
	// Without a name, each key is tried.
	KeyID signature.Source `json:"key_id,omitzero"`

	// Signed values that have to be the user's own, where a sender signs the requests of
	// all its customers with one key. An entry's without values is one that a guard has to
	// have. The values may hold placeholders, as those of `param`.
	Allow []signature.Allowed `json:"allow,omitempty"`

	// How a secret's text becomes key bytes: `raw`, `base64`, `hex`, `sha1` or
	// `nfkd`. Default: `raw`.
	SecretEncoding string `json:"secret_encoding,omitempty"`

	// A prefix to remove from a secret's text before it is decoded, if present, such
	// as `whsec_`.
	SecretPrefix string `json:"secret_prefix,omitempty"`

	// The URL registered with the sender, where it signs that. Scheme, host and
	// credentials are taken from it, and the path where that is more than `/`. The query
	// is always the request's own. The default port may be written out or left out. May
	// hold placeholders. Default: the URL of the original request.
	PublicURL string `json:"public_url,omitempty"`

	// Constants that templates use as `{param.name}`. They may hold placeholders such as
	// `{env.X}`, which are resolved when the configuration is loaded.
	Param map[string]string `json:"param,omitempty"`

	// When the request was sent.
	Timestamp *signature.StampSpec `json:"timestamp,omitempty"`

	// When the event happened, from signed bytes. It bounds replay: an event older
	// than `dedupe_ttl` is refused, and so is a request without it, unless it is optional.
	EventTime *signature.StampSpec `json:"event_time,omitempty"`

	// The sources of the event or delivery ID. Several make one composite ID;
	// a missing part counts as a missing ID.
	ID []signature.Source `json:"id,omitempty"`

	// The sources of the ID where a part of `id` is missing: the words after `or`.
	OrID []signature.Source `json:"or_id,omitempty"`

	// Some of the sender's events have no ID: `optional` at the end of the line. Where all
	// IDs are signed, an event without one is malformed otherwise.
	OptionalID bool `json:"optional_id,omitempty"`

	// The source of the event's type.
	Event signature.Source `json:"event,omitzero"`

	// What makes two deliveries the same where the ID does not settle it: a
	// template, `signed` or `off`. `signed` is all that the signature covers, the
	// stamp included, so that only a captured request is a duplicate. Default:
	// `signed` where the sender has IDs that it does not sign, what is signed
	// without the attempt's stamp where it has none, `off` where nothing is signed, or
	// nothing that differs from event to event.
	Content string `json:"content,omitempty"`

	// Older requests are refused. Default: 5m, plus the sender's retry span
	// where the timestamp is `per_event`.
	MaxAge caddy.Duration `json:"max_age,omitempty"`

	// How far in the future a stamp or an event time may be. Default: 1m.
	MaxSkew caddy.Duration `json:"max_skew,omitempty"`

	// How long a finished event is remembered. Default: the longer of 72h and
	// the sender's retry span plus 24h.
	DedupeTTL caddy.Duration `json:"dedupe_ttl,omitempty"`

	// The methods that are accepted. Default: POST.
	Methods []string `json:"methods,omitempty"`

	// The largest body accepted, in bytes. Default: 10 MiB.
	MaxBody int64 `json:"max_body,omitempty"`

	// How long a sender may take to send its body, and again to read each part of its
	// answer. Default: 10s.
	BodyTimeout caddy.Duration `json:"body_timeout,omitempty"`

	// How long a claim outlives a gateway that died with it. It is renewed while the
	// app works. Default: 10s, less where the sender's retries end sooner, at least
	// 3s.
	Lease caddy.Duration `json:"lease,omitempty"`

	// The longest that the app may work on one event. Default: 5m.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// What a copy does that arrives while the first is handled. Default: it waits 5s,
	// or half of the sender's own time-out where that is shorter.
	InFlight *InFlight `json:"in_flight,omitempty"`

	// The app's answers that finish the event: `2xx`, `202`, `200-204`.
	// Default: `2xx`.
	Success []string `json:"success,omitempty"`

	// What a duplicate gets. Default: the first success's status, no body.
	Answer *Answer `json:"answer,omitempty"`

	// The delays before each retry of the sender.
	Retries []caddy.Duration `json:"retries,omitempty"`

	// The sender never retries by itself: `retries none`. An event that the app did
	// not take is lost, unless somebody redelivers it.
	NeverRetries bool `json:"never_retries,omitempty"`

	// How long the sender retries, where the delays are not known. Where it never
	// retries by itself, how long people can redeliver an event.
	RetrySpan caddy.Duration `json:"retry_span,omitempty"`

	// The sender's own time-out: how long it waits for an answer.
	AnswerWithin caddy.Duration `json:"answer_within,omitempty"`

	// Answers after which the sender gives up: `4xx`, `410`, `400-407`.
	Final []string `json:"final,omitempty"`

	// How the sender checks the endpoint, and so how the guard replies: a kind, its
	// sources and its argument, or `off` to leave it to the app.
	Handshake []string `json:"handshake,omitempty"`

	// The source of these facts: the sender's `official` documentation, its own
	// `sdk`, or a `secondary` source.
	Confidence string `json:"confidence,omitempty"`

	// When the facts were last checked, as 2026-11-28, and then what they were checked
	// against: an address, or a file of a repository or package.
	Checked []string `json:"checked,omitempty"`

	// The lines that no source confirms: the name of a line, or one of `id_stable`,
	// `timestamp_format` and `timestamp_renewed`.
	Unverified []string `json:"unverified,omitempty"`
}

// InFlight is what a copy of an event does while the first is handled.
type InFlight struct {
	// How long to wait for the outcome of the first.
	Wait caddy.Duration `json:"wait,omitempty"`

	// Refuse the copy with a 503 at once.
	Reject bool `json:"reject,omitempty"`
}

// wait ends before the sender's own time-out, so that a copy gets its response.
func (f *InFlight) wait(answerWithin caddy.Duration) time.Duration {
	switch {
	case f == nil && answerWithin > 0:
		return min(DefaultWait, time.Duration(answerWithin)/2)
	case f == nil:
		return DefaultWait
	case f.Reject:
		return 0
	}
	return or(f.Wait, DefaultWait)
}

// Answer is what a duplicate gets: a fixed answer, or the first success's own again.
type Answer struct {
	// The status of a fixed answer.
	Status int `json:"status,omitempty"`

	// The body of a fixed answer.
	Body string `json:"body,omitempty"`

	// Give the first success's own answer again, for senders to whom it is an
	// instruction: its status, Content-Type and body. This is the largest body that is
	// remembered, in bytes, 65536 at most. Of a larger one the status is.
	Remember int64 `json:"remember,omitempty"`
}

const (
	// DefaultRemember is the largest body that is remembered, where no size is given.
	DefaultRemember int64 = 4 << 10
	// maxRemember is what the guard holds of an answer.
	maxRemember int64 = 64 << 10
)

// remembers reports whether a duplicate gets the first success's own answer again.
func (a *Answer) remembers() bool { return a != nil && a.Remember > 0 }

// Over merges p over base: each field that p sets replaces that of base.
//
// A token and a signature exclude each other, and so do a template and a named
// scheme. So either one in p also clears the other in base.
func (p Provider) Over(base Provider) Provider {
	switch {
	case p.Token != "":
		base.Signature, base.Signed, base.SignedFunctions = nil, nil, nil
		base.Scheme, base.Items, base.Claim, base.Keys, base.KeyID = "", "", nil, nil, signature.Source{}
		base.Allow = nil
	case len(p.Signature) > 0:
		base.Token = ""
	}
	if len(p.Signed) > 0 {
		base.Scheme, base.Claim, base.SignedFunctions = "", nil, nil
	}
	if p.Scheme != "" {
		base.Signed, base.SignedFunctions, base.Items, base.KeyID = nil, nil, "", signature.Source{}
	}
	p.Keys, p.Allow = p.Keys.over(base.Keys), allowOver(p.Allow, base.Allow)
	if len(p.ID) > 0 {
		base.OrID, base.OptionalID = nil, false // they are one line
	}
	if p.SecretEncoding != "" {
		base.SecretPrefix = "" // both are in one line
	}
	if len(p.Retries) > 0 || p.NeverRetries {
		base.RetrySpan, base.Retries, base.NeverRetries = 0, nil, false
	}
	if p.RetrySpan > 0 {
		base.Retries = nil
	}
	p.Keys = p.Keys.over(base.Keys)
	over, under := reflect.ValueOf(p), reflect.ValueOf(&base).Elem()
	for i := range over.NumField() {
		if f := over.Field(i); !f.IsZero() {
			under.Field(i).Set(f)
		}
	}
	return base
}

// Unsigned reports whether nothing authenticates the sender's requests.
func (p Provider) Unsigned() bool {
	return p.Token == "" && len(p.Signature) == 0 && p.Scheme == ""
}

// lineError returns an error that names a line of a provider. The text must not contain
// a secret.
func lineError(line, format string, args ...any) error {
	return fmt.Errorf("%s: %w", line, fmt.Errorf(format, args...))
}
