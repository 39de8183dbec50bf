package redis

import (
	"context"
	_ "embed"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

var (
	//go:embed claim.lua
	claimSource string
	//go:embed renew.lua
	renewSource string
	//go:embed commit.lua
	commitSource string
	//go:embed release.lua
	releaseSource string
	//go:embed lookup.lua
	lookupSource string
	//go:embed forget.lua
	forgetSource string

	claimScript   = newScript(claimSource)
	renewScript   = newScript(renewSource)
	commitScript  = newScript(commitSource)
	releaseScript = newScript(releaseSource)
	lookupScript  = newScript(lookupSource)
	forgetScript  = newScript(forgetSource)
)

// script is a script and the digest that servers know it by, as words of a command.
type script struct{ source, digest any }

func newScript(source string) script {
	return script{source: source, digest: redis.NewScript(source).Hash()}
}

// servers are those that hold the data, and how scripts are run there.
type servers struct {
	client  redis.UniversalClient
	calls   caller        // how script calls are sent: see lanes
	master  *masterDialer // only with sentinels
	timeout time.Duration // of a step
	prefix  string        // of the keys
}

// caller is what script calls are sent with: lanes, or a client.
type caller interface {
	Do(ctx context.Context, words ...any) *redis.Cmd
}

// step begins one step: everything in it ends by the one deadline. The library's own calls
// need a timer for that, the lanes' do not.
func (s *servers) step(ctx context.Context) (context.Context, context.CancelFunc) {
	s.Begin()
	ctx = withDeadline(ctx, s.timeout)
	if _, ok := s.calls.(*lanes); ok {
		return ctx, func() {}
	}
	return timed(ctx)
}

// Client returns the client of the servers, for others that keep something there. It is
// closed with the store.
func (s *servers) Client() redis.UniversalClient { return s.client }

// Do sends a call of a script as the steps of the store are sent. It keeps the slice.
func (s *servers) Do(ctx context.Context, words ...any) *redis.Cmd { return s.calls.Do(ctx, words...) }

// KeyPrefix stands before every key.
func (s *servers) KeyPrefix() string { return s.prefix }

// Timeout is the deadline of a whole step.
func (s *servers) Timeout() time.Duration { return s.timeout }

// Begin is called before each step. It has the sentinels asked again, now and then.
func (s *servers) Begin() {
	if s.master != nil {
		s.master.refreshIfOld()
	}
}

// run calls a script on the event's keys by its digest. It sends the script itself where
// the server does not have it.
func (s *servers) run(ctx context.Context, sc script, ev dedupe.Event, args ...any) *redis.Cmd {
	words := make([]any, 3, 5+len(args))
	for k := range ev.Keys() {
		words = append(words, keyName(s.prefix, k))
	}
	words[0], words[1], words[2] = "evalsha", sc.digest, len(words)-3
	words = append(words, args...)
	cmd := s.calls.Do(ctx, words...)
	if cmd.Err() != nil && redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
		words[0], words[1] = "eval", sc.source
		cmd = s.calls.Do(ctx, words...)
	}
	if err := cmd.Err(); errors.Is(err, redis.ErrClosed) {
		cmd.SetErr(dedupe.ErrClosed)
	} else if err != nil {
		s.Failed(err)
	}
	return cmd
}

// Failed looks the master, or the nodes of a Cluster, up again in the background, after
// an error that may come from asking the wrong server. The library does so only when a
// node of a Cluster redirects, which one that is gone does not.
func (s *servers) Failed(err error) {
	if unlessRefused(err) == nil && !redis.IsReadOnlyError(err) {
		return
	}
	if s.master != nil {
		s.master.refresh()
	}
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
}
