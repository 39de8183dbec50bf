package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// inboxKey writes a new key into a file, and returns its placeholder and the key.
func inboxKey(t *testing.T) (placeholder, key string) {
	t.Helper()
	secret := make([]byte, 32)
	rand.Read(secret)
	key = base64.StdEncoding.EncodeToString(secret)
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "{file." + path + "}", key
}

// storedBy returns all bytes of a store, as a thief of its disk has them.
func storedBy(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		all = append(all, data...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// keepsOnDisk are stores whose files a test can read, by name: what follows `store`, the
// directory, and what writes everything to it.
var keepsOnDisk = map[string]func(t *testing.T) (store, dir string, flush func()){
	"disk": func(t *testing.T) (string, string, func()) {
		dir := t.TempDir()
		return "disk " + dir, dir, func() {}
	},
	"redis": func(t *testing.T) (string, string, func()) {
		redis := testbed.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always", "--rdbcompression", "no")
		dir, err := redis.Ask("CONFIG", "GET", "dir")
		if err != nil || len(dir) != 2 {
			t.Fatal(dir, err)
		}
		return testbed.RedisStore(redis.URL()), dir[1], func() {
			if _, err := redis.Do("SAVE"); err != nil {
				t.Fatal(err)
			}
		}
	},
}

// With encrypt, nobody who reads the store's files or memory finds a header, the URL, the
// body, or what the app answered. Without it, the same search finds them all.
func TestAnEncryptedInboxShowsNothing(t *testing.T) {
	t.Parallel()
	for name, keeps := range keepsOnDisk {
		for _, encrypted := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", encrypted"}[encrypted], func(t *testing.T) {
				t.Parallel()
				store, dir, flush := keeps(t)
				key, secret := inboxKey(t)
				// Random texts stand as they are in what is only compressed.
				texts := []string{rand.Text(), rand.Text(), rand.Text(), rand.Text()}
				s := inboxSetup{store: store, lines: "retry 10m", app: testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
					return testbed.Answer{Status: 500, Body: []byte("cannot take " + texts[3])}
				})}
				if encrypted {
					s.lines += "\n\t\t\t\tencrypt " + key
				}
				g := s.start(t)
				e := testbed.Event{}.Fill()
				sender := testbed.DocRouter()
				body := bytes.Replace(sender.Body(e), []byte("a.pdf"), []byte(texts[0]), 1)
				r := sender.RequestWith(t, g.URL(""), body, e)
				r.Header.Set("X-Customer", texts[1])
				r.URL.RawQuery = "account=" + texts[2]
				want(t, testbed.Do(t, r), 200, "accepted")
				g.WaitOutput("it gets the event again")
				out, err := inboxCommand(t, g, "show", "docrouter", "ev-"+e.ID, "--body")
				if err != nil {
					t.Fatal(err, out)
				}
				var record struct {
					Request struct {
						URI    string      `json:"uri"`
						Header http.Header `json:"header"`
						Body   []byte      `json:"body"`
					} `json:"request"`
				}
				if err := json.Unmarshal([]byte(out), &record); err != nil {
					t.Fatal(err, out)
				}
				got := record.Request
				if string(got.Body) != string(body) || got.Header.Get("X-Customer") != texts[1] || !strings.Contains(got.URI, texts[2]) || !strings.Contains(out, texts[3]) {
					t.Errorf("the operator is shown %s", out)
				}
				flush()
				stored := string(storedBy(t, dir))
				var found []string
				for i, text := range texts {
					if strings.Contains(stored, text) {
						found = append(found, []string{"the body", "a header", "the query", "the answer"}[i])
					}
				}
				if encrypted && len(found) > 0 {
					t.Errorf("the store shows %v", found)
				}
				if !encrypted && len(found) != len(texts) {
					t.Errorf("without encrypt only %v are found: is the search still right?", found)
				}
				config := testbed.Do(t, mustRequest(t, g.AdminURL()+"/config/"))
				for where, text := range map[string]string{"the log": g.Output(), "the configuration": string(config.Body), "the store": stored, "the command": out} {
					if strings.Contains(text, secret) {
						t.Errorf("%s shows the key", where)
					}
				}
				if encrypted && !strings.Contains(string(config.Body), key) {
					t.Error("the configuration does not show the placeholder: is it still the right one?")
				}
			})
		}
	}
}

func mustRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A key is changed with events waiting: the new one in front, the old one behind it until they
// are delivered. Where the old one is taken away too early, its events wait for it, and are
// delivered when it is back. Nothing is lost or given up.
func TestKeysOfAnInboxAreChanged(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		s := inboxes(nil, "retry 20ms", "retry_for 1s") // waiting for a key has no end
		first, _ := inboxKey(t)
		second, secondKey := inboxKey(t)
		with := func(keys ...string) string {
			changed := s
			changed.lines += "\n\t\t\t\tencrypt " + strings.Join(keys, " ")
			return changed.caddyfile()
		}
		replay := func(g *testbed.Gateway) {
			t.Helper()
			if out, err := inboxCommand(t, g, "replay", "docrouter", "--state", "delayed", "--reason", "the key is back"); err != nil {
				t.Fatal(err, out)
			}
		}
		pause := func(g *testbed.Gateway, verb string) {
			t.Helper()
			if out, err := inboxCommand(t, g, verb, "docrouter", "--reason", "a test"); err != nil {
				t.Fatal(err, out)
			}
		}
		g := s.start(t) // without any key at first
		kept := func() testbed.Event {
			t.Helper()
			e := testbed.Event{}.Fill()
			want(t, deliverTo(t, g, e), 200, "accepted")
			return e
		}
		reload := func(text string) {
			t.Helper()
			if err := g.Reload(text); err != nil {
				t.Fatal(err)
			}
		}
		plain := kept()
		becomes(t, g, plain, "duplicate")
		pause(g, "pause")
		plain = kept()
		reload(with(first))
		old := kept()
		reload(with(second))
		fresh := kept()
		pause(g, "resume")
		for _, e := range []testbed.Event{plain, fresh} {
			becomes(t, g, e, "duplicate")
		}
		g.WaitOutput("their key is not among those of the inbox")
		testbed.Eventually(t, soon, func() bool {
			out, err := inboxCommand(t, g, "list", "docrouter", "--state", "delayed")
			return err == nil && strings.Contains(out, "locked") && strings.Contains(out, "ev-"+old.ID)
		}, "the event to be listed as locked")
		out, err := inboxCommand(t, g, "show", "docrouter", "ev-"+old.ID, "--body")
		if err != nil || !strings.Contains(out, "name it in encrypt, behind the first") {
			t.Errorf("%v, shown as %s; want the fix", err, out)
		}
		testbed.Eventually(t, soon, func() bool {
			return metric(g, "webhook_guard_inbox_attempts_total", "inbox", "docrouter", "outcome", "locked") >= 1
		}, "the metrics to count it")
		want(t, deliverTo(t, g, old), 200, "queued")
		reload(with(second, first))
		replay(g)
		becomes(t, g, old, "duplicate")
		wantCalls(t, s.app, 4)
		for _, d := range s.app.Deliveries() {
			if got := d.Header.Get("Webhook-Guard-Attempt"); got != "1" {
				t.Errorf("attempt %s, though nothing failed", got)
			}
		}
		// A file that changes is followed, without a reload.
		path := strings.TrimSuffix(strings.TrimPrefix(first, "{file."), "}")
		third, thirdKey := inboxKey(t)
		reload(with(first, second))
		if err := os.WriteFile(path, []byte(thirdKey), 0o600); err != nil {
			t.Fatal(err)
		}
		testbed.Eventually(t, soon, func() bool {
			forged := testbed.DocRouter().Request(t, g.URL(""), testbed.Event{})
			forged.Header.Del(testbed.DocRouter().SignatureHeader)
			testbed.Do(t, forged)
			return strings.Contains(g.Output(), "a file with a secret has changed: the new one is in force")
		}, "the file to be read again")
		pause(g, "pause")
		by := kept()
		reload(with(third))
		pause(g, "resume")
		becomes(t, g, by, "duplicate")
		for _, key := range []string{secondKey, thirdKey} {
			if strings.Contains(g.Output(), key) {
				t.Error("the log shows a key")
			}
		}
	})
}

func TestKeysOfAnInboxThatCannotBeAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, nil)
	g := s.start(t)
	_, literal := inboxKey(t)
	short := filepath.Join(t.TempDir(), "short")
	if err := os.WriteFile(short, []byte("a word that is no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		line string
		say  []string
	}{
		"none":         {"encrypt", []string{"encrypt"}},
		"a literal":    {"encrypt " + literal, []string{"encrypt 1", "{env.NAME}", "docrouter"}},
		"not set":      {"encrypt {env.NO_SUCH_KEY}", []string{"encrypt 1", "NO_SUCH_KEY"}},
		"no such file": {"encrypt {file.} {file./no/such/key}", []string{"encrypt"}},
		"no key":       {"encrypt {file." + short + "}", []string{"encrypt 1", "32 bytes", "openssl rand -base64 32"}},
	} {
		changed := s
		changed.lines = c.line
		err := g.Reload(changed.caddyfile())
		if err == nil || strings.Contains(err.Error(), literal) || strings.Contains(err.Error(), "a word that") {
			t.Errorf("%s: %v, want it to be refused, without the key", name, err)
			continue
		}
		for _, text := range c.say {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want it to say %q", name, err, text)
			}
		}
	}
}

// An encrypted event that somebody moves in the store to another event's place is not
// delivered as that one.
func TestAnEncryptedEventCannotBeMoved(t *testing.T) {
	t.Parallel()
	var open atomic.Bool
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		if open.Load() {
			return testbed.Answer{}
		}
		return testbed.Answer{Status: 500}
	})
	redis := testbed.StartRedis(t)
	key, _ := inboxKey(t)
	s := inboxSetup{store: testbed.RedisStore(redis.URL()), app: app, lines: "retry 10m\n\t\t\t\tencrypt " + key}
	g := s.start(t)
	for range 2 {
		want(t, deliverTo(t, g, testbed.Event{}.Fill()), 200, "accepted")
	}
	app.WaitCount(2)
	bodies, err := redis.Ask("KEYS", "*}b:*")
	if err != nil || len(bodies) != 2 {
		t.Fatal(bodies, err)
	}
	if _, err := redis.Do("COPY", bodies[0], bodies[1], "REPLACE"); err != nil {
		t.Fatal(err)
	}
	open.Store(true)
	if out, err := inboxCommand(t, g, "replay", "docrouter", "--state", "delayed", "--reason", "a test"); err != nil {
		t.Fatal(err, out)
	}
	testbed.Eventually(t, soon, func() bool {
		out, err := inboxCommand(t, g, "list", "docrouter", "--state", "dead")
		return err == nil && strings.Contains(out, "damaged")
	}, "the moved event to be given up as damaged")
	testbed.Eventually(t, soon, func() bool { return app.Count() == 3 }, "the other one to be delivered")
	if d := last(t, app); !strings.Contains(string(d.Body), strings.TrimPrefix(d.Header.Get("Webhook-Guard-Id"), "ev-")) {
		t.Errorf("%s was delivered with the body %s", d.Header.Get("Webhook-Guard-Id"), d.Body)
	}
}
