package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// fetchingFrom is a configuration whose guard of the provider fetches its keys there.
func fetchingFrom(t *testing.T, provider, url string) (file string) {
	t.Helper()
	return configFile(t, `{"apps": {"http": {"servers": {"s": {"routes": [{"handle": [
		{"handler": "webhook_guard", "provider": "`+provider+`", "keys": {"jwks": "`+url+`"}}]}]}}}}}`)
}

// fetching answers as a guard of FusionAuth's that fetches the keys with its nth request.
func fetching(t *testing.T, url string, nth int64) (http.HandlerFunc, *atomic.Int64) {
	scheme := resolved(t, "fusionauth").Scheme
	requests := new(atomic.Int64)
	return func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) < nth {
			takes(webhook.SecretUnavailable, http.StatusServiceUnavailable, "")(w, r)
			return
		}
		resp, err := http.Get(url)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		set, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		keys, err := signature.NewKeySet(scheme, set)
		if err != nil {
			t.Errorf("the set %s: %v", set, err)
		}
		body, _ := io.ReadAll(r.Body)
		facts := signature.Request{Method: r.Method, Header: r.Header, Body: body}
		if _, err := scheme.Verify(&facts, keys, signature.Window{}, time.Now()); err != nil {
			takes(webhook.SignatureInvalid, http.StatusUnauthorized, "")(w, r)
			return
		}
		takes(webhook.Forwarded, http.StatusOK, "")(w, r)
	}, requests
}

// The keys are there as long as the run lasts, and a guard that fetches them late gets the
// request again.
func TestSendServesKeys(t *testing.T) {
	for name, c := range map[string]struct {
		nth   int64
		flags []string
		key   bool
	}{
		"at once":     {nth: 1},
		"later":       {nth: 2},
		"forged":      {nth: 2, flags: []string{"--forge"}},
		"a given key": {nth: 1, key: true},
	} {
		t.Run(name, func(t *testing.T) {
			url := fmt.Sprintf("http://127.0.0.1:%d/keys", testbed.FreePort(t))
			handle, requests := fetching(t, url, c.nth)
			g := newGateway(t, handle)
			args := append([]string{"fusionauth", g.URL, "--serve-keys", "--config", fetchingFrom(t, "fusionauth", url)}, c.flags...)
			if c.key {
				t.Setenv("GUARD_SECRET", testbed.PrivateKeys()["rsa"])
				args = append(args, "--secret-env", "GUARD_SECRET")
			}
			out, err := run(sendCommand(), strings.NewReader(""), args...)
			if err != nil || requests.Load() != c.nth || strings.Contains(out, "waiting until the guard fetches the keys from "+url) != (c.nth > 1) {
				t.Errorf("%v, after %d requests:\n%s", err, requests.Load(), out)
			}
			if resp, err := http.Get(url); err == nil {
				_ = resp.Body.Close()
				t.Error("the keys are still served")
			}
		})
	}
}

func TestServeKeysNeedsAGuardThatFetchesThem(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no loopback":      {[]string{"google-pubsub", "--param", "audience=a", "--param", "service_account=b"}, "the guard fetches its keys from https://www.googleapis.com/oauth2/v3/certs: for a test write http://127.0.0.1:<port>/<path>"},
		"https":            {[]string{"kinde", "--config", fetchingFrom(t, "kinde", "https://127.0.0.1/keys")}, "for a test write http://127.0.0.1"},
		"no keys line":     {[]string{"kinde"}, "the guard of kinde has no keys line"},
		"a secret":         {[]string{"stripe", "--config", configFile(t, `{}`)}, "name the secret"},
		"a token":          {[]string{"gitlab-secret-token"}, "the guard of gitlab-secret-token has no keys line"},
		"a port in use":    {[]string{"kinde", "--config", fetchingFrom(t, "kinde", "http://"+busy.Addr().String()+"/keys")}, "address already in use"},
		"an empty key":     {[]string{"kinde", "--secret-env", "NOT_THERE"}, "the environment has no variable of this name"},
		"no key of a pair": {[]string{"kinde", "--secret-file", "-"}, "is neither PEM nor base64"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{c.args[0], "http://127.0.0.1:1/", "--serve-keys"}, c.args[1:]...)
			_, err := run(sendCommand(), strings.NewReader("?"), args...)
			wantText(t, err, c.want)
			if got := statusOf(err); got != exitUsage {
				t.Errorf("status %d", got)
			}
		})
	}
}

// A guard may refuse a request while it fetches the keys, as it had none when the request
// came.
func TestKeysFetchedWhileARequestIsRefused(t *testing.T) {
	keys := &keyServer{fetched: make(chan struct{})} // without patience
	c := campaign{keys: keys, tally: newTally(io.Discard, nil, 1, false)}
	sent := 0
	got := c.post(t.Context(), func() reply {
		if sent++; sent == 1 {
			close(keys.fetched)
			return reply{status: http.StatusServiceUnavailable, result: webhook.SecretUnavailable}
		}
		return reply{status: http.StatusUnauthorized, result: webhook.SignatureInvalid}
	}, expectation{}, 0)
	if got.err != nil || got.result != webhook.SignatureInvalid || sent != 2 {
		t.Errorf("%s (%v) after %d requests, not the answer to the second", got.result, got.err, sent)
	}
}

// A guard that goes by other keys is told from one that refuses.
func TestNobodyFetchesTheKeys(t *testing.T) {
	c := campaign{
		keys:  &keyServer{url: "http://127.0.0.1:1/keys", fetched: make(chan struct{}), patience: time.Nanosecond, pause: time.Nanosecond},
		tally: newTally(io.Discard, nil, 1, false),
	}
	got := c.post(context.Background(), func() reply { return reply{status: http.StatusServiceUnavailable, result: webhook.SecretUnavailable} }, expectation{}, 0)
	wantText(t, got.err, "it is refused with 503, and nobody has fetched the keys from http://127.0.0.1:1/keys")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.keys.patience, c.keys.until = time.Hour, time.Time{}
	if got := c.post(ctx, func() reply { return reply{status: http.StatusUnauthorized, result: webhook.SignatureInvalid} }, expectation{}, 0); got.err == nil {
		t.Error("a command that is interrupted goes on")
	}
}
