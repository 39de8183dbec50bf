package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/keys"
	"github.com/webhookguard/caddy-webhook-guard/config"
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
	err := errors.New("too many confirmations")
	if c := &x.guard.confirmer; c.limit.AllowN(x.guard.now(), 1) {
		ctx, cancel := context.WithTimeout(x.guard.app.ctx, confirmFor)
		defer cancel()
		err = c.client.Call(ctx, reply.Confirm)
	}
	if err != nil {
		x.guard.logger.Warn("the sender's subscription could not be confirmed: it is tried again with the next copy of its message",
			x.logFields(zap.String("result", string(webhook.HandshakeAnswered)), zap.NamedError("reason", err))...)
		*reply = webhook.Reply{Status: http.StatusServiceUnavailable, Headers: []config.ReplyHeader{{Name: "Retry-After", Value: retryAfter}}}
		return false
	}
	x.guard.logger.Info("confirmed the sender's subscription", x.logFields()...)
	return true
}
