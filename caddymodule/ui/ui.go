// Package ui is the page that shows what the gateway does: inboxes, deliveries, dead letters,
// refused requests and guards.
//
// Each screen is a function that reads what it shows through [Gateway] and fills a template.
// All of it works without scripts. Links are relative, so that the page may stand at any path,
// behind a proxy that strips a prefix too.
package ui

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

func init() {
	caddy.RegisterModule((*Handler)(nil))
}

// Handler serves the page: inboxes, deliveries, dead letters, refused requests, guards. It
// authenticates nobody: put it behind `basic_auth`, `forward_auth` or client certificates.
// Whoever changes something is logged, with the reason.
type Handler struct {
	// Where the page is, such as `/webhooks`; requests for other paths are passed on. Default:
	// at the root of what the handler gets.
	Path string `json:"path,omitempty"`

	// Refuse every change: replay, delete, pause, resume, forget.
	ReadOnly bool `json:"read_only,omitempty"`

	// Who uses the page, for the log of changes. Default: `{http.auth.user.id}`. Behind client
	// certificates or an identity proxy it is another placeholder, such as
	// `{http.request.tls.client.subject}` or `{http.request.header.Remote-User}`.
	User string `json:"user,omitempty"`

	// A text that each screen shows at its top, such as which environment this is.
	Banner string `json:"banner,omitempty"`

	gateway  Gateway
	watched  recent.Source
	logger   *zap.Logger
	now      func() time.Time
	patience time.Duration // with a change, until it is followed
}

// Gateway is what the page shows and changes.
type Gateway interface {
	// Watch returns what this process has seen lately.
	Watch() recent.Source
	// Inboxes calls do with the inboxes of the store, or returns inboxes.ErrNone.
	Inboxes(do func(inboxes.Manager) error) error
	// Event looks an event up among those that are remembered.
	Event(ctx context.Context, scope, id string) (adminapi.EventState, error)
	// Forget lets an event through again, and logs who did so and why.
	Forget(ctx context.Context, scope, id, by, why string) (adminapi.EventState, error)
}

// CaddyModule implements caddy.Module.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.webhook_guard_ui",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision implements caddy.Provisioner.
func (h *Handler) Provision(ctx caddy.Context) error {
	if h.Path != "" && (h.Path != path.Clean(h.Path) || h.Path[0] != '/' || h.Path == "/") {
		return fmt.Errorf("webhook_guard_ui: path: %q is none: write it as /webhooks", h.Path)
	}
	if h.User == "" {
		h.User = "{http.auth.user.id}"
	}
	app, err := ctx.App("webhook_guard")
	if err != nil {
		return err
	}
	h.gateway, h.logger, h.now, h.patience = app.(Gateway), ctx.Logger(), time.Now, atOnce
	h.watched = h.gateway.Watch()
	return nil
}

// screens are the pages by their paths.
var screens = map[string]func(*visit) error{
	"/":           showInboxes,
	"/deliveries": showDeliveries,
	"/delivery":   showDelivery,
	"/body":       sendBody,
	"/dead":       showDead,
	"/recent":     showRecent,
	"/refused":    showRefused,
	"/guards":     showGuards,
	"/event":      showEvent,
	changePath:    showChange,
}

// changePath is the only one that takes a POST.
const changePath = "/change"

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	rest, ok := h.within(r.URL.Path)
	if !ok {
		return next.ServeHTTP(w, r)
	}
	setHeaders(w.Header())
	if rest == "" { // links are relative to the path with its slash
		w.Header().Set("Location", path.Base(h.Path)+"/")
		w.WriteHeader(http.StatusPermanentRedirect)
		return nil
	}
	v := &visit{Handler: h, w: w, r: r, path: rest, now: h.now()}
	if err := v.serve(); err != nil {
		v.fail(err)
	}
	return nil
}

// within returns what follows the page's own path, and whether it is the page that is asked
// for.
func (h *Handler) within(path string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, h.Path)
	return rest, ok && (rest == "" && h.Path != "" || strings.HasPrefix(rest, "/"))
}

// setHeaders keeps what others wrote from running, from being framed, and from being kept.
func setHeaders(header http.Header) {
	header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	header.Set("X-Frame-Options", "DENY")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	// Not no-referrer: with it a browser sends a form without its origin.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// visit is one request for the page.
type visit struct {
	*Handler
	w    http.ResponseWriter
	r    *http.Request
	path string // within the page
	now  time.Time
}

// mostOfQuery is how long the query of a URL may be, in bytes: screens repeat it in their links.
const mostOfQuery = 16 << 10

func (v *visit) serve() error {
	if len(v.r.URL.RawQuery) > mostOfQuery {
		return refusal{http.StatusRequestURITooLong, "The address is too long."}
	}
	if v.path == changePath && v.r.Method == http.MethodPost {
		return v.change()
	}
	file, static := strings.CutPrefix(v.path, "/static/")
	show, known := screens[v.path]
	switch {
	case !static && !known:
		return refusal{http.StatusNotFound, "There is no such page."}
	case v.r.Method != http.MethodGet && v.r.Method != http.MethodHead:
		allow := "GET, HEAD"
		if v.path == changePath {
			allow += ", POST"
		}
		v.w.Header().Set("Allow", allow)
		return refusal{http.StatusMethodNotAllowed, "Use " + allow + " here."}
	case static:
		return sendStatic(v, file)
	}
	return show(v)
}

// user is who uses the page, for the log.
func (v *visit) user() string {
	repl, _ := v.r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if repl == nil {
		return ""
	}
	return repl.ReplaceAll(v.User, "")
}

// refusal is an error that the user sees as it is.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

// fail shows an error.
func (v *visit) fail(err error) {
	shown := shownAs(err)
	if shown == noAnswer && v.r.Context().Err() == nil { // else nobody waits for it
		v.logger.Error("the page cannot be shown", zap.String("path", v.path), zap.Error(err))
	}
	v.render(shown.status, "error", page{Title: http.StatusText(shown.status), Data: shown.text})
}

// noAnswer is shown for an error that is for the log.
var noAnswer = refusal{http.StatusServiceUnavailable, "The gateway's store did not answer. Its log says why."}

// shownAs is what the user sees of an error.
func shownAs(err error) (shown refusal) {
	switch {
	case errors.As(err, &shown):
		return shown
	case errors.Is(err, inboxes.ErrAsked):
		return refusal{http.StatusBadRequest, err.Error()}
	case errors.Is(err, inbox.ErrUnknown):
		return refusal{http.StatusNotFound, "The inbox does not have this event, or no longer."}
	case errors.Is(err, inboxes.ErrNone):
		return refusal{http.StatusNotFound, "No guard of this gateway has an inbox."}
	case errors.Is(err, dedupe.ErrInFlight):
		return refusal{http.StatusConflict, "The event is being handled right now. Try again when that is over."}
	case errors.Is(err, inboxes.ErrWaits):
		return refusal{http.StatusConflict, "The event waits in its inbox, which delivers it. To be rid of it, delete it there."}
	}
	return noAnswer
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
