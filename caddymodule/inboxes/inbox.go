package inboxes

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/flood"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
)

// Inbox is one inbox of a configuration.
type Inbox struct {
	*Config
	Provider string

	success  config.Statuses
	handler  caddyhttp.Handler
	same     [sha256.Size]byte
	server   *caddyhttp.Server // that the guard stands in: its trusted proxies and named routes
	tries    Tries
	sign     func(header http.Header, body []byte, key inbox.Key) error
	remember func(key inbox.Key, marks []string)
	metrics  *Metrics
	logger   *zap.Logger
	floods   flood.Floods
	wake     chan struct{} // has one when there may be something to take
	sealing  sealing

	mu    sync.Mutex
	queue inbox.Queue // nil until it is opened
}

// Tries wraps the context of an attempt, so that each try of a proxy gets the whole body or
// none. ended says why the attempt was ended before its time.
type Tries func(ctx context.Context, cancel context.CancelFunc, r *body.Reader, once bool) (tries context.Context, ended func() error)

// Guard is what an inbox needs to know of its guard.
type Guard struct {
	Provider string
	Scope    string            // where it has no placeholder
	Success  config.Statuses   // the app's answers that finish an event
	Timeout  time.Duration     // of an inbox without a line of its own
	Same     [sha256.Size]byte // of guards that are one and the same, in several servers
	Tries    Tries
	// Sign signs a request for the app anew, where the guard does so. key is the event's.
	Sign func(header http.Header, body []byte, key inbox.Key) error
	// Remember has the guard remember an event from now on, for as long as it remembers what
	// it has accepted. marks are what the guard put into [HeaderContent] of its request.
	Remember func(key inbox.Key, marks []string)
	Metrics  *Metrics
	// Follow resolves the keys of encrypt, and Look applies the changes of their files.
	Follow Follow
	Look   func()
}

// New provisions an inbox.
func New(ctx caddy.Context, c *Config, g Guard) (*Inbox, error) {
	if c.Name == "" {
		c.Name = g.Scope
	}
	if c.Name == "" {
		return nil, fmt.Errorf("inbox: the scope has a placeholder, so it is no name: name the inbox: inbox <name> { … }")
	}
	if err := inbox.CheckName(c.Name); err != nil {
		return nil, fmt.Errorf("inbox: %w", err)
	}
	c.Timeout = cmp.Or(c.Timeout, caddy.Duration(g.Timeout))
	if err := c.provision(ctx); err != nil {
		return nil, fmt.Errorf("inbox %s: %w", c.Name, err)
	}
	in := &Inbox{
		Config: c, Provider: g.Provider, same: g.Same, success: g.Success, tries: g.Tries, sign: g.Sign, remember: g.Remember, metrics: g.Metrics,
		logger: ctx.Logger().With(zap.String("inbox", c.Name)),
		wake:   make(chan struct{}, 1),
	}
	var ok bool
	if in.server, ok = ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); !ok {
		in.server = new(caddyhttp.Server) // the proxy takes it that there is one
	}
	in.sealing.name = c.Name
	if err := in.sealing.load(c.Encrypt, g.Follow, g.Look); err != nil {
		return nil, fmt.Errorf("inbox %s: %w", c.Name, err)
	}
	nothing := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	in.handler = c.Deliver.Compile(nothing)
	return in, nil
}

// opened returns the inbox in its store.
func (in *Inbox) opened(s inbox.Store) (inbox.Queue, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.queue == nil {
		queue, err := s.Queue(in.Name, in.options())
		if err != nil {
			return nil, err
		}
		in.queue = queue
	}
	return in.queue, nil
}

// Put keeps an event, and has it delivered at once.
func (in *Inbox) Put(ctx context.Context, s inbox.Store, ev inbox.Event) (inbox.Answer, error) {
	queue, err := in.opened(s)
	if err != nil {
		return 0, err
	}
	ev.Envelope = in.sealing.seal(ev.Key, ev.Envelope)
	answer, err := queue.Put(ctx, ev)
	in.stir(answer)
	return answer, err
}

// Revive is Put for a copy of an event that was accepted before.
func (in *Inbox) Revive(ctx context.Context, s inbox.Store, k inbox.Key) (inbox.Answer, error) {
	queue, err := in.opened(s)
	if err != nil {
		return 0, err
	}
	answer, err := queue.Revive(ctx, k)
	in.stir(answer)
	return answer, err
}

// Lost reports whether the store does not have an event that it has acknowledged. It is false
// where that cannot be told.
func (in *Inbox) Lost(ctx context.Context, s inbox.Store, k inbox.Key) bool {
	queue, err := in.opened(s)
	if err != nil {
		return false
	}
	_, err = queue.Get(ctx, k)
	return errors.Is(err, inbox.ErrUnknown)
}

// stir wakes the worker where something is ready.
func (in *Inbox) stir(a inbox.Answer) {
	if a == inbox.Accepted || a == inbox.Revived {
		signal(in.wake)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
