package webhook

import (
	"encoding/base64"
	"strings"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// token is the scheme of senders that send the secret itself.
type token struct{ config.Token }

// match finds the secret in force that the request's token is. Where each element of a list
// has a token, each must be a secret in force, and the first one's is returned.
func (t *token) match(r *signature.Request, secrets []signature.Secret, now time.Time) (int, *Refusal) {
	if t.Items == "" {
		return t.matchOne(r, secrets, now)
	}
	elements, err := signature.Elements(r, t.Items)
	if err != nil {
		return 0, refuseItems(err)
	}
	item := token{config.Token{Source: signature.Source{Kind: t.Source.Kind, Name: t.Item}}}
	first := 0
	for i := range elements {
		index, refused := item.matchOne(&elements[i], secrets, now)
		if refused != nil {
			return 0, refused
		}
		if i == 0 {
			first = index
		}
	}
	return first, nil
}

// refuseItems refuses a request whose tokens cannot be found, or not without doubt.
func refuseItems(err error) *Refusal {
	refused := refuseVerdict(err)
	if refused.Result == SignatureMissing {
		return &Refusal{TokenMissing, refused.Cause}
	}
	return &Refusal{TokenInvalid, refused.Cause}
}

// matchOne finds the secret in force that a token is. All comparisons of tokens are made
// here, in constant time.
func (t *token) matchOne(r *signature.Request, secrets []signature.Secret, now time.Time) (int, *Refusal) {
	text, found, malformed := t.read(r)
	switch {
	case !found:
		return 0, Refuse(TokenMissing, "the request has no token where the provider sends it")
	case malformed || text == "":
		return 0, Refuse(TokenInvalid, "the token is empty, sent more than once, or not in the form expected")
	}
	for i, secret := range secrets {
		if secret.Key.EqualText(text) && secret.InForce(now) {
			return i, nil
		}
	}
	return 0, Refuse(TokenInvalid, "no secret in force matches the token")
}

// pasted is the token in a text as senders show it: the value of the header, with the
// scheme before it. Bearer tokens hold no space, and what is after Basic is in base64.
func (t *token) pasted(text string) string {
	if t.Scheme == "" {
		return text
	}
	scheme, credentials, ok := strings.Cut(strings.TrimSpace(text), " ")
	if !ok || !strings.EqualFold(scheme, t.Scheme) {
		return text
	}
	credentials = strings.TrimSpace(credentials)
	if t.Scheme != config.BasicScheme {
		return credentials
	}
	if userPass, err := base64.StdEncoding.DecodeString(credentials); err == nil && strings.Contains(string(userPass), ":") {
		return string(userPass)
	}
	return text
}

// blank reports whether a secret is only what stands around one: the name of the scheme, or
// the colon between user and password.
func (t *token) blank(text string) bool {
	text = signature.TrimInvisible(text)
	if n := len(t.Scheme); n > 0 && len(text) >= n && strings.EqualFold(text[:n], t.Scheme) {
		text = signature.TrimInvisible(text[n:])
	}
	return t.Scheme != "" && signature.TrimInvisible(strings.Trim(text, ":")) == ""
}

// read finds the token in a request. Malformed means that it is there more than once,
// or not in the form that it should have.
func (t *token) read(r *signature.Request) (text string, found, malformed bool) {
	value := t.Source.Read(r, signature.Parts{})
	if !value.Found {
		return "", false, false
	}
	if value.Bad || value.Repeated {
		return "", true, true
	}
	if t.Scheme == "" {
		return value.Text, true, false
	}
	// RFC 9110 §11.1: the scheme's name is case-insensitive.
	scheme, credentials, ok := strings.Cut(value.Text, " ")
	if !ok || !strings.EqualFold(scheme, t.Scheme) {
		return "", true, true
	}
	credentials = strings.TrimSpace(credentials)
	if t.Scheme == config.BasicScheme {
		userPass, err := base64.StdEncoding.DecodeString(credentials)
		if err != nil {
			return "", true, true
		}
		return string(userPass), true, false
	}
	return credentials, true, false
}
