package caddymodule

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const resignKey = "0123456789abcdef0123456789abcdef"

var resignSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(resignKey))

// What the app gets is signed as the specification says, and of the sender's headers of
// these names nothing is left, in any spelling.
func TestForwardedRequestIsSignedAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(g *Guard) { g.Resign = resignSecret })
	body := event("evt.1")
	r := b.request(body)
	for _, name := range []string{"Webhook_id", "webhook-ID", "Webhook.Signature", "Webhook-Timestamp"} {
		r.Header[name] = []string{"forged"}
	}
	var got http.Header
	app := func(w http.ResponseWriter, r *http.Request) error {
		got = r.Header.Clone()
		sent, err := io.ReadAll(r.Body)
		if err != nil || string(sent) != body {
			t.Errorf("the app got %q, %v", sent, err)
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if _, err := b.serve(r, app); err != nil {
		t.Fatal(err)
	}
	id, stamp := got.Get("Webhook-Id"), got.Get("Webhook-Timestamp")
	if id != "evt%2E1" {
		t.Errorf("the ID is %q: a full stop separates what is signed", id)
	}
	if sent, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.Unix(sent, 0)).Abs() > time.Minute {
		t.Errorf("the stamp is %q", stamp)
	}
	mac := hmac.New(sha256.New, []byte(resignKey))
	mac.Write([]byte(id + "." + stamp + "." + body))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Get("Webhook-Signature") != want {
		t.Errorf("the signature is not that of the specification")
	}
	for name, values := range got {
		if strings.Contains(strings.Join(values, ""), "forged") {
			t.Errorf("the sender's header %s is left", name)
		}
	}
}

// Two tenants may give their events the same ID, and the app believes of whose an event is what
// is signed.
func TestTenantsShareNoResignedID(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(g *Guard) { g.Resign, g.Scope = resignSecret, "{tenant}" })
	seen := make(map[string]string)
	for _, tenant := range []string{"acme", "globex", "acme"} {
		r := b.request(event("evt_1"))
		r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer).Set("tenant", tenant)
		_, err := b.serve(r, func(w http.ResponseWriter, r *http.Request) error {
			id := r.Header.Get("Webhook-Id")
			if other, known := seen[id]; known && other != tenant || !strings.HasPrefix(id, "msg_") {
				t.Errorf("%s has the ID %q, as %q", tenant, id, other)
			}
			seen[id] = tenant
			w.WriteHeader(http.StatusInternalServerError) // so that the next copy is forwarded
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) != 2 {
		t.Errorf("two tenants and a retry have the IDs %v", seen)
	}
}

// A resign line that could vouch for nothing, or whose secret no library takes, is refused
// at load, and the error never holds the secret.
func TestResignIsRefusedWhereItProvesNothing(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]struct {
		edit func(*Guard)
		want string
	}{
		"no proof":     {func(g *Guard) { g.ProviderName, g.Token, g.Secret, g.InsecureUnsigned = "okrapdf", "", nil, true }, "vouch"},
		"not base64":   {func(g *Guard) { g.Resign = "whsec_canary*canary*canary" }, "whsec_ and base64"},
		"short":        {func(g *Guard) { g.Resign = "whsec_Y2FuYXJ5" }, "shorter than 16 bytes"},
		"no key":       {func(g *Guard) { g.Resign = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }, "resign"},
		"unset":        {func(g *Guard) { g.Resign = "{env.GUARD_TEST_UNSET}" }, "resign"},
		"several":      {func(g *Guard) { g.Resign = resignSecret + "|" + resignSecret }, "resign"},
		"a shell word": {func(g *Guard) { g.Resign = "$RESIGN_SECRET" }, "resign"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuard()
			g.ProviderName, g.Token, g.Secret, g.Resign = "docrouter", "header X-Token", []Secret{{Value: "opens"}}, resignSecret
			edit.edit(g)
			err := g.provision()
			wantText(t, err, edit.want)
			if err != nil && strings.Contains(strings.ToLower(err.Error()), "canary") {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}
