package caddymodule

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
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

	var record dedupe.Record
	switch r.Method {
	case http.MethodGet:
		record, err = asked.lookUp(r.Context(), store)
	case http.MethodDelete:
		record, err = asked.forget(r.Context(), store, app.logger)
	default:
		w.Header().Set("Allow", "GET, DELETE")
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s: use GET or DELETE", r.Method)}
	}
	switch {
	case errors.Is(err, dedupe.ErrInFlight):
		return caddy.APIError{HTTPStatus: http.StatusConflict, Err: err}
	case err != nil:
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(stateOf(app, asked, record))
}

// stateOf is what is told of an event.
func stateOf(app *App, asked askedEvent, record dedupe.Record) adminapi.EventState {
	state := adminapi.EventState{
		State: record.State.String(), Status: record.Status, TTL: record.TTL.Round(time.Second).Seconds(),
		ID: record.IDText,
	}
	if !record.Content.IsZero() {
		state.Key = record.Content.String()
	}
	known, byID := app.scopes.find(asked.scope)
	state.Alone = byID && len(asked.id) > 0
	if !known {
		state.Scopes = app.scopes.lines()
	}
	return state
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
		var key dedupe.Key
		bytes, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || len(bytes) != len(key) {
			return asked, errors.New("key: it is not one of the guard's: 22 characters of base64url")
		}
		asked.keys = append(asked.keys, dedupe.Key(bytes))
	}
	return asked, nil
}

// lookUp returns the most complete record that the store has under the event's keys.
func (e askedEvent) lookUp(ctx context.Context, store *sharedStore) (most dedupe.Record, err error) {
	for _, key := range e.keys {
		record, err := store.Lookup(ctx, key)
		if err != nil {
			return most, err
		}
		if record.State > most.State {
			most = record
		}
		most.IDText = cmp.Or(most.IDText, record.IDText)
	}
	return most, nil
}

// forget lets an event through again. It is logged, since somebody will ask later why
// the event came twice.
func (e askedEvent) forget(ctx context.Context, store *sharedStore, logger *zap.Logger) (dedupe.Record, error) {
	var found dedupe.Record
	for _, key := range e.keys {
		record, err := store.Lookup(ctx, key)
		switch {
		case err != nil:
			return record, err
		case record.State == dedupe.InFlight:
			return record, dedupe.ErrInFlight // nothing is forgotten by halves
		case record.State == dedupe.Done:
			record.IDText = cmp.Or(found.IDText, record.IDText)
			found = record
		}
	}
	if found.State == dedupe.Absent {
		return found, nil
	}
	for _, key := range e.keys {
		if _, err := store.Forget(ctx, key); err != nil {
			return found, err
		}
	}
	fields := []zap.Field{zap.String("scope", e.scope), zap.Int("status", found.Status)}
	if len(e.id) > 0 {
		fields = append(fields, zap.String("id", webhook.FormatID(e.id)))
	} else {
		fields = append(fields, zap.Stringers("keys", e.keys))
	}
	logger.Warn("forgot an event on request", fields...)
	return found, nil
}

var _ caddy.AdminRouter = (*adminEvents)(nil)
