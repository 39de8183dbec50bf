package inboxes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// lockedDelay is how long an event waits that cannot be read yet, before it is looked at again.
const lockedDelay = 5 * time.Minute

// What is encrypted of an event, each for itself: its request, and the beginnings of the app's
// answers, which may repeat the request.
const (
	sealedEnvelope = "envelope"
	sealedAnswer   = "answer"
)

// sealing encrypts and decrypts what an inbox keeps. The zero one encrypts nothing.
type sealing struct {
	name string // the inbox's
	look func() // applies changes of the files with keys; nil without any
	read []*inbox.SealKey
	keys atomic.Pointer[inbox.SealKeys]
}

// Follow resolves what is configured and uses the value, now and whenever its files change.
// line names it in the log.
type Follow func(line, configured string, use func(value string) error) error

// load reads the keys. A key in the configuration itself would be shown by the admin API.
func (s *sealing) load(configured []string, follow Follow, look func()) error {
	for i, text := range configured {
		line := fmt.Sprint("encrypt ", i+1)
		if !placeholder.Parse(text).Varies() {
			return fmt.Errorf("%s: name the key where it is kept, not the key itself: write {env.NAME} or {file./absolute/path}", line)
		}
		s.read = append(s.read, nil)
		if err := follow("inbox "+line, text, func(value string) error { return s.set(i, value) }); err != nil {
			return fmt.Errorf("%s: %w", line, err)
		}
		s.look = look
	}
	return nil
}

// set puts a key in its place among the others.
func (s *sealing) set(i int, text string) error {
	k, err := inbox.NewSealKey(strings.TrimSpace(text))
	if err != nil {
		return err
	}
	s.read[i] = k
	keys := inbox.SealKeys(slices.DeleteFunc(slices.Clone(s.read), func(k *inbox.SealKey) bool { return k == nil }))
	s.keys.Store(&keys)
	return nil
}

// belonging says where a piece of an event belongs.
func (s *sealing) belonging(k inbox.Key, what string) inbox.Belonging {
	return inbox.Belonging{Inbox: s.name, Event: k, What: what}
}

// seal encrypts an envelope, where there is a key.
func (s *sealing) seal(k inbox.Key, envelope []byte) []byte {
	keys := s.keys.Load()
	if keys == nil {
		return envelope
	}
	return keys.Seal(s.belonging(k, sealedEnvelope), envelope)
}

// sealHead encrypts the beginning of an answer, less what that makes longer.
func (s *sealing) sealHead(k inbox.Key, head []byte) []byte {
	keys := s.keys.Load()
	if keys == nil || len(head) == 0 {
		return head
	}
	return keys.Seal(s.belonging(k, sealedAnswer), head[:min(len(head), inbox.MaxHead-inbox.SealedSize)])
}

func (s *sealing) open(k inbox.Key, what string, piece []byte) ([]byte, error) {
	var keys inbox.SealKeys
	if s.look != nil {
		s.look()
	}
	if loaded := s.keys.Load(); loaded != nil {
		keys = *loaded
	}
	plain, err := keys.Open(s.belonging(k, what), piece)
	if errors.Is(err, inbox.ErrLocked) {
		err = fmt.Errorf("inbox %s: %w: name it in encrypt, behind the first", s.name, err)
	}
	return plain, err
}

// envelope returns the request of an event.
func (s *sealing) envelope(k inbox.Key, piece []byte) (inbox.Envelope, error) {
	encoded, err := s.open(k, sealedEnvelope, piece)
	if err != nil {
		return inbox.Envelope{}, err
	}
	return inbox.DecodeEnvelope(encoded)
}

// head returns the beginning of an answer. Where it cannot be decrypted, there is none.
func (s *sealing) head(k inbox.Key, piece []byte) []byte {
	head, _ := s.open(k, sealedAnswer, piece)
	return head
}

// waitsFor is what an event whose envelope could not be read waits for. It is empty for one
// that nothing makes readable.
func waitsFor(err error) (reason string) {
	switch {
	case errors.Is(err, inbox.ErrLocked):
		return inbox.Locked
	case errors.Is(err, inbox.ErrNewer):
		return inbox.Newer
	}
	return ""
}

// fixes are what an event needs that waits.
var fixes = map[string]string{
	inbox.Locked: "events cannot be decrypted, so they wait: their key is not among those of the inbox; name it in encrypt, behind the first",
	inbox.Newer:  "events cannot be read, so they wait: a later version of the gateway has written them; run that version here, or let it deliver them",
}

// postpone gives an event back that waits for its key, or for a gateway that can read it,
// however long that takes.
func (w *worker) postpone(d inbox.Delivery, t inbox.Token, reason string, log attemptLog) {
	s := inbox.Settlement{Outcome: inbox.Postpone, Reason: reason, Delay: lockedDelay + jitter(lockedDelay)}
	w.metrics.settled(w.Name, s)
	w.locked.Do(func() {
		w.logger.Error(fixes[reason],
			zap.String("scope", d.Scope), zap.String("id", d.ID), zap.Duration("next_look_in", lockedDelay))
	})
	w.settle(d, t, s, log)
}
