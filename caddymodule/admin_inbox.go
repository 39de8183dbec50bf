package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

func init() {
	caddy.RegisterModule((*adminInboxes)(nil))
}

// adminInboxes adds the inboxes to Caddy's admin API, below `/webhook_guard/inbox`. GET
// `inboxes` lists them, GET `inbox/events` their events, GET `inbox/event` one of these. POST
// `inbox/replay`, `inbox/delete`, `inbox/pause` and `inbox/resume` change them. Each change
// needs a reason, and is logged.
type adminInboxes struct{}

// CaddyModule implements caddy.Module.
func (*adminInboxes) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.webhook_guard_inboxes",
		New: func() caddy.Module { return new(adminInboxes) },
	}
}

// Routes implements caddy.AdminRouter.
func (*adminInboxes) Routes() []caddy.AdminRoute {
	change := func(do func(inboxes.Manager, *http.Request, adminapi.InboxChange) (adminapi.InboxChanged, error)) func(inboxes.Manager, *http.Request) (any, error) {
		return func(m inboxes.Manager, r *http.Request) (any, error) {
			var c adminapi.InboxChange
			decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&c); err != nil {
				return nil, fmt.Errorf("%w: reading the change: %w", inboxes.ErrAsked, err)
			}
			// Caddy ends the admin API's requests after 10 seconds, and a change has to come to its
			// end.
			return do(m, r.WithContext(context.WithoutCancel(r.Context())), c)
		}
	}
	return []caddy.AdminRoute{
		inboxRoute(adminapi.InboxesPath, http.MethodGet, func(m inboxes.Manager, r *http.Request) (any, error) { return m.States(r.Context()) }),
		inboxRoute(adminapi.InboxEventsPath, http.MethodGet, pageOfInbox),
		inboxRoute(adminapi.InboxEventPath, http.MethodGet, func(m inboxes.Manager, r *http.Request) (any, error) {
			q := r.URL.Query()
			return m.Record(r.Context(), q.Get("inbox"), q.Get("event"), q.Get("body") == "true")
		}),
		inboxRoute(adminapi.InboxReplayPath, http.MethodPost, change(func(m inboxes.Manager, r *http.Request, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
			return m.Replay(r.Context(), c)
		})),
		inboxRoute(adminapi.InboxDeletePath, http.MethodPost, change(func(m inboxes.Manager, r *http.Request, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
			return m.Delete(r.Context(), c)
		})),
		inboxRoute(adminapi.InboxPausePath, http.MethodPost, change(func(m inboxes.Manager, r *http.Request, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
			return m.Pause(r.Context(), c, true)
		})),
		inboxRoute(adminapi.InboxResumePath, http.MethodPost, change(func(m inboxes.Manager, r *http.Request, c adminapi.InboxChange) (adminapi.InboxChanged, error) {
			return m.Pause(r.Context(), c, false)
		})),
	}
}

// inboxRoute is a route whose handler gets the inboxes of the running configuration.
func inboxRoute(path, method string, serve func(inboxes.Manager, *http.Request) (any, error)) caddy.AdminRoute {
	return caddy.AdminRoute{Pattern: path, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		if r.Method != method {
			w.Header().Set("Allow", method)
			return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("%s: use %s", r.Method, method)}
		}
		app := inForce.newest()
		if app == nil {
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("the running configuration has no webhook_guard")}
		}
		var answer any
		err := app.Inboxes(func(m inboxes.Manager) (err error) {
			answer, err = serve(m, r)
			return err
		})
		switch {
		case errors.Is(err, inboxes.ErrAsked):
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
		case errors.Is(err, inbox.ErrUnknown), errors.Is(err, inboxes.ErrNone):
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
		case err != nil:
			return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: err}
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(answer)
	})}
}

// mostListed is how many events one page may have.
const mostListed = 1000

func pageOfInbox(m inboxes.Manager, r *http.Request) (any, error) {
	q := r.URL.Query()
	limit := 100
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostListed {
			return nil, fmt.Errorf("%w: limit is a number from 1 to %d", inboxes.ErrAsked, mostListed)
		}
		limit = n
	}
	f := adminapi.InboxFilter{State: q.Get("state"), Scope: q.Get("scope"), ID: q.Get("id"), Type: q.Get("type"), Reason: q.Get("reason")}
	var err error
	if f.Since, err = timeOf(q, "since"); err != nil {
		return nil, err
	}
	if f.Until, err = timeOf(q, "until"); err != nil {
		return nil, err
	}
	return m.Page(r.Context(), q.Get("inbox"), f, q.Get("cursor"), limit)
}

func timeOf(q url.Values, name string) (*time.Time, error) {
	text := q.Get(name)
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is a time such as 2026-12-31T00:00:00Z", inboxes.ErrAsked, name)
	}
	return &t, nil
}

var _ caddy.AdminRouter = (*adminInboxes)(nil)
