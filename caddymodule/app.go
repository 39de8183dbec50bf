package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/stores"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/ui"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

const (
	appID = "webhook_guard"

	defaultMaxBuffered = 256 << 20
)

func init() {
	caddy.RegisterModule((*App)(nil))
	caddy.OnExit(waitForWork)
}

// App holds what all `webhook_guard` handlers of a configuration share: the
// store that remembers events, providers beyond the built-in catalogue, and the
// bound on memory for bodies. Everything in it has a default, and the app need
// not be configured at all.
type App struct {
	// The store that remembers which events have been handled. Default: `disk`,
	// in Caddy's data directory.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=webhook_guard.stores inline_key=kind"`

	// Providers of your own, by name. The names of the built-in catalogue are
	// taken.
	Providers map[string]config.Provider `json:"providers,omitempty"`

	// The bound on all request bodies held in memory at once, in bytes. Bodies
	// that are not verified yet may take half of it. Beyond it the answer is
	// 503. Default: 268435456 (256 MiB).
	MaxBuffered int64 `json:"max_buffered,omitempty"`

	ctx     caddy.Context
	logger  *zap.Logger
	metrics *metrics
	module  stores.Module
	grace   time.Duration // from Start on

	mu    sync.Mutex
	store *sharedStore // nil until it is opened
	key   string       // the reference to it that this app holds
	ended bool

	inboxes      inboxes.Set
	inboxMetrics *inboxes.Metrics
	scopes       scopes
	pages
	servers knownConns
	keys    keySources
	watched watched
}

// CaddyModule implements caddy.Module.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  appID,
		New: func() caddy.Module { return new(App) },
	}
}

