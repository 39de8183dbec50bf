package caddymodule

import (
	"errors"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/stores"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

var (
	errAnswerIsInstruction = errors.New("inbox: the sender acts on the app's answer, as `answer remember` says, and an inbox answers before the app has: leave the inbox out")
	errNoForwarding        = errors.New("inbox: on_store_error forward: where the store does not answer, the inbox cannot keep the event, and its sender gets 503: leave on_store_error out")
	errNoInboxStore        = errors.New("inbox: this store cannot keep events until the app takes them: use store disk or store redis")
)

// keepsEvents reports whether the app's store can have inboxes.
func keepsEvents(a *App) bool {
	_, ok := a.module.(stores.Inboxer)
	return ok
}

// share makes an open store one that many use.
func share(a *App, opened dedupe.Store) (caddy.Destructor, error) {
	shared := newSharedStore(opened, a.module.CaddyModule().ID.Name(), a.metrics)
	if module, ok := a.module.(stores.Inboxer); ok {
		var err error
		if shared.inboxes, err = module.Inboxes(opened); err != nil {
			return nil, errors.Join(err, opened.Close())
		}
	}
	return shared, nil
}

// startInboxes begins to deliver what the store's inboxes keep.
func startInboxes(a *App, store *sharedStore) error {
	if store.inboxes == nil {
		return nil
	}
	return a.inboxes.Start(a.ctx, inboxes.Host{
		Store: store.inboxes, Enter: store.enter, Leave: store.leave, Background: background, Logger: a.logger, Metrics: a.inboxMetrics,
	})
}

// inboxesInForce are those that metrics show.
func inboxesInForce() (sets []*inboxes.Set) {
	for _, app := range inForce.all() {
		sets = append(sets, &app.inboxes)
	}
	return sets
}
