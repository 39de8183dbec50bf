package caddymodule

import (
	"fmt"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

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
	if err := g.confirmer.provision(parsed, g.sender.Rules.Keys); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if parsed.Argument == "" {
		err = g.useHandshake(parsed, "")
	} else {
		err = g.followArgument(parsed)
	}
	if err != nil {
		return err
	}
	for _, check := range parsed.Checks {
		source := check.Token
		if check.Secret {
			source = check.Challenge
		}
		if source.Kind != "" {
			g.warnOfLogs("the sender's check of the endpoint carries a secret", source)
		}
	}
	return nil
}

// followArgument uses the argument, which may be in a file that changes.
func (g *Guard) followArgument(parsed *config.Handshake) error {
	var unusable error // names the line already
	err := g.files.follow("handshake", parsed.Argument, func(argument string) error {
		if err := placeholder.Slip(argument); err != nil {
			return err
		}
		unusable = g.useHandshake(parsed, argument)
		return unusable
	})
	if err != nil && unusable == nil {
		return fmt.Errorf("handshake: %w", err)
	}
	return err
}

// useHandshake activates a handshake.
func (g *Guard) useHandshake(parsed *config.Handshake, argument string) error {
	handshake, err := webhook.NewHandshake(parsed, argument)
	if err != nil {
		return err
	}
	secrets := g.secrets.fixed.secrets()
	if handshake.Signs() && (len(secrets)+len(g.secrets.perRequest) == 0 || g.sender.Rules.Token != nil) {
		return fmt.Errorf("handshake: %s signs its reply: the provider has no secret to sign with: write handshake off", parsed.Kind)
	}
	if err := handshake.Try(secrets, g.now()); err != nil {
		return err
	}
	g.handshake.Store(handshake)
	return nil
}
