package caddymodule

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// keyring holds the secrets that are the same for every request. Its lines may change
// one by one, while requests read it.
type keyring struct {
	lines [][]signature.Secret // of each line; changed by the follower only
	all   atomic.Pointer[[]signature.Secret]
}

// add makes room for one more line and returns how to set it.
func (k *keyring) add() (set func([]signature.Secret)) {
	i := len(k.lines)
	k.lines = append(k.lines, nil)
	return func(keys []signature.Secret) {
		k.lines[i] = keys
		all := slices.Concat(k.lines...)
		k.all.Store(&all)
	}
}

// secrets are those of all lines, in their order. Nobody may change them.
func (k *keyring) secrets() []signature.Secret {
	if all := k.all.Load(); all != nil {
		return *all
	}
	return nil
}

// lookEvery is how often files are looked at, where requests come that often.
const lookEvery = time.Second

// follower reloads the texts that were read from files when the files change. It checks
// only when asked, so a gateway without requests does nothing.
type follower struct {
	now    func() time.Time
	logger *zap.Logger

	next  atomic.Int64 // when to look again, in nanoseconds
	mu    sync.Mutex
	texts []*followed
}

// followed is a text that reads files, and what is made of it.
type followed struct {
	text    placeholder.Text
	value   string // in force
	use     func(value string) error
	states  []placeholder.State // of the files, when they were last read
	settled bool                // a later change of them will show
	failed  string              // why the last look brought nothing
	logger  *zap.Logger
}

// follow resolves what is configured and uses the value, now and whenever its files
// change. name is the line's, for the log.
func (f *follower) follow(name, configured string, use func(value string) error) error {
	if err := placeholder.ConfiguredSlip(configured); err != nil {
		return err
	}
	text, err := placeholder.Load(configured)
	if err != nil {
		return err
	}
	files := text.Files()
	t := &followed{text: text, use: use, logger: f.logger.With(zap.String("line", name), zap.Strings("files", files))}
	t.glance(f.now())
	value, err := text.Loaded()
	if err == nil {
		err = use(value)
	}
	if err != nil {
		return err
	}
	t.value = value
	if len(files) > 0 {
		f.texts = append(f.texts, t)
	}
	return nil
}

// look applies the changes of the files since the last check. Between two checks it
// costs one comparison.
func (f *follower) look(now time.Time) {
	if len(f.texts) == 0 || f.early(now) {
		return
	}
	// Whoever comes meanwhile waits, as its request may need the new secret.
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.early(now) {
		return
	}
	for _, text := range f.texts {
		text.look(now)
	}
	f.next.Store(now.Add(lookEvery).UnixNano())
}

// early reports whether the next check is not due yet. A clock that was set back causes
// no long wait.
func (f *follower) early(now time.Time) bool {
	wait := f.next.Load() - now.UnixNano()
	return wait > 0 && wait <= int64(lookEvery)
}

// glance records the state of the files and reports whether they have to be read.
func (f *followed) glance(now time.Time) (changed bool) {
	states := f.text.States()
	changed = !f.settled || f.failed != "" || !slices.EqualFunc(states, f.states, placeholder.State.Same)
	f.states = states
	f.settled = !slices.ContainsFunc(states, func(s placeholder.State) bool { return !s.Settled(now) })
	return changed
}

// look reads the files again if they have changed. While they are unreadable or
// unusable, the last good value stays in force.
func (f *followed) look(now time.Time) {
	if !f.glance(now) {
		return
	}
	value, err := f.text.Loaded()
	changed := value != f.value
	if err == nil && changed {
		err = f.use(value)
	}
	switch {
	case err != nil:
		if f.failed != err.Error() { // once for each thing that is wrong
			f.logger.Error("a file with a secret has changed and cannot be used: the secret before it stays in force", zap.Error(err))
		}
		f.failed = err.Error()
		return
	case changed:
		f.value = value
		f.logger.Info("a file with a secret has changed: the new one is in force")
	case f.failed != "":
		f.logger.Info("a file with a secret is as it was before")
	}
	f.failed = ""
}
