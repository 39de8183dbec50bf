package caddymodule

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// maxCheck is how much of a body is read, of a request that proves nothing, to
// see whether it is a sender's check of the endpoint. Such bodies are tiny.
const maxCheck = 4 << 10

// handshake is a guard's handshake, ready for use.
type handshake struct {
	*config.Handshake
	argument string
	signers  []*signature.Scheme // of the checks; nil where nothing is signed
}

// confirmation is the answer to a check, with its parts.
type confirmation struct {
	reply          config.Reply
	challenge, mac string
}

// unproven are the results of requests that do not even claim to be an event. A
// sender's check may be one of them.
var unproven = map[Result]bool{
	ResultMethodNotAllowed: true,
	ResultSignatureMissing: true,
	ResultTokenMissing:     true,
}

// provisionHandshake prepares the provider's handshake, if it has one.
func (g *Guard) provisionHandshake() error {
	parsed, err := config.ParseHandshake(g.Handshake)
	if err != nil || parsed == nil {
		return err
	}
	if missing := parsed.Missing(); missing != "" {
		g.logger.Warn("the sender's check of the endpoint is not answered: add the line, or handshake off where the app answers it",
			zap.String("provider", g.ProviderName), zap.String("line", "handshake "+parsed.Kind+" <"+missing+">"))
		return nil
	}
	if err := parsed.CheckProvider(g.Provider); err != nil {
		return err
	}
	h := &handshake{Handshake: parsed, signers: make([]*signature.Scheme, len(parsed.Checks))}
	if parsed.Argument != "" {
		if h.argument, err = placeholder.Resolve(parsed.Argument); err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		if err := h.CheckArgument(h.argument); err != nil {
			return err
		}
	}
	for i, check := range parsed.Checks {
		if check.MAC == nil {
			continue
		}
		if h.signers[i], err = g.signer(check.MAC); err != nil {
			return fmt.Errorf("handshake: %s signs its answer: %w", parsed.Kind, err)
		}
	}
	g.warnOfCheckLogs(parsed)
	g.handshake = h
	return nil
}

// signer makes a scheme whose signature is the answer to a challenge, and tries
// it with each secret.
func (g *Guard) signer(mac *config.MAC) (*signature.Scheme, error) {
	scheme, err := signature.Compile(signature.Spec{
		Signatures: []signature.SignatureSpec{{Header: answerHeader, Algorithm: mac.Algorithm, Encoding: mac.Encoding}},
		Signed:     []string{"{body}"},
	})
	if err != nil {
		return nil, err
	}
	if len(g.fixed.signing)+len(g.perRequest) == 0 || g.rules.Token != nil {
		return nil, errors.New("the provider has no secret to sign with: write handshake off")
	}
	for _, secret := range g.fixed.signing {
		if _, err := g.sign(scheme, secret.Key, "try"); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

const answerHeader = "Answer"

func (g *Guard) sign(scheme *signature.Scheme, key *signature.Key, challenge string) (string, error) {
	r := signature.Request{Body: []byte(challenge)}
	if err := scheme.Sign(&r, key, g.now(), ""); err != nil {
		return "", err
	}
	return r.Header[answerHeader][0], nil
}

// warnOfCheckLogs says where Caddy's own logs would show what a check carries.
func (g *Guard) warnOfCheckLogs(h *config.Handshake) {
	for _, check := range h.Checks {
		source := check.Token
		if check.Secret {
			source = check.Challenge
		}
		if source.Kind != "" {
			g.logger.Warn("the sender's check of the endpoint carries a secret where Caddy's access and error logs show it: filter it in the `log` of the site and in the global one",
				zap.String("provider", g.ProviderName), zap.String("filter", logFilter(source)))
		}
	}
}

// handshake finds out whether the request is the sender's check of the endpoint,
// from what the checks before made of it. It returns the answer, or else why the
// request goes no further. What is no check, or one that must not be answered, is
// a request like any other.
func (d *delivery) handshake(refused *refusal) (*confirmation, *refusal) {
	h := d.guard.handshake
	proven := refused == nil
	if h == nil || !proven && !unproven[refused.result] {
		return nil, refused
	}
	asked := d.asked()
	if proven && h.Forgeable(&asked) {
		return nil, refuse(ResultSignatureInvalid, "its signature is one that an answer to the endpoint check could hold")
	}
	for i, check := range h.Checks {
		if check.Proof == config.ProofSignature && !proven {
			continue
		}
		if !proven && check.ReadsBody() && !d.readCheck(&asked) {
			return nil, refused
		}
		if !check.Matches(&asked) {
			continue
		}
		if check.Proof == config.ProofToken {
			if wrong := h.checkToken(check.Token, &asked); wrong != nil {
				return nil, wrong
			}
		}
		if challenge, ok := check.Read(&asked); ok {
			return d.confirmation(check.Reply, h.signers[i], challenge, proven)
		}
	}
	return nil, refused
}

// asked states what the sender asked for. Unlike the facts that are signed, its
// query is the request's own, whatever public_url says.
func (d *delivery) asked() signature.Request {
	asked := d.facts
	uri := d.r.RequestURI
	if original, ok := d.r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		uri = original.RequestURI
	}
	_, asked.Query, _ = strings.Cut(uri, "?")
	return asked
}

// readCheck reads the body of a POST that proves nothing, unless it has been
// read or is longer than any check's.
func (d *delivery) readCheck(asked *signature.Request) bool {
	if asked.Method != http.MethodPost {
		return true
	}
	if d.body == nil {
		rules := d.guard.rules
		body, refused := readBody(d.w, d.r, min(rules.MaxBody, maxCheck), rules.BodyTimeout, bodies)
		if refused != nil {
			return false
		}
		d.body = body
	}
	asked.Body = d.body.data
	return true
}

// checkToken compares the token that was agreed on with the sender. Both sides
// are digested first, so that not even a length shows.
func (h *handshake) checkToken(source signature.Source, asked *signature.Request) *refusal {
	value := source.Read(asked, signature.Parts{})
	if !value.Found {
		return refuse(ResultTokenMissing, "the sender's check of the endpoint has no token")
	}
	got, want := sha256.Sum256([]byte(value.Text)), sha256.Sum256([]byte(h.argument))
	if value.Bad || value.Repeated || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return refuse(ResultTokenInvalid, "the token of the sender's check is not the one in the handshake line")
	}
	return nil
}

