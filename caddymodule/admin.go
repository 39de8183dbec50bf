package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
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
// that the sender's next copy is forwarded. `id` repeats for the parts of a
// composite ID; a single one may also be the parts joined by `:`, as logs and
// headers have them.
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
		_, record, err = find(r.Context(), store, scope, id)
	case http.MethodDelete:
		record, err = app.forget(r.Context(), store, scope, id)
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
	key, record, err := find(ctx, store, scope, id)
	if err != nil || record.State == dedupe.Absent {
		return record, err
	}
	if record, err = store.Forget(ctx, key); err != nil {
		return record, err
	}
	a.logger.Warn("forgot an event: its next copy is forwarded",
		zap.String("scope", scope), zap.Strings("id", id), zap.Int("status", record.Status))
	return record, nil
}

// find looks an event up under the readings of its ID, and returns the first one
// that the store knows.
func find(ctx context.Context, store *sharedStore, scope string, id []string) (key dedupe.Key, record dedupe.Record, err error) {
	for _, parts := range readings(id) {
		key = webhook.IDKey(scope, parts)
		if record, err = store.Lookup(ctx, key); err != nil || record.State != dedupe.Absent {
			return key, record, err
		}
	}
	return key, record, nil
}

// Composite IDs have a few parts, and what is joined into one may hold a few
// colons of its own, as times do.
const (
	mostParts  = 4
	mostColons = 12
)

// readings are the lists of parts that an ID as people read it can stand for: it
// joins the parts by colons, but does not say which colons those are.
func readings(id []string) [][]string {
	if len(id) > 1 {
		return [][]string{id}
	}
	all := [][]string{id}
	if strings.Count(id[0], ":") > mostColons {
		return all
	}
	return append(all, splits(id[0], mostParts)...)
}

// splits are the ways to cut a text at colons into two parts or more.
func splits(text string, most int) [][]string {
	if most < 2 {
		return nil
	}
	var all [][]string
	for at := range len(text) {
		if text[at] != ':' || at == 0 || at == len(text)-1 {
			continue // no part of an ID is empty
		}
		head, rest := text[:at], text[at+1:]
		all = append(all, []string{head, rest})
		for _, tail := range splits(rest, most-1) {
			all = append(all, append([]string{head}, tail...))
		}
	}
	return all
}

var _ caddy.AdminRouter = (*adminEvents)(nil)
