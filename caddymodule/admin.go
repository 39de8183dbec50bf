package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

func init() {
	caddy.RegisterModule((*adminEvents)(nil))
}

// adminEvents adds `/webhook_guard/event?scope=…&id=…` to Caddy's admin API. GET returns
// the store's record of the event. DELETE removes that record, so that the sender's next
// copy is forwarded. A single `id` is the ID as logs show it: the parts joined by `:`,
// where `%3A` is a colon inside a part and `%25` a percent sign. `id` may also repeat,
// once for each part; each part is then taken literally. `key` in place of `id` names
// the event by one of its keys, as the log of a duplicate shows it. It may repeat.
type adminEvents struct{}

// CaddyModule implements caddy.Module.
func (*adminEvents) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.webhook_guard",
		New: func() caddy.Module { return new(adminEvents) },
	}
}

// Provision implements caddy.Provisioner. Caddy serves the registry of a configuration from
// before its apps are loaded on, and goes on with it where that fails. So the metrics of the
// one in force have to be in there.
func (*adminEvents) Provision(ctx caddy.Context) error {
	if inForce.newest() == nil {
		return nil
	}
	_, _, err := registerAll(ctx.GetMetricsRegistry())
	return err
}

// Routes implements caddy.AdminRouter.
func (*adminEvents) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: adminapi.EventPath, Handler: caddy.AdminHandlerFunc(serveEvent)}}
}

func serveEvent(w http.ResponseWriter, r *http.Request) error {
	asked, err := readAsked(r)
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	app := inForce.newest()
	if app == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("the running configuration has no webhook_guard")}
	}
	store, err := app.enter()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	defer store.leave()

	var found knownEvent
	switch r.Method {
	case http.MethodGet:
		found, err = asked.lookUp(r.Context(), app, store)
	case http.MethodDelete:
		found, err = asked.forget(r.Context(), app, store, app.logger)
	default:
		w.Header().Set("Allow", "GET, DELETE")
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s: use GET or DELETE", r.Method)}
	}
	switch {
	case errors.Is(err, dedupe.ErrInFlight), errors.Is(err, inboxes.ErrWaits):
		return caddy.APIError{HTTPStatus: http.StatusConflict, Err: err}
	case err != nil:
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(stateOf(app, asked, found))
}

// stateOf is what is told of an event.
func stateOf(app *App, asked askedEvent, found knownEvent) adminapi.EventState {
	record, scope := found.record, app.scopes.find(asked.scope)
	state := adminapi.EventState{
		State: record.State.String(), Status: record.Status, TTL: record.TTL.Round(time.Second).Seconds(),
		ID: record.IDText, Alone: scope.byID && len(asked.id) > 0, Inbox: scope.inbox,
	}
	if !record.Content.IsZero() {
		state.Key = record.Content.String()
	}
	if found.kept != nil {
		state.Inbox, state.Kept, state.Unrouted = found.kept.Inbox, found.kept.Event(), found.kept.Inbox != scope.inbox
	}
	if !scope.known {
		state.Scopes = app.scopes.lines()
	}
	return state
}

// knownEvent is what is known of an event.
type knownEvent struct {
	record   dedupe.Record
	inFlight bool          // by one of its keys
	kept     *inboxes.Kept // nil where no inbox has it
}

// askedEvent is an event that the admin API is asked about, by its ID or by its keys.
type askedEvent struct {
	scope string
	id    []string
	keys  []dedupe.Key
}

func readAsked(r *http.Request) (askedEvent, error) {
	query := r.URL.Query()
	asked := askedEvent{scope: query.Get("scope")}
	id, keys := query["id"], query["key"]
	switch {
	case asked.scope == "", len(id)+len(keys) == 0, len(id) > 0 && (len(keys) > 0 || id[0] == ""):
		return asked, errors.New("name the event: ?scope=<scope>&id=<id>, or ?scope=<scope>&key=<key>")
	case len(id) > 0:
		if asked.id = id; len(id) == 1 {
			asked.id = webhook.ParseID(id[0]) // all parts in one text, as logs have it
		}
		asked.keys = []dedupe.Key{webhook.IDKey(asked.scope, asked.id)}
		return asked, nil
	}
	for _, text := range keys {
		key, err := dedupe.ParseKey(text)
		if err != nil {
			return asked, fmt.Errorf("key: %w", err)
		}
		asked.keys = append(asked.keys, key)
	}
	return asked, nil
}

// lookUp returns the most complete record that the store has under the event's keys, and what
// an inbox has of it.
func (e askedEvent) lookUp(ctx context.Context, app *App, store *sharedStore) (known knownEvent, err error) {
	most := &known.record
	for _, key := range e.keys {
		record, err := store.Lookup(ctx, key)
		if err != nil {
			return known, err
		}
		id := cmp.Or(most.IDText, record.IDText)
		if record.State > most.State {
			*most = record
		}
		most.IDText = id
		known.inFlight = known.inFlight || record.State == dedupe.InFlight
	}
	known.kept, err = e.keptIn(ctx, app, store, known.record.IDText)
	return known, err
}

// keptIn returns what an inbox has of the event. One that was asked for by what is signed is
// there under the ID that it came with.
func (e askedEvent) keptIn(ctx context.Context, app *App, store *sharedStore, id string) (*inboxes.Kept, error) {
	if store.inboxes == nil {
		return nil, nil
	}
	keys := make([]inbox.Key, 0, len(e.keys)+1)
	for _, key := range e.keys {
		keys = append(keys, inbox.Key(key))
	}
	if id != "" {
		keys = append(keys, inbox.Key(webhook.IDKey(e.scope, webhook.ParseID(id))))
	}
	return managerOf(app, store).Find(ctx, keys...)
}

// forget lets an event through again: neither the store nor its inbox takes the next copy for
// a duplicate. It is logged, since somebody will ask later why the event came twice. One that
// was given up stays in its inbox, where the next copy revives it.
func (e askedEvent) forget(ctx context.Context, app *App, store *sharedStore, logger *zap.Logger) (knownEvent, error) {
	found, err := e.lookUp(ctx, app, store)
	switch {
	case err != nil:
		return found, err
	case found.kept != nil && found.kept.State.Waits():
		return found, inboxes.ErrWaits
	case found.record.State == dedupe.Absent && (found.kept == nil || found.kept.State != inbox.Done):
		return found, nil
	case found.inFlight:
		return found, dedupe.ErrInFlight // nothing is forgotten by halves
	}
	// First, so that the command can be repeated where the store fails in between.
	if found.kept != nil && found.kept.State == inbox.Done {
		if err := found.kept.Forget(ctx); err != nil {
			return found, err
		}
	}
	for _, key := range e.keys {
		if _, err := store.Forget(ctx, key); err != nil {
			return found, err
		}
	}
	fields := []zap.Field{zap.String("scope", e.scope), zap.Int("status", found.record.Status)}
	if len(e.id) > 0 {
		fields = append(fields, zap.String("id", webhook.FormatID(e.id)))
	} else {
		fields = append(fields, zap.Stringers("keys", e.keys))
	}
	if found.kept != nil {
		fields = append(fields, zap.String("inbox", found.kept.Inbox))
	}
	logger.Warn("forgot an event on request", fields...)
	return found, nil
}

var _ caddy.AdminRouter = (*adminEvents)(nil)