// Provision implements caddy.Provisioner. It opens nothing.
func (a *App) Provision(ctx caddy.Context) error {
	a.ctx, a.logger, a.pages.app = ctx, ctx.Logger(), a
	var err error
	if a.metrics, a.inboxMetrics, err = registerAll(ctx.GetMetricsRegistry()); err != nil {
		return err
	}
	if a.MaxBuffered == 0 {
		a.MaxBuffered = defaultMaxBuffered
	}
	if a.MaxBuffered < 0 {
		return fmt.Errorf("webhook_guard: max_buffered: %d is not positive", a.MaxBuffered)
	}
	for name, provider := range a.Providers {
		if _, taken := config.Builtin()[name]; taken {
			return fmt.Errorf("webhook_guard: provider %s is built in: give yours another name, or change single lines in the webhook_guard block that uses it", name)
		}
		if _, err := provider.WithoutOpenAllows().Resolve(); err != nil {
			return fmt.Errorf("webhook_guard: provider %s: %w", name, err)
		}
	}
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"kind":"disk"}`)
	}
	module, err := ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("webhook_guard: store: %w", err)
	}
	a.module = module.(stores.Module)
	return nil
}

// provider finds a provider by name, the app's own or a built-in one.
func (a *App) provider(name string) (config.Provider, error) {
	if p, ok := a.Providers[name]; ok {
		return p, nil
	}
	return config.Builtin().Get(name)
}

// Start implements caddy.App.
func (a *App) Start() error {
	store, err := a.open()
	if err != nil {
		return err
	}
	a.grace = a.gracePeriod()
	inForce.add(a)
	a.keys.start(a.ctx)
	if err := startInboxes(a, store); err != nil {
		return fmt.Errorf("webhook_guard: %w", err)
	}
	warnOfRetries(a.ctx, a.logger)
	warnOfUnreached(a.ctx, a.logger)
	ui.WarnOfOpenPages(a.ctx, a.logger)
	where := []zap.Field{zap.String("store", store.kind)}
	if placed, ok := a.module.(stores.Placer); ok {
		where = append(where, zap.String("place", placed.Place()))
	}
	a.logger.Info("remembering events", where...)
	if checked, ok := store.Store.(dedupe.Warner); ok && store.enter() {
		go func() {
			defer store.leave()
			warnings, err := checked.Warnings(a.ctx)
			warnOfStore(a.logger, warnings, store.named("warnings", err))
		}()
	}
	return nil
}

// warnOfStore logs the store's warnings at startup. A store that is down does not keep
// the gateway from starting: until it is back, on_store_error decides.
func warnOfStore(logger *zap.Logger, warnings []string, err error) {
	if err != nil {
		logger.Warn("the store does not answer; until it does, requests are handled by on_store_error", zap.Error(err))
	}
	for _, warning := range warnings {
		logger.Warn(warning)
	}
}

// open returns the store and opens it first where that has not been done. Apps
// start in no particular order, so the first request may be here before Start.
func (a *App) open() (*sharedStore, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.store != nil:
		return a.store, nil
	case a.ended:
		return nil, dedupe.ErrClosed
	}
	store, key, loaded, err := a.load()
	if err != nil {
		return nil, err
	}
	a.store, a.key = store, key
	if loaded {
		a.module.Adopt(a.store.Store)
	}
	return a.store, nil
}

// load gets the store from the pool, which opens it where it is not open.
func (a *App) load() (store *sharedStore, key string, loaded bool, err error) {
	key = a.module.PoolKey()
	value, loaded, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		opened, err := a.module.Open()
		if err != nil {
			return nil, err
		}
		return share(a, opened)
	})
	if err != nil {
		return nil, "", false, fmt.Errorf("webhook_guard: opening the store: %s: %w", a.module.CaddyModule().ID.Name(), err)
	}
	return value.(*sharedStore), key, loaded, nil
}

// enter opens the store for one request and counts it in.
func (a *App) enter() (*sharedStore, error) {
	store, err := a.open()
	if err != nil {
		return nil, err
	}
	if !store.enter() {
		return a.enterAgain()
	}
	return store, nil
}

// enterAgain opens the store for one request of a configuration that has ended: its
// connection was accepted before, and what was sent on it came later.
func (a *App) enterAgain() (*sharedStore, error) {
	store, key, _, err := a.load()
	if err != nil {
		return nil, err
	}
	entered := store.enter()
	// The request is a user of the store, so it stays open until that leaves.
	if _, err := pool.Delete(key); err != nil {
		return nil, err
	}
	if !entered {
		return nil, dedupe.ErrClosed
	}
	return store, nil
}

// Stop implements caddy.App. Requests and attempts in flight go on: see waitForWork.
func (a *App) Stop() error {
	a.inboxes.Stop()
	return nil
}

// Cleanup implements caddy.CleanerUpper. It also runs after a failed Provision.
// The requests of an old configuration may still be running; they keep using
// the store, which closes when the last of them is done.
func (a *App) Cleanup() error {
	defer inForce.remove(a)
	a.inboxes.Stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended = true
	if a.key == "" {
		return nil
	}
	_, err := pool.Delete(a.key)
	a.key = ""
	return err
}

// inForce lists the apps that have started and are not cleaned up, oldest first. There
// are two while the configuration changes. Process-wide settings follow the newest app.
// After a failed reload that is the old one again.
var inForce appList

type appList struct {
	mu   sync.Mutex
	apps []*App
}

func (l *appList) add(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apps = append(l.apps, a)
	a.apply()
}

// all lists the apps in the order in which they started.
func (l *appList) all() []*App {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.apps)
}

// newest is the app in force, or nil.
func (l *appList) newest() *App {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.apps) == 0 {
		return nil
	}
	return l.apps[len(l.apps)-1]
}

// remove must not be called with a.mu held: apply takes that of another app.
func (l *appList) remove(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.apps = slices.DeleteFunc(l.apps, func(other *App) bool { return other == a })
	if n := len(l.apps); n > 0 {
		l.apps[n-1].apply()
	}
}

// apply puts the app's bounds in force.
func (a *App) apply() {
	bodies.SetLimit(a.MaxBuffered)
	exitWait.Store(int64(a.grace))
	keepLately(a.pages.asked())
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.key != "" {
		a.module.Adopt(a.store.Store)
	}
}

// exitWait is how long the process may wait for the guard's work when it exits,
// in nanoseconds.
var exitWait atomic.Int64

// gracePeriod returns the http app's grace period. Where that is unlimited, it returns
// the default limit of an app's work on one event.
func (a *App) gracePeriod() time.Duration {
	if app, err := a.ctx.AppIfConfigured("http"); err == nil {
		if grace := time.Duration(app.(*caddyhttp.App).GracePeriod); grace > 0 {
			return grace
		}
	}
	return config.DefaultTimeout
}

// lastTries limits the retries at exit while the store does not respond.
const lastTries = 3 * time.Second

// exitBegan is when the servers began to shut down for the process to exit.
var exitBegan atomic.Pointer[time.Time]

// serverStops is called when a server begins to shut down.
func serverStops() {
	if now := time.Now(); caddy.Exiting() {
		exitBegan.CompareAndSwap(nil, &now)
	}
}

// exitLimit is how long the process may still wait for the guard's work. The grace period is one
// for all: the servers may have used it up. What ended with it is settled all the same.
func exitLimit() time.Duration {
	limit := time.Duration(exitWait.Load())
	if began := exitBegan.Load(); began != nil {
		return min(limit, max(lastTries, limit-time.Since(*began)))
	}
	return limit
}

// waitForWork runs when the process exits, after every app has stopped. The servers have
// waited for the requests whose senders are still connected. waitForWork waits for the
// others to be settled. A claim that cannot be settled stays until its lease ends, since
// the app may still be working on the event.
func waitForWork(ctx context.Context) {
	limit := exitLimit()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer time.AfterFunc(lastTries, endBackground).Stop()
	if !work.Wait(ctx) {
		caddy.Log().Named(appID).Warn("exiting with events in flight; their claims end with their leases", zap.Duration("waited", limit))
	}
}

var (
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.App          = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
