package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// twoSenders is a configuration with a sender that has no ID, and one whose ID is not signed.
const twoSenders = `
{
	debug
	admin 127.0.0.1:{$ADMIN}
	webhook_guard {
		store STORE
		provider plain {
			signature X-Sig
		}
		provider named {
			signature X-Sig
			id header X-Id
		}
	}
}
http://:{$PORT} {
	vars tenant acme
	handle /plain {
		webhook_guard plain {
			secret {env.SECRET}
		}
		respond ok
	}
	handle /named {
		webhook_guard named {
			secret {env.SECRET}
			scope  named-{http.vars.tenant}
		}
		respond ok
	}
}
`

// signedPost is a request of those senders, and its capture.
func signedPost(t *testing.T, target, body, id string) (*http.Request, string) {
	t.Helper()
	mac := hmac.New(sha256.New, []byte("a-secret-of-the-sender"))
	mac.Write([]byte(body))
	signature := hex.EncodeToString(mac.Sum(nil))
	req, err := http.NewRequest(http.MethodPost, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Sig", signature)
	text := "POST " + req.URL.Path + " HTTP/1.1\r\nHost: " + req.URL.Host + "\r\nX-Sig: " + signature + "\r\n"
	if id != "" {
		req.Header.Set("X-Id", id)
		text += "X-Id: " + id + "\r\n"
	}
	return req, text + "\r\n" + body
}

// An event without an ID is looked up and forgotten by its captured request, and the log
// of a duplicate says what it was recognised by.
func TestEventsWithoutAnIDAreForgottenByTheirCapture(t *testing.T) {
	t.Parallel()
	onEachStore(t, func(t *testing.T, store string) {
		text := strings.Replace(twoSenders, "STORE", store, 1)
		caddyfile := filepath.Join(t.TempDir(), "Caddyfile")
		if err := os.WriteFile(caddyfile, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		g := testbed.StartGateway(t, text, testbed.WithEnv("SECRET=a-secret-of-the-sender"))
		post := func(path, body, id, result string) string {
			t.Helper()
			req, captured := signedPost(t, g.URL(path), body, id)
			want(t, testbed.Do(t, req), 200, result)
			return captured
		}
		address := g.AdminAddr()
		c := cli{env: []string{"SECRET=a-secret-of-the-sender", "PORT=1", "ADMIN=2"}}
		say := func(status int, says, verb, scope string, more ...string) {
			t.Helper()
			c.wantRun(t, status, says, append([]string{verb, scope, "--address", address}, more...)...)
		}

		c.stdin = post("/plain", "one", "", "forwarded")
		post("/plain", "one", "", "duplicate")
		g.WaitOutput(`"matched":"content"`)
		found := regexp.MustCompile(`"matched":"content","key":"([\w-]{22})"`).FindStringSubmatch(g.Output())
		if found == nil {
			t.Fatal("the duplicate's log line does not name its key")
		}
		captured := []string{"--captured", "-", "--config", caddyfile}
		say(0, "done: the app answered 200", "lookup", "plain", captured...)
		say(0, "done: the app answered 200", "lookup", "plain", "--key", found[1])
		say(0, "forgotten: the app had answered 200; the next copy is forwarded", "forget", "plain", captured...)
		say(0, "not known: its next copy is forwarded", "lookup", "plain", captured...)
		post("/plain", "one", "", "forwarded")
		say(0, "forgotten: the app had answered 200\n", "forget", "plain", "--key", found[1])
		post("/plain", "one", "", "forwarded")

		// Under another ID it is a duplicate by what is signed, so nothing is promised.
		post("/named", "two", "id-1", "forwarded")
		post("/named", "two", "id-2", "duplicate")
		g.WaitOutput(`"id":"id-2","matched":"content"`)
		key := regexp.MustCompile(`"id":"id-2","matched":"content","key":"([\w-]{22})"`).FindStringSubmatch(g.Output())
		if key == nil || !strings.Contains(g.Output(), `"id":"id-1","status":200,"key":"`+key[1]+`"`) {
			t.Errorf("the log does not lead from the duplicate to the ID that it matched: %q", key)
		} else {
			say(0, "the key of what it says is "+key[1], "lookup", "named-acme", "id-1")
			say(0, "it came with the ID id-1", "lookup", "named-acme", "--key", key[1])
			if !strings.Contains(g.Output(), `"key":"`+key[1]+`","matched_id":"id-1"`) {
				t.Error("the duplicate's line does not name the ID that it matched")
			}
		}
		say(0, "not known by this ID; a copy may still be a duplicate", "lookup", "named-acme", "id-2")
		say(0, "not known by this ID; a copy may still be a duplicate", "forget", "named-acme", "id-2")
		c.stdin = post("/named", "two", "id-2", "duplicate")
		say(0, "it came with the ID id-1", "lookup", "named-acme", captured...)
		say(0, "forgotten: the app had answered 200; the next copy is forwarded", "forget", "named-acme", captured...)
		post("/named", "two", "id-2", "forwarded")

		// A scope that no guard has is named, with those that there are.
		say(1, "there are named-{http.vars.tenant}, plain", "lookup", "somebody", "id-1")
		say(1, "did you mean plain?", "forget", "plian", "id-1")
		say(1, "signature_invalid", "forget", "plain", "--captured", "-", "--config", caddyfile, "--body", caddyfile)
		say(2, "not by several of them", "forget", "plain", "--captured", "-", "--key", found[1])
		say(2, "--provider", "forget", "plian", "--captured", "-")
		say(1, "22 characters", "lookup", "plain", "--key", "x")
	})
}
