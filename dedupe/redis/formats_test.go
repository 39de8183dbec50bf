package redis_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var writeFormat = flag.String("write-format", "", "add what this version writes to testdata/formats, under this name")

// What any released version has put into Redis is read. docs/releases.md says how a release
// adds its own.
func TestValuesOfEveryVersionAreRead(t *testing.T) {
	if *writeFormat != "" {
		to := filepath.Join("testdata", "formats", *writeFormat)
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		server := testbed.StartRedis(t)
		s := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
		testkit.WriteKnown(t, s, to, testkit.FinishEachKind(t, s, 100))
		server.Dump(filepath.Join(to, "redis.json"))
	}
	formats, err := filepath.Glob(filepath.Join("testdata", "formats", "*"))
	if err != nil || len(formats) == 0 {
		t.Fatalf("nothing in testdata/formats: %v", err)
	}
	for _, from := range formats {
		t.Run(filepath.Base(from), func(t *testing.T) {
			t.Parallel()
			server := testbed.StartRedis(t)
			server.Load(filepath.Join(from, "redis.json"))
			s := newRedis(t, redis.Options{URLs: []string{server.URL()}, Timeout: testkit.Patient})
			testkit.CheckKnown(t, s, from, 2*testkit.Patient)
			answer, err := s.Claim(t.Context(), testkit.Numbered(101), dedupe.NewToken(), testkit.TTL)
			if err != nil || answer.State != dedupe.Done {
				t.Errorf("a claim on an event that is finished: %+v, %v", answer, err)
			}
		})
	}
}
