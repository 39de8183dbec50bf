package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// The headers of Standard Webhooks.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
var resignedHeaders = []string{"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"}

// resigner signs what is forwarded in the scheme of Standard Webhooks, so that an app can
// tell what came through the guard. The zero resigner signs nothing.
type resigner struct {
	scheme *signature.Scheme
	key    atomic.Pointer[signature.Key] // nil: off
	// tenants: the guard has several, and two of them may give their events the same ID.
	tenants bool
}

// provisionResign reads a guard's resign line.
func provisionResign(g *Guard) error {
	if g.Resign == "" {
		return nil
	}
	if !g.sender.Authenticates() {
		return errors.New("resign: nothing proves where a request comes from, so there is nothing to vouch for: leave the line out")
	}
	const of = "standard-webhooks"
	standard, err := webhook.New(of, config.Builtin()[of])
	if err != nil {
		return err
	}
	g.resigner.scheme, g.resigner.tenants = standard.Rules.Scheme, g.scope.varies()
	err = g.files.follow("resign", g.Resign, func(text string) error {
		if err := placeholder.Slip(text); err != nil {
			return err
		}
		keys, err := standard.NewKeys(text)
		switch {
		case err != nil:
			return fmt.Errorf("%w: the secret is whsec_ and base64, as the app's Standard Webhooks library takes it", err)
		case len(keys) != 1:
			return errors.New("it takes one secret")
		case keys[0].Size() < shortSecret:
			return fmt.Errorf("the secret is shorter than %d bytes, and a short one can be guessed: make one with `openssl rand -base64 32`", shortSecret)
		}
		g.resigner.key.Store(keys[0])
		return nil
	})
	if err != nil {
		return fmt.Errorf("resign: %w", err)
	}
	return nil
}

// sign sets the headers of a new signature over the body, in place of any that the sender
// sent, in every spelling that an app could fold to one of them.
//
// key is what the event is recognised by: by its ID, where it has one.
func (s *resigner) sign(header http.Header, body []byte, key dedupe.Key, now time.Time) error {
	secret := s.key.Load()
	if secret == nil {
		return nil
	}
	takeSigned(header)
	return s.scheme.Sign(&signature.Request{Method: http.MethodPost, Header: header, Body: body}, secret, now, s.id(header, key))
}

// takeSigned removes the headers of a signature, in every spelling, and returns them.
func takeSigned(header http.Header) http.Header {
	var taken http.Header
	for name, values := range header {
		if !foldsTo(name, resignedHeaders) {
			continue
		}
		if taken == nil {
			taken = make(http.Header)
		}
		taken[name] = values
		delete(header, name)
	}
	return taken
}

// id is the event's ID as the app gets it in Webhook-Guard-Id. It has no full stop, which
// separates the parts of what is signed. With several tenants it is made of the key, which
// has the tenant's scope: it is all that the app can believe of whose the event is. So it is
// without an ID: a copy has the same one too, where it can be recognised.
func (s *resigner) id(header http.Header, key dedupe.Key) string {
	if id := header.Get(headerID); id != "" && !s.tenants {
		return strings.ReplaceAll(id, ".", "%2E")
	}
	if key.IsZero() {
		key = dedupe.Key(dedupe.NewToken())
	}
	return "msg_" + key.String()
}
