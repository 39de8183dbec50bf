package keys

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

const (
	// maxNamed is how many keys are kept. Senders use one or two at a time.
	maxNamed = 64
	// Anyone can make names of keys up, and other spellings of those that there are. So many
	// that verify nothing are looked for at once, and then one more each time that this has
	// passed. Names that verify a request are as many as the publisher's keys.
	newAtOnce = 20
	newEvery  = 3 * time.Second
)

// ErrUnknownKey means that the publisher has no key of this name.
var ErrUnknownKey = errors.New("the sender has published no key of this name")

// errExpired means that the certificate of a key that is kept is not valid any more.
var errExpired = errors.New("the certificate has expired, and no other could be fetched")

// errTooManyNew means that too many unknown keys were asked for.
var errTooManyNew = errors.New("too many keys were asked for that are not known yet: it is looked for with one of the next requests")

// Named are keys that are fetched one by one, by the name that a request gives. It is safe
// for concurrent use.
type Named struct {
	options NamedOptions
	now     func() time.Time
	limits  limits

	mu    sync.Mutex
	ctx   context.Context // of fetches; nil until Start
	known map[string]*namedSource
	room  *rate.Limiter // of names that verify nothing
	looks int           // for new names, of which it is not known yet whether they verify anything
}

// namedSource is the source of one key.
type namedSource struct {
	*Source
	used   time.Time
	looked bool // for a request that is being judged: it counts among the looks
	proved bool // it has verified a request
}

// NamedOptions are what Named is made of.
type NamedOptions struct {
	// Title identifies the publisher in logs and in the store, unless the names do: a URL.
	Title string
	// Fetch gets the document of one key. A name that comes from a request has to be
	// checked before: whoever asks for a key does so.
	Fetch func(name string) Fetch
	// Allows reports whether a request may name this key. With it, the keys that an earlier
	// process kept are known from the start.
	Allows func(name string) bool
	// Parse makes the key of its document.
	Parse  func(name string, document []byte) ([]signature.Secret, error)
	Store  Store // nil: none
	Logger *zap.Logger
}

// NewNamed makes a Named. It fetches nothing.
func NewNamed(o NamedOptions) *Named {
	return &Named{options: o, now: time.Now, limits: usual, known: make(map[string]*namedSource), room: rate.NewLimiter(rate.Every(newEvery), newAtOnce)}
}

// Start sets the context of fetches, and begins to take up the keys that an earlier process
// kept.
func (n *Named) Start(ctx context.Context) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ctx = ctx
	if n.options.Store != nil && n.options.Allows != nil {
		go n.takeUp(ctx)
	}
}

// takeUp has the keys that an earlier process kept known, however many others are asked for
// meanwhile.
func (n *Named) takeUp(ctx context.Context) {
	files, err := n.options.Store.List(ctx, storedIn, false)
	if err != nil {
		return // nothing is stored yet, or it is read with the first request
	}
	for _, file := range files {
		var kept record
		text, err := n.options.Store.Load(ctx, file)
		if err != nil || json.Unmarshal(text, &kept) != nil {
			continue
		}
		name, ok := strings.CutPrefix(kept.Title, n.title(""))
		if !ok || !n.options.Allows(name) {
			continue
		}
		n.mu.Lock()
		source := n.known[name]
		if source == nil && len(n.known) < maxNamed {
			source = n.add(name, n.now())
		}
		n.mu.Unlock()
		if source != nil {
			source.Start(ctx)
		}
	}
}

// title is what a key is called in logs and in the store.
func (n *Named) title(name string) string {
	if n.options.Title == "" {
		return name
	}
	return n.options.Title + " " + name
}

// Keys are the keys of this name. The error is [ErrUnknownKey] where the publisher says that
// it has none; any other means that they may be had later. Whoever gets keys says with Judged
// how the request ended.
func (n *Named) Keys(name string) ([]signature.Secret, error) {
	source, isNew, err := n.source(name)
	if err != nil {
		return nil, err
	}
	found, err := source.Keys()
	if isNew && err != nil {
		n.Judged(name, false)
	}
	if err == nil && !slices.ContainsFunc(found, func(key signature.Secret) bool { return key.InForce(n.now()) }) {
		n.Judged(name, false)
		return nil, source.unavailable(errExpired)
	}
	return found, err
}

// Judged says whether the keys of a name verified the request that named them.
func (n *Named) Judged(name string, verified bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	source, ok := n.known[name]
	if !ok {
		return
	}
	source.proved = source.proved || verified
	n.endLook(source, verified)
}

// endLook ends the look for a name that was new. The caller holds the mutex.
func (n *Named) endLook(source *namedSource, verified bool) {
	if !source.looked {
		return
	}
	source.looked = false
	n.looks--
	if !verified {
		n.room.AllowN(n.now(), 1)
	}
}

// source is the source of a key, which is made where the name is new.
func (n *Named) source(name string) (source *Source, isNew bool, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if known, ok := n.known[name]; ok {
		known.used = now
		// What has not been had yet is looked for again in the same room.
		if !known.proved && !known.looked && known.due(now) && !n.room.AllowN(now, 1) {
			return nil, false, errTooManyNew
		}
		return known.Source, false, nil
	}
	if n.looks >= newAtOnce || n.room.TokensAt(now) < 1 {
		return nil, false, errTooManyNew
	}
	n.looks++
	if len(n.known) >= maxNamed {
		n.dropOne()
	}
	made := n.add(name, now)
	made.looked = true
	return made.Source, true, nil
}

// add makes the source of a key. The caller holds the mutex.
func (n *Named) add(name string, now time.Time) *namedSource {
	source := New(Options{
		Title: n.title(name), Fetch: n.options.Fetch(name), Store: n.options.Store, Logger: n.options.Logger,
		Parse: func(document []byte) ([]signature.Secret, error) { return n.options.Parse(name, document) },
	})
	source.now, source.limits, source.ctx = n.now, n.limits, n.ctx
	n.known[name] = &namedSource{Source: source, used: now}
	return n.known[name]
}

// dropOne makes room for another key: it drops one without any, else one that has verified
// nothing, else any, and of these the one that was used least recently. The caller holds the
// mutex.
func (n *Named) dropOne() {
	var least string
	for name, source := range n.known {
		other, ok := n.known[least]
		if !ok || cmp.Or(cmp.Compare(source.worth(), other.worth()), source.used.Compare(other.used)) < 0 {
			least = name
		}
	}
	dropped := n.known[least]
	delete(n.known, least)
	n.endLook(dropped, false)
	if dropped.held.Load() != nil {
		go dropped.forget(n.ctx)
	}
}

// worth ranks what is kept.
func (s *namedSource) worth() int {
	switch {
	case s.held.Load() == nil:
		return 0
	case !s.proved:
		return 1
	}
	return 2
}
