package caddymodule

import (
	"context"
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

// adminEvents adds `/webhook_guard/event?scope=…&id=…` to Caddy's admin API. GET
// tells what the store knows of the event; DELETE makes the store forget it, so
// that the sender's next copy is forwarded. A single `id` is the ID as logs have it: the
// parts joined by `:`, where `%3A` is a colon inside a part and `%25` a percent sign.
// `id` may also repeat, once for each part, which is then taken as it is.
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
	query := r.URL.Query()
	scope, id := query.Get("scope"), query["id"]
	if scope == "" || len(id) == 0 || id[0] == "" {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New("name the event: ?scope=<scope>&id=<id>")}
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
		record, err = store.Lookup(r.Context(), webhook.IDKey(scope, partsOf(id)))
	case http.MethodDelete:
		record, err = app.forget(r.Context(), store, scope, partsOf(id))
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
	return json.NewEncoder(w).Encode(adminapi.EventState{
		State: record.State.String(), Status: record.Status, TTL: record.TTL.Round(time.Second).Seconds(),
	})
}

// forget lets an event through again. Somebody will ask later why it came twice,
// so it is logged.
func (a *App) forget(ctx context.Context, store *sharedStore, scope string, id []string) (dedupe.Record, error) {
	key := webhook.IDKey(scope, id)
	record, err := store.Lookup(ctx, key)
	if err != nil || record.State == dedupe.Absent {
		return record, err
	}
	if record, err = store.Forget(ctx, key); err != nil {
		return record, err
	}
	a.logger.Warn("forgot an event: its next copy is forwarded",
		zap.String("scope", scope), zap.String("id", webhook.FormatID(id)), zap.Int("status", record.Status))
	return record, nil
}

// partsOf reads the ID that a request names: its parts one by one, or all of them in one
// text, as logs have it.
func partsOf(id []string) []string {
	if len(id) == 1 {
		return webhook.ParseID(id[0])
	}
	return id
}

var _ caddy.AdminRouter = (*adminEvents)(nil)
