package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Handshake replies to a sender's checks of the endpoint, as the catalogue describes
// their kind. It is immutable once made.
type Handshake struct {
	*config.Handshake
	argument string
	token    *signature.Key      // the argument, where a check has to hold it
	signers  []*signature.Scheme // of the checks; nil where nothing is signed
}

// Reply is the guard's reply to a check of the endpoint.
type Reply struct {
	Status      int
	ContentType string // of Body; "" where there is none
	Body        string
	Headers     []config.ReplyHeader // further ones

	// Confirm is a URL that is to be called first, and that has to answer with 200; ""
	// where there is none. It holds a token, so it is not for logs.
	Confirm string

	// ConfirmKey is the key of the check that asks for the call, in a namespace of its own:
	// whoever sends it again cannot change it.
	ConfirmKey dedupe.Key

	// Warning is what somebody should know of the check; "" where there is nothing.
	Warning string
}

// NewHandshake makes a handshake ready for use. argument is what the kind's line adds,
// with its placeholders resolved.
func NewHandshake(h *config.Handshake, argument string) (*Handshake, error) {
	made := &Handshake{Handshake: h, argument: argument, signers: make([]*signature.Scheme, len(h.Checks))}
	if argument != "" {
		if err := h.CheckArgument(argument); err != nil {
			return nil, err
		}
		var err error
		if made.token, err = signature.NewKey(argument, "raw", ""); err != nil {
			return nil, fmt.Errorf("handshake: %w", err)
		}
	}
	for i, check := range h.Checks {
		if check.MAC == nil {
			continue
		}
		var err error
		if made.signers[i], err = signature.Compile(signature.Spec{
			Signatures: []signature.SignatureSpec{{Header: answerHeader, Algorithm: check.MAC.Algorithm, Encoding: check.MAC.Encoding}},
			Signed:     []string{"{body}"},
		}); err != nil {
			return nil, fmt.Errorf("handshake: %s signs its reply: %w", h.Kind, err)
		}
	}
	return made, nil
}

// Try signs a text with each key, so that one which cannot sign is found when the
// configuration loads.
func (h *Handshake) Try(secrets []signature.Secret, now time.Time) error {
	for _, scheme := range h.signers {
		if scheme == nil {
			continue
		}
		for _, secret := range secrets {
			if _, err := sign(scheme, secret.Key, "try", now); err != nil {
				return fmt.Errorf("handshake: %s signs its reply: %w", h.Kind, err)
			}
		}
	}
	return nil
}

// Signs reports whether a reply is signed with the sender's secret.
func (h *Handshake) Signs() bool {
	return slices.ContainsFunc(h.signers, func(s *signature.Scheme) bool { return s != nil })
}

const answerHeader = "Answer"

func sign(scheme *signature.Scheme, key *signature.Key, challenge string, now time.Time) (string, error) {
	r := signature.Request{Body: []byte(challenge)}
	if err := scheme.Sign(&r, key, now, ""); err != nil {
		return "", err
	}
	return r.Header[answerHeader][0], nil
}

// CheckBody reads the body of a POST that proves nothing, as a check may be in it.
type CheckBody interface {
	// ReadCheck is false where the body cannot be had, or is longer than any check's.
	ReadCheck() (data []byte, ok bool)
}

// Answer decides whether the request is the sender's check of the endpoint, from the
// outcome of the steps before: refused is why it is no event, or nil. It returns the
// reply, or the reason why the request goes no further. A request that is no check, or
// one that must not get a reply, is handled like any other.
func (h *Handshake) Answer(j *Judgement, refused *Refusal, body CheckBody) (*Reply, *Refusal) {
	proven := refused == nil
	if !proven && !refused.Result.Unproven() {
		return nil, refused
	}
	asked := j.signed
	if proven && forgeable(h.Handshake, &asked) {
		return nil, Refuse(SignatureInvalid, "its signature is one that an answer to the endpoint check could hold")
	}
	for i, check := range h.Checks {
		if check.Proof == config.ProofSignature && !proven || proven && !j.sender.signsCheck(check) {
			continue
		}
		if !proven && check.ReadsBody() && asked.Method == http.MethodPost {
			data, ok := body.ReadCheck()
			if !ok {
				return nil, refused
			}
			asked.Body = data
		}
		if !matches(check, &asked) {
			continue
		}
		if check.Proof == config.ProofToken {
			if wrong := h.checkToken(check.Token, &asked); wrong != nil {
				return nil, wrong
			}
		}
		if challenge, ok := challengeOf(check, &asked); ok {
			return h.reply(j, i, challenge, proven)
		}
	}
	return nil, refused
}

