package caddymodule

import (
	"context"
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/keys"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// keySources are the sets of public keys that the guards of a configuration go by. Guards
// that verify the same way share one.
type keySources struct {
	known map[string]*keys.Source
}

// of is the source of a sender's keys. Nothing is fetched before start.
func (k *keySources) of(ctx caddy.Context, logger *zap.Logger, from *config.KeySource, scheme *signature.Scheme) (*keys.Source, error) {
	words := append(from.Words(), scheme.Spec().Named)
	for _, signed := range scheme.Spec().Signatures {
		words = append(words, signed.Algorithm)
	}
	name := strings.Join(words, "\n")
	if source, ok := k.known[name]; ok {
		return source, nil
	}
	source, err := keys.New(keys.Options{
		URL: from.URL(), CA: from.CA, Store: ctx.Storage(), Logger: logger,
		Parse: func(document []byte) ([]signature.Secret, error) { return from.Parse(scheme, document) },
	})
	if err != nil {
		return nil, err
	}
	if k.known == nil {
		k.known = make(map[string]*keys.Source)
	}
	k.known[name] = source
	return source, nil
}

// start begins to fetch all of them, until ctx ends.
func (k *keySources) start(ctx context.Context) {
	for _, source := range k.known {
		source.Start(ctx)
	}
}

// fetchedKeys are the keys in force of a sender that publishes them.
func fetchedKeys(source *keys.Source) ([]signature.Secret, *webhook.Refusal) {
	held, err := source.Keys()
	if err != nil {
		return nil, webhook.Refuse(webhook.SecretUnavailable, "%w", err)
	}
	return held, nil
}

// FindKeys implements [webhook.KeyFinder].
func (t *tenant) FindKeys(named bool) ([]signature.Secret, *webhook.Refusal) {
	source := t.guard.secrets.fetched
	if source == nil {
		return nil, nil
	}
	found, err := source.Look()
	switch {
	case errors.Is(err, keys.ErrJustLooked) && !named:
		// The keys were tried, and hardly any is newer. Forgeries are not told to come again.
		return nil, nil
	case err != nil:
		return nil, webhook.Refuse(webhook.SecretUnavailable, "the key that signed is not among those fetched: %w", err)
	}
	return found, nil
}
