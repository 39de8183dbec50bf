package config

import (
	"errors"
	"fmt"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func parseSignature(p *Provider, args []string) error {
	sig, rest, err := parsePlace(args)
	if err != nil {
		return err
	}
	if rest, err = parseCondition(rest, &sig); err != nil {
		return err
	}
	for i, word := range rest {
		if word != "split" {
			continue
		}
		if sig.Split = rest[i+1:]; len(sig.Split) < 1 || len(sig.Split) > 2 {
			return errors.New("split takes the separator of a header's items, or that of its groups and then that of their items")
		}
		rest = rest[:i]
		break
	}
	for i, field := range []*string{&sig.Algorithm, &sig.Encoding, &sig.Format} {
		if i < len(rest) {
			*field = rest[i]
		}
	}
	if len(rest) > 3 {
		return usage("too many words")
	}
	p.Signature = append(p.Signature, sig)
	return nil
}

// parseCondition takes the condition of a signature line off the end of its words.
func parseCondition(words []string, sig *signature.SignatureSpec) ([]string, error) {
	i := slices.Index(words, "when")
	if i < 0 {
		return words, nil
	}
	source, value, err := signature.ParseSource(words[i+1:])
	switch {
	case err != nil:
		return nil, err
	case len(value) != 1:
		return nil, usage("when takes a source and its value")
	}
	sig.When = &signature.Condition{Source: source, Value: value[0]}
	return words[:i], nil
}

// parsePlace reads where a signature is: a header's name, or any other source. The
// word body without a path means that the whole body is a token.
func parsePlace(args []string) (signature.SignatureSpec, []string, error) {
	switch signature.Kind(args[0]) {
	case signature.SourceHeaderJSON, signature.SourceQuery, signature.SourceForm, signature.SourceFormJSON:
	case signature.SourceBody:
		if len(args) == 1 || signature.IsAlgorithm(args[1]) {
			return signature.SignatureSpec{Source: signature.Source{Kind: signature.SourceBody}}, args[1:], nil
		}
	default:
		return signature.SignatureSpec{Header: args[0]}, args[1:], nil
	}
	source, rest, err := signature.ParseSource(args)
	if err != nil {
		return signature.SignatureSpec{}, nil, err
	}
	return signature.SignatureSpec{Source: source}, rest, nil
}

func parseSigned(p *Provider, args []string) error {
	if functions := args[1:]; len(functions) > 0 {
		if len(p.SignedFunctions) > 0 && !slices.Equal(p.SignedFunctions, functions) {
			return errors.New("the functions are for all signed lines and must be the same in each")
		}
		p.SignedFunctions = functions
	}
	p.Signed = append(p.Signed, args[0])
	return nil
}

func parseKeyID(p *Provider, args []string) error {
	source, rest, err := signature.ParseSource(args)
	if err == nil && len(rest) > 0 {
		return usage("takes one source")
	}
	p.KeyID = source
	return err
}

func parseSecretEncoding(p *Provider, args []string) error {
	if len(args) > 2 {
		return usage("too many words")
	}
	p.SecretEncoding = args[0]
	if len(args) == 2 {
		p.SecretPrefix = args[1]
	}
	return nil
}

func parseParam(p *Provider, args []string) error {
	if len(args) != 2 {
		return usage("takes a name and a value")
	}
	if p.Param == nil {
		p.Param = make(map[string]string)
	}
	if _, twice := p.Param[args[0]]; twice {
		return fmt.Errorf("%s: is set twice", args[0])
	}
	p.Param[args[0]] = args[1]
	return nil
}
