package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Token says where a request carries the secret itself.
type Token struct {
	Source signature.Source
	scheme string // of the Authorization header: Bearer, Basic, or ""
}

// ParseToken reads `bearer`, `basic` or a source.
func ParseToken(text string) (Token, error) {
	switch text {
	case "bearer":
		return Token{Source: authorization, scheme: "Bearer"}, nil
	case "basic":
		return Token{Source: authorization, scheme: "Basic"}, nil
	}
	var source signature.Source
	err := source.UnmarshalText([]byte(text))
	if err == nil {
		err = source.Check()
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w; or write bearer or basic", err)
	}
	if source.Kind == signature.SourceSignature {
		return Token{}, errors.New("a token is sent instead of a signature: write header <name>, query <key>, bearer or basic")
	}
	return Token{Source: source}, nil
}

var authorization = signature.Source{Kind: signature.SourceHeader, Name: "Authorization"}

// InBody reports whether the token can only be read once the body is there.
func (t Token) InBody() bool {
	return t.Source.Kind == signature.SourceBody || t.Source.Kind == signature.SourceForm
}

// Read finds the token in a request. Malformed means that it is there more than
// once, or not in the form that it should have.
func (t Token) Read(r *signature.Request) (token string, found, malformed bool) {
	value := t.Source.Read(r, signature.Parts{})
	if !value.Found {
		return "", false, false
	}
	if value.Bad || value.Repeated {
		return "", true, true
	}
	if t.scheme == "" {
		return value.Text, true, false
	}
	// RFC 9110 §11.1: the scheme's name is case-insensitive.
	scheme, credentials, ok := strings.Cut(value.Text, " ")
	if !ok || !strings.EqualFold(scheme, t.scheme) {
		return "", true, true
	}
	credentials = strings.TrimSpace(credentials)
	if t.scheme == "Basic" {
		userPass, err := base64.StdEncoding.DecodeString(credentials)
		if err != nil {
			return "", true, true
		}
		return string(userPass), true, false
	}
	return credentials, true, false
}

// Logged reports whether Caddy's logs would show the token: they redact the
// Authorization header by themselves, and never hold bodies.
func (t Token) Logged() bool {
	return !t.InBody() && t.Source != authorization
}
