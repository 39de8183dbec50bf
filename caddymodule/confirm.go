package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/keys"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

const (
	// confirmFor is the longest that a confirmation takes: the sender waits meanwhile.
	confirmFor = 10 * time.Second
	// An endpoint is confirmed once. More than so many confirmations, and then one each
	// time that this has passed, are somebody's mistake.
	confirmAtOnce = 10
	confirmEvery  = 10 * time.Second
)

// confirmer confirms the endpoint with senders that want to be called for it.
type confirmer struct {
	client *keys.Client // nil where no check asks for it
	limit  *rate.Limiter
}

// provision prepares the confirmations that a handshake asks for.
func (c *confirmer) provision(handshake *config.Handshake, from *config.KeySource) (err error) {
	if !slices.ContainsFunc(handshake.Checks, func(check config.Check) bool { return check.Confirm != "" }) {
		return nil
	}
	ca := ""
	if from != nil {
		ca = from.CA
	}
	c.limit = rate.NewLimiter(rate.Every(confirmEvery), confirmAtOnce)
	c.client, err = keys.NewClient(ca)
	return err
}

// confirmFirst confirms the endpoint, where the reply to a check depends on that, and reports
// whether it may be sent.
func confirmFirst(x *exchange, reply *webhook.Reply) bool {
	if reply.Confirm == "" {
		return true
	}
	known, err := confirmOnce(x, reply)
	if err != nil {
		logEvent(x, zap.WarnLevel, "the sender's subscription could not be confirmed: it is tried again with the next copy of its message",
			zap.String("result", string(webhook.HandshakeAnswered)), zap.NamedError("reason", err))
		*reply = webhook.Reply{Status: http.StatusServiceUnavailable, Headers: []config.ReplyHeader{{Name: "Retry-After", Value: retryAfter}}}
		return false
	}
	if known {
		x.guard.logger.Debug("the sender's subscription has been confirmed before", x.logFields()...)
		return false
	}
	logEvent(x, zap.InfoLevel, "confirmed the sender's subscription")
	return true
}

var (
	errConfirming    = errors.New("another copy of the message is confirming it")
	errConfirmations = errors.New("too many confirmations")
)

// confirmOnce calls the sender, unless this check is known: somebody who sends it again
// confirms nothing, and takes nothing from the limit.
func confirmOnce(x *exchange, reply *webhook.Reply) (known bool, err error) {
	if err := openStore(x); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(x.guard.app.ctx, confirmFor)
	defer cancel()
	event, token := dedupe.Event{ID: reply.ConfirmKey}, dedupe.NewToken()
	switch found, err := x.store.Claim(ctx, event, token, confirmFor); {
	case err != nil && !withoutDedupe(x.guard, err):
		return false, fmt.Errorf("looking it up in the store: %w", err)
	case err == nil && found.State == dedupe.Done:
		return true, nil
	case err == nil && found.State != dedupe.Claimed:
		return false, errConfirming
	}
	err = errConfirmations
	if c := &x.guard.confirmer; c.limit.AllowN(x.guard.now(), 1) {
		err = c.client.Call(ctx, reply.Confirm)
	}
	store, ttl := x.store, x.guard.sender.TTL(&x.event, x.guard.now())
	settled, end := context.WithTimeout(context.WithoutCancel(ctx), confirmFor)
	defer end()
	if err != nil {
		_ = store.Release(settled, event, token) // its lease ends it otherwise
		return false, err
	}
	if lost := store.Commit(settled, event, dedupe.Success{Status: http.StatusOK}, ttl); lost != nil {
		logEvent(x, zap.WarnLevel, "a confirmed subscription could not be remembered: its message, sent again, confirms it again", zap.Error(lost))
	}
	return false, nil
}
