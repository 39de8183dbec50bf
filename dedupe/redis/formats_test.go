package redis_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/formats"
)

// What any released version has put into Redis is read.
func TestValuesOfEveryVersionAreRead(t *testing.T) {
	formats.Each(t, func(to string) {
		server := testbed.StartRedis(t)
		s := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
		testkit.WriteKnown(t, s, to, testkit.FinishEachKind(t, s, 100))
		server.Dump(filepath.Join(to, "redis.json"))
	}, func(t *testing.T, from string) {
		server := testbed.StartRedis(t)
		server.Load(filepath.Join(from, "redis.json"))
		s := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
		testkit.CheckKnown(t, s, from, 2*time.Minute)
		answer, err := s.Claim(t.Context(), testkit.Numbered(101), dedupe.NewToken(), testkit.TTL)
		if err != nil || answer.State != dedupe.Done {
			t.Errorf("a claim on an event that is finished: %+v, %v", answer, err)
		}
	})
}
