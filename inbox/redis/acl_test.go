package redis

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dedupe "github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// documented returns what docs/operations.md has an ACL user need at the servers: commands as
// ACL rules, and keys. Those of durable inboxes are for these alone.
func documented(t *testing.T, durable bool) (commands, keys []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "### Grant Redis permissions")
	section, _, _ = strings.Cut(section, "\n### ")
	code := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(section) {
		row, ok := strings.CutPrefix(line, "| the servers")
		who, what, _ := strings.Cut(row, "|")
		if !ok || strings.Contains(who, "durable") && !durable {
			continue
		}
		for _, words := range code.FindAllStringSubmatch(what, -1) {
			switch {
			case strings.Contains(words[1], "<"): // another prefix
			case strings.HasPrefix(words[1], "~"):
				keys = append(keys, words[1])
			default:
				for command := range strings.FieldsSeq(strings.ReplaceAll(words[1], `\|`, "|")) {
					commands = append(commands, "+"+command)
				}
			}
		}
	}
	if len(commands) < 20 || len(keys) != 2 {
		t.Fatalf("operations.md names the commands %v and the keys %v", commands, keys)
	}
	return commands, keys
}

// A user with the permissions that the documentation names can do all that an inbox does.
func TestTheDocumentedPermissionsAreEnough(t *testing.T) {
	t.Parallel()
	commands, _ := documented(t, false)
	server := testbed.StartRedis(t, slices.Concat([]string{"--user", "guard", "on", ">secret-of-guard", "~*"}, commands)...)
	t.Run("queue", func(t *testing.T) {
		run(t, dedupe.Options{URLs: []string{server.URL()}, Username: "guard", Password: "secret-of-guard"})
	})
}

// And so it can with the keys that it names alone, durably too. A replica takes the place of the
// append-only file, which only Redis 7.2 and later can be asked about.
func TestTheDocumentedKeysAreEnough(t *testing.T) {
	t.Parallel()
	commands, keys := documented(t, true)
	commands = slices.DeleteFunc(commands, func(command string) bool { return command == "+waitaof" })
	s := testbed.StartSentinels(t, testbed.RedisSet{
		Args: slices.Concat([]string{"--user", "guard", "on", ">secret-of-guard"}, keys, commands),
	})
	servers, err := dedupe.New(dedupe.Options{URLs: s.URLs(), Sentinel: testbed.MasterName, Username: "guard", Password: "secret-of-guard", Timeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = servers.Close() })
	store := New(servers)
	q, err := store.Queue("payments", inbox.Options{Durable: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := q.(inbox.DurableChecker).CheckDurable(t.Context()); err != nil {
		t.Errorf("asking for what makes it durable: %v", err)
	}
	ev := inbox.Event{Key: inbox.Key(inbox.NewToken()), Envelope: []byte("event")}
	if a, err := q.Put(t.Context(), ev); a != inbox.Accepted || err != nil {
		t.Fatalf("put: %s, %v", a, err)
	}
	batch, err := q.Take(t.Context(), 1, time.Minute)
	if err != nil || len(batch.Deliveries) != 1 {
		t.Fatalf("take: %+v, %v", batch, err)
	}
	if err := q.Settle(t.Context(), ev.Key, batch.Token, inbox.Settlement{Outcome: inbox.Success}); err != nil {
		t.Errorf("settle: %v", err)
	}
	if names, err := store.Names(t.Context()); err != nil || !slices.Equal(names, []string{"payments"}) {
		t.Errorf("names: %v, %v", names, err)
	}
}