// signsCheck reports whether a signed request can be the check. Whoever captured an event
// can add to what its signature does not cover, and so can a proxy on its way. So a signed
// request is a check only by something in it that the signature covers.
func (s *Sender) signsCheck(check config.Check) bool {
	scheme := s.Rules.Scheme
	if !scheme.Signed() || signature.IsBearer(scheme) {
		return true // a token: whoever has it can write any request
	}
	if check.Challenge.Kind != "" && scheme.Covers(check.Challenge) {
		return true
	}
	return slices.ContainsFunc(check.When, func(c config.Condition) bool {
		switch c.Is {
		case config.Absent:
			return false // many an event lacks it too
		case config.NoBody:
			return scheme.CoversBody()
		}
		return scheme.Covers(c.Source)
	})
}

// checkToken compares the token that was agreed on with the sender.
func (h *Handshake) checkToken(source signature.Source, asked *signature.Request) *Refusal {
	value := source.Read(asked, signature.Parts{})
	switch {
	case !value.Found:
		return Refuse(TokenMissing, "the sender's check of the endpoint has no token")
	case value.Bad, value.Repeated, !h.token.EqualText(value.Text):
		return Refuse(TokenInvalid, "the token of the sender's check is not the one in the handshake line")
	}
	return nil
}

// reply makes the reply to a check. The text that it signs can be no event: a few
// characters out of letters, digits, - and _. forgeable refuses the rest.
func (h *Handshake) reply(j *Judgement, check int, challenge string, proven bool) (*Reply, *Refusal) {
	mac := ""
	if signer := h.signers[check]; signer != nil {
		key, refused := j.answerKey(proven)
		if refused != nil {
			return nil, refused
		}
		var err error
		if mac, err = sign(signer, key, challenge, j.now); err != nil {
			return nil, Refuse(SecretUnavailable, "signing the answer to the sender's check: %w", err)
		}
	}
	confirm, refused := confirmation(h.Checks[check], &j.signed)
	if refused != nil {
		return nil, refused
	}
	var key dedupe.Key
	if confirm != "" {
		if key, refused = j.confirmKey(confirm); refused != nil {
			return nil, refused
		}
	}
	reply := h.Checks[check].Reply
	digest := ""
	if text := h.Checks[check].Digest; text != "" {
		digest = digestOf(text, challenge, h.argument, registeredURL(h.Checks[check], j.signed))
	}
	fill := strings.NewReplacer("{challenge}", challenge, "{mac}", mac, "{digest}", digest, "{argument}", h.argument).Replace
	headers := make([]config.ReplyHeader, 0, len(reply.Headers))
	for _, header := range reply.Headers {
		headers = append(headers, config.ReplyHeader{Name: header.Name, Value: fill(header.Value)})
	}
	return &Reply{
		Status: reply.Status, ContentType: reply.Type, Body: fill(reply.Body), Headers: headers,
		Confirm: confirm, ConfirmKey: key, Warning: h.Checks[check].Warning,
	}, nil
}

// digestOf is the SHA-256, in hex, of a check's text.
func digestOf(text, challenge, argument, url string) string {
	filled := strings.NewReplacer("{challenge}", challenge, "{argument}", argument, "{url}", url).Replace(text)
	sum := sha256.Sum256([]byte(filled))
	return hex.EncodeToString(sum[:])
}

// registeredURL is the URL of a check without the challenge that the sender added to it.
func registeredURL(c config.Check, asked signature.Request) string {
	if c.Challenge.Kind == signature.SourceQuery {
		asked.Query = signature.WithoutQueryKey(asked.Query, c.Challenge.Name)
	}
	return asked.URL()
}

var errNoKey = errors.New("no secret is in force to answer the sender's check with")

// answerKey returns the secret that the check itself was signed with, or else the first one
// that is in force.
func (j *Judgement) answerKey(proven bool) (*signature.Key, *Refusal) {
	if refused := j.lookUpSecrets(); refused != nil {
		return nil, refused
	}
	if proven && j.verdict.Secret < len(j.secrets) {
		return j.secrets[j.verdict.Secret].Key, nil
	}
	for _, secret := range j.secrets {
		if secret.InForce(j.now) {
			return secret.Key, nil
		}
	}
	return nil, &Refusal{SecretUnavailable, errNoKey}
}
