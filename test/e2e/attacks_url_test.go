package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// The registered URL may hold the token, an ID or a stamp. It supplies none of them: they
// are what the request itself has.
func TestAttackPublicURLSuppliesNothing(t *testing.T) {
	t.Parallel()
	const key = "a-secret-of-this-sender"
	s := testbed.OkraPDF()
	app := testbed.StartApp(t, nil)
	guard := func(path, provider, lines string) string {
		return fmt.Sprintf("handle /%s {\nwebhook_guard %s {\nscope %s\n%s\n}\n%s\n}\n", path, provider, path, lines, proxy(app))
	}
	tokened := "token query token\nsecret " + s.Secret + "\npublic_url "
	g := site{
		store: "memory",
		guards: "provider byquery {\nsignature X-Signature sha256 hex\nsigned {url}{body}\nid query id\n}\n" +
			"provider stamped {\nsignature X-Signature sha256 hex\nsigned {query.at}{body}\ntimestamp query at unix\nid header X-Id\n}",
		routes: "map {host} {where} {\ndefault hooks.test\n}\n" +
			guard("plain", "okrapdf", tokened+"https://hooks.test/okra?token="+s.Secret) +
			guard("varying", "okrapdf", tokened+"https://{where}/okra?token="+s.Secret) +
			guard("encoded", "okrapdf", tokened+"https://hooks.test/okra?%74oken="+s.Secret+"#x") +
			guard("ids", "byquery", "secret "+key+"\npublic_url https://hooks.test/ids?id=1") +
			guard("stamps", "stamped", "secret "+key+"\npublic_url https://hooks.test/s?at="+strconv.FormatInt(time.Now().Unix(), 10)),
	}.start(t)
	for _, path := range []string{"/plain", "/varying", "/encoded"} {
		for query, result := range map[string]string{"": "token_missing", "token=": "token_", "token=x": "token_invalid", "Token=" + s.Secret: "token_missing"} {
			req := s.Request(t, g.URL(""), testbed.Event{}.Fill())
			req.URL.Path, req.URL.RawQuery = path, query
			resp := testbed.Do(t, req)
			if resp.Status != http.StatusUnauthorized || !containsAll(resp.Guard, result) {
				t.Errorf("%s?%s: %s", path, query, resp)
			}
		}
		req := s.Request(t, g.URL(""), testbed.Event{}.Fill())
		req.URL.Path, req.URL.RawQuery = path, "token="+s.Secret
		wantResult(t, path+" with the token", testbed.Do(t, req), http.StatusOK, "forwarded")
	}
	for _, id := range []string{"a", "b", "c"} {
		body := `{"n":1}`
		mac := hex.EncodeToString(hmac256(key, "https://hooks.test/ids?id="+id+body))
		wantResult(t, "the event "+id, reported{"/ids?id=" + id, body, []string{"X-Signature", mac}}.send(t, g), http.StatusOK, "forwarded")
	}
	old := strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)
	mac := hex.EncodeToString(hmac256(key, old+"{}"))
	wantResult(t, "an old stamp", reported{"/stamps?at=" + old, "{}", []string{"X-Signature", mac, "X-Id", "1"}}.send(t, g), http.StatusForbidden, "timestamp_stale")
	if resp := (reported{"/stamps", "{}", []string{"X-Signature", mac, "X-Id", "1"}}).send(t, g); resp.Status < 400 {
		t.Errorf("no stamp: %s", resp)
	}
}
