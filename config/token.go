package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// The values of [Token.Scheme], from RFC 7617 and RFC 6750.
const (
	BearerScheme = "Bearer"
	BasicScheme  = "Basic"
)

// Token is where a request carries the secret itself.
type Token struct {
	Source signature.Source
	// Scheme is the scheme in the Authorization header; "" where the whole value is the
	// token.
	Scheme string

	// Items is the path of a list in the body, each element of which has a token at Item.
	// Source is then that of the first element. Both are empty where a request has one
	// token.
	Items, Item string
}

// ParseToken reads `bearer`, `basic` or a source.
func ParseToken(text string) (Token, error) {
	switch text {
	case "bearer":
		return Token{Source: authorization, Scheme: BearerScheme}, nil
	case "basic":
		return Token{Source: authorization, Scheme: BasicScheme}, nil
	}
	var source signature.Source
	err := source.UnmarshalText([]byte(text))
	if err == nil {
		err = source.Check()
	}
	if err != nil {
		return Token{}, fmt.Errorf("%w; or write bearer or basic", err)
	}
	if source.Kind == signature.SourceSignature || source.Kind == signature.SourceClaim {
		return Token{}, errors.New("a token is sent instead of a signature: write header <name>, query <key>, bearer or basic")
	}
	return eachToken(source)
}

// eachToken takes a path with a star apart: body value.*.clientState is the clientState of
// each element of value.
func eachToken(source signature.Source) (Token, error) {
	items, item, each := strings.Cut(source.Name, ".*.")
	if source.Kind != signature.SourceBody || !each {
		return Token{Source: source}, nil
	}
	if strings.Contains(item, ".*.") {
		return Token{}, errors.New("only one star can stand in the path of a token")
	}
	source.Name = items + ".0." + item
	return Token{Source: source, Items: items, Item: item}, nil
}

var authorization = signature.Source{Kind: signature.SourceHeader, Name: "Authorization"}

// InBody reports whether the token can only be read once the body is there.
func (t Token) InBody() bool {
	switch t.Source.Kind {
	case signature.SourceBody, signature.SourceForm, signature.SourceFormJSON:
		return true
	}
	return false
}

// Logged reports whether Caddy's logs would show the token. They redact the
// Authorization header by themselves, and never contain bodies.
func (t Token) Logged() bool {
	return !t.InBody() && t.Source != authorization
}