// confirmation makes an answer. What is signed in it can be no event: a few
// characters out of letters, digits, - and _, and Forgeable sees to the rest.
func (d *delivery) confirmation(reply config.Reply, signer *signature.Scheme, challenge string, proven bool) (*confirmation, *refusal) {
	c := &confirmation{reply: reply, challenge: challenge}
	if signer == nil {
		return c, nil
	}
	key, refused := d.answerKey(proven)
	if refused != nil {
		return nil, refused
	}
	var err error
	if c.mac, err = d.guard.sign(signer, key, challenge); err != nil {
		return nil, refuse(ResultSecretUnavailable, "signing the answer to the sender's check: %w", err)
	}
	return c, nil
}

// answerKey is the secret that the check itself was signed with, or else the
// first one that is in force.
func (d *delivery) answerKey(proven bool) (*signature.Key, *refusal) {
	secrets, refused := d.secrets()
	if refused != nil {
		return nil, refused
	}
	if proven && d.verdict.Secret < len(secrets.signing) {
		return secrets.signing[d.verdict.Secret].Key, nil
	}
	now := d.guard.now()
	for _, secret := range secrets.signing {
		if secret.Until.IsZero() || now.Before(secret.Until) {
			return secret.Key, nil
		}
	}
	return nil, refuse(ResultSecretUnavailable, "no secret is in force to answer the sender's check with")
}

// confirm answers the sender's check of the endpoint.
func (d *delivery) confirm(c *confirmation) error {
	h := d.guard.handshake
	d.setResult(ResultHandshake)
	d.guard.logger.Info("answered the sender's check of the endpoint",
		d.logFields(zap.String("result", string(ResultHandshake)), zap.String("kind", h.Kind))...)
	fill := func(text string) string { return c.reply.Fill(text, c.challenge, c.mac, h.argument) }
	header := d.w.Header()
	setResult(header, ResultHandshake)
	if c.reply.Header != "" {
		header.Set(c.reply.Header, fill(c.reply.Value))
	}
	if c.reply.Type != "" {
		header.Set("Content-Type", c.reply.Type)
		header.Set("X-Content-Type-Options", "nosniff")
	}
	text := fill(c.reply.Body)
	if c.reply.Status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(text))) // some senders take no chunks
	}
	d.w.WriteHeader(c.reply.Status)
	_, _ = d.w.Write([]byte(text)) // the sender may have gone
	return nil
}
