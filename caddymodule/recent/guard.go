package recent

import (
	"slices"
	"sync"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Source is what a page reads.
type Source struct {
	Refused, Delivered *Log
	// Guards returns the guards of the configuration, in its order.
	Guards func() []Guard
}

// Guard is a guard of a configuration, and what its verified requests have shown.
type Guard struct {
	// Scope is the line of the configuration, Place what leads to the guard: addresses,
	// hosts, paths. Mode is enforce or shadow. Inbox is empty where there is none.
	Provider, Scope, Place, Mode, Inbox string
	Facts                               config.Summary
	// Carries are the places in a request that hold signatures or tokens, Headers the names
	// of those that are headers.
	Carries []signature.Source
	Headers []string
	Seen
}

// Seen is what the verified requests of a guard have shown. It is kept from one configuration
// to the next where the guard has the same secrets.
type Seen struct {
	// Verified is when the last one came; zero before the first.
	Verified time.Time
	// Secrets are those that verified one, the one that did so last at first.
	Secrets []Secret
	// Skew is nil where no request said when it was sent.
	Skew *Skew
}

// Secret is the use of one secret.
type Secret struct {
	// Index is its place in the configuration, from 0.
	Index int
	// Since is when it first verified a request, Last when it last did.
	Since, Last time.Time
}

// Skew is by how much the last requests were older on arrival than their own stamps say:
// what the network took, and by how much the clocks differ. It is negative where the sender's
// clock is ahead.
type Skew struct {
	Last, Min, Median, Max time.Duration
	// N is how many requests it is about.
	N int
}

const (
	mostSecrets = 16
	mostSkews   = 64
)

// Witness sees the verified requests of a guard. The zero Witness is ready for use, and safe
// for concurrent use. What it keeps has a fixed size.
type Witness struct {
	mu       sync.Mutex
	verified time.Time
	secrets  [mostSecrets]Secret // the first n
	n        int
	skews    [mostSkews]time.Duration
	stamped  int
}

// Verified notes a request that came now, was sent when its stamp says (zero where it has
// none), and was verified by the secret of the index; negative where there is none.
func (w *Witness) Verified(now, sent time.Time, secret int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.verified = now
	if !sent.IsZero() {
		w.skews[w.stamped%mostSkews] = now.Sub(sent)
		w.stamped++
	}
	if secret < 0 {
		return
	}
	used := w.secrets[:w.n]
	i := slices.IndexFunc(used, func(s Secret) bool { return s.Index == secret })
	switch {
	case i >= 0:
	case w.n < mostSecrets:
		i, w.n = w.n, w.n+1
		w.secrets[i] = Secret{Index: secret, Since: now}
	default: // in place of the one that was used longest ago
		i = 0
		for j := range used {
			if used[j].Last.Before(used[i].Last) {
				i = j
			}
		}
		w.secrets[i] = Secret{Index: secret, Since: now}
	}
	w.secrets[i].Last = now
}

// Seen returns what was seen.
func (w *Witness) Seen() Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Seen{Verified: w.verified, Secrets: append([]Secret(nil), w.secrets[:w.n]...)}
	slices.SortFunc(s.Secrets, func(a, b Secret) int { return b.Last.Compare(a.Last) })
	if n := min(w.stamped, mostSkews); n > 0 {
		sorted := slices.Sorted(slices.Values(w.skews[:n]))
		s.Skew = &Skew{Last: w.skews[(w.stamped-1)%mostSkews], Min: sorted[0], Median: sorted[n/2], Max: sorted[n-1], N: n}
	}
	return s
}
