package config

import (
	"net/http"
	"strconv"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// parseGiven reads a source, or `given <name>` for a source that the handshake line
// states.
func parseGiven(args []string) (signature.Source, []string, error) {
	if len(args) > 1 && args[0] == string(SourceGiven) {
		return signature.Source{Kind: SourceGiven, Name: args[1]}, args[2:], nil
	}
	return signature.ParseSource(args)
}

func wholeSource(args []string, into *signature.Source) error {
	source, rest, err := parseGiven(args)
	if err == nil && len(rest) > 0 {
		return usage("too many words")
	}
	*into = source
	return err
}

func parseWhen(c *Check, args []string) error {
	if len(args) == 1 && args[0] == "no_body" {
		c.When = append(c.When, Condition{Is: NoBody})
		return nil
	}
	source, rest, err := parseGiven(args)
	if err != nil {
		return err
	}
	condition := Condition{Source: source}
	switch {
	case len(rest) == 0:
	case len(rest) == 1 && rest[0] == "absent":
		condition.Is = Absent
	case len(rest) == 1 && rest[0] == "empty_list" && source.Kind == signature.SourceBody:
		condition.Is = EmptyList
	case len(rest) == 2 && rest[0] == "is":
		condition.Is, condition.Value = Equal, rest[1]
	default:
		return usage("not understood")
	}
	c.When = append(c.When, condition)
	return nil
}

func parseProof(c *Check, args []string) error {
	switch {
	case args[0] == "token" && len(args) > 1:
		c.Proof = ProofToken
		return wholeSource(args[1:], &c.Token)
	case args[0] == "signature" && len(args) == 1:
		c.Proof = ProofSignature
	case args[0] == "none" && len(args) == 1:
		c.Proof = ProofNone
	default:
		return usage("not understood")
	}
	return nil
}

func parseChallenge(c *Check, args []string) error {
	source, rest, err := parseGiven(args)
	if err != nil {
		return err
	}
	c.Challenge = source
	if len(rest) == 2 && rest[1] == "secret" {
		c.Secret, rest = true, rest[:1]
	}
	if len(rest) != 1 {
		return usage("not understood")
	}
	bound, known := bounds[rest[0]]
	if !known {
		return usage("unknown bound")
	}
	c.Bound = bound
	return nil
}

// The content types of replies. They are sent with nosniff, so browsers do not guess
// another.
const (
	plainText = "text/plain; charset=utf-8"
	jsonText  = "application/json"
)

func parseReply(c *Check, args []string) error {
	status, err := strconv.Atoi(args[0])
	if err != nil || status < http.StatusOK || status > http.StatusNoContent {
		return usage("needs a status that says success")
	}
	c.Reply = Reply{Status: status}
	content := args[1:]
	switch {
	case len(content) == 0:
		return nil
	case content[0] == "header":
		return parseReplyHeaders(c, content)
	case len(content) > 2:
		return usage("too many words")
	case content[0] == "text":
		c.Reply.Type = plainText
	case content[0] == "json":
		c.Reply.Type = jsonText
	default:
		return usage("not understood")
	}
	if len(content) == 2 {
		c.Reply.Body = content[1]
	}
	return nil
}

func parseReplyHeaders(c *Check, words []string) error {
	for ; len(words) > 0; words = words[3:] {
		if len(words) < 3 || words[0] != "header" {
			return usage("takes a name and a value for each header")
		}
		c.Reply.Headers = append(c.Reply.Headers, ReplyHeader{http.CanonicalHeaderKey(words[1]), words[2]})
	}
	return nil
}
