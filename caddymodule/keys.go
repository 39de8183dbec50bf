package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

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
	known map[string]keySource
}

// keySource is a set of keys, or keys by name: one of both.
type keySource struct {
	set   *keys.Source
	named *namedKeys
}

// namedKeys are the certificates that requests name.
type namedKeys struct {
	*keys.Named
	allows func(name string) bool
}

// of is the source of a sender's keys. Nothing is fetched before start.
func (k *keySources) of(ctx caddy.Context, logger *zap.Logger, from *config.KeySource, scheme *signature.Scheme, credentials *credentials) (keySource, error) {
	words := append(from.Words(), scheme.Spec().Named, scheme.Spec().SecretEncoding, scheme.Spec().SecretPrefix)
	if from.API != nil {
		words = append(words, strconv.Itoa(len(k.known))) // each guard has credentials of its own
	}
	for _, signed := range scheme.Spec().Signatures {
		words = append(words, signed.Algorithm)
	}
	name := strings.Join(words, "\n")
	if source, ok := k.known[name]; ok {
		return source, nil
	}
	client, err := keys.NewClient(from.CA)
	if err != nil {
		return keySource{}, err
	}
	var source keySource
	switch {
	case from.X509 != nil:
		source.named, err = certificates(ctx, logger, client, from, scheme)
	case from.API != nil:
		source.named = apiKeys(ctx, logger, client, from.API, scheme, credentials)
	default:
		source.set = keys.New(keys.Options{
			Title: from.URL(), Fetch: client.JSON(from.URL()), Store: ctx.Storage(), Logger: logger,
			Parse: func(document []byte) ([]signature.Secret, error) { return from.Parse(scheme, document) },
		})
	}
	if err != nil {
		return keySource{}, err
	}
	if k.known == nil {
		k.known = make(map[string]keySource)
	}
	k.known[name] = source
	return source, nil
}

// certificates is the source of the certificates that requests name.
func certificates(ctx caddy.Context, logger *zap.Logger, client *keys.Client, from *config.KeySource, scheme *signature.Scheme) (*namedKeys, error) {
	roots, err := keys.ReadRoots(from.Roots)
	if err != nil {
		return nil, fmt.Errorf("roots: %w", err)
	}
	rules := signature.CertificateRules{Roots: roots, Named: from.X509.Named}
	return &namedKeys{keys.NewNamed(keys.NamedOptions{
		Store: ctx.Storage(), Logger: logger,
		Allows: from.X509.Allows,
		Fetch:  func(name string) keys.Fetch { return client.Certificates(name, rules, from.X509.IsIssuer) },
		Parse: func(_ string, document []byte) ([]signature.Secret, error) {
			chain, err := signature.ParseCertificates(document)
			if err == nil {
				err = rules.Check(chain, time.Now())
			}
			if err != nil {
				return nil, err
			}
			key, err := signature.NewCertificateKey(scheme, chain[0])
			return []signature.Secret{key}, err
		},
	}), from.X509.Allows}, nil
}

// apiKeys is the source of the keys that an API gives.
func apiKeys(ctx caddy.Context, logger *zap.Logger, client *keys.Client, at *config.KeyAPI, scheme *signature.Scheme, credentials *credentials) *namedKeys {
	api := keys.NewAPI(client, at, credentials.values)
	return &namedKeys{keys.NewNamed(keys.NamedOptions{
		Store: ctx.Storage(), Logger: logger, Title: at.URL, Allows: at.Takes, Fetch: api.Fetch,
		Parse: func(id string, document []byte) ([]signature.Secret, error) {
			key, err := signature.NewAnsweredKey(scheme, at.Key, id, document)
			if err == nil && !key.InForce(time.Now()) {
				err = fmt.Errorf("the key has expired: %w", keys.ErrUnknownKey)
			}
			return []signature.Secret{key}, err
		},
	}), at.Takes}
}

// start begins to fetch all of them, until ctx ends.
func (k *keySources) start(ctx context.Context) {
	for _, source := range k.known {
		if source.named != nil {
			source.named.Start(ctx)
		} else {
			source.set.Start(ctx)
		}
	}
}

// pin takes the root that a sender's certificates lead to in place of keys.
func (s *secrets) pin(from *config.KeySource) error {
	key, err := from.Key()
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	s.fixed.add()([]signature.Secret{{Key: key}})
	return nil
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
func (t *tenant) FindKeys(tried []signature.Secret, named bool) ([]signature.Secret, *webhook.Refusal) {
	source := t.guard.secrets.fetched.set
	if source == nil {
		return nil, nil
	}
	found, err := source.Look(tried)
	if err == nil || errors.Is(err, keys.ErrJustLooked) && !named {
		// The keys were tried, and hardly any is newer. Forgeries are not told to come again.
		return found, nil
	}
	return found, webhook.Refuse(webhook.SecretUnavailable, "the key that signed is not among those fetched: %w", err)
}

// NamesKeys implements [webhook.KeyNamer].
func (t *tenant) NamesKeys() bool { return t.guard.secrets.fetched.named != nil }

// NamedKeys implements [webhook.KeyNamer].
func (t *tenant) NamedKeys(name string) ([]signature.Secret, *webhook.Refusal) {
	named := t.guard.secrets.fetched.named
	if !named.allows(name) {
		return nil, webhook.Refuse(webhook.SignatureMalformed, "the key that the request names is none that the keys line allows")
	}
	found, err := named.Keys(name)
	switch {
	case errors.Is(err, keys.ErrUnknownKey):
		return nil, webhook.Refuse(webhook.SignatureInvalid, "%w", err)
	case err != nil:
		return nil, webhook.Refuse(webhook.SecretUnavailable, "the key that the request names: %w", err)
	}
	return found, nil
}

// JudgedByNamed implements [webhook.KeyNamer].
func (t *tenant) JudgedByNamed(name string, verified bool) {
	t.guard.secrets.fetched.named.Judged(name, verified)
}
