package caddymodule

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// blankSender is a kind of sender, a secret of it that is one, and how it writes a blank one.
type blankSender struct {
	edit  func(*Guard)
	good  string
	write func(blank string) []string
}

var blankSenders = map[string]blankSender{
	"raw": {func(g *Guard) { g.ProviderName = "struktr" }, "a-secret-of-some-length", same},
	"base64 with a prefix": {func(g *Guard) { g.ProviderName = "standard-webhooks" }, "whsec_Zmlyc3QtZmlyc3QtZmlyc3Q=", func(blank string) []string {
		text := base64.StdEncoding.EncodeToString([]byte(blank))
		return []string{"whsec_" + text, text, "v1,whsec_" + text, "whsec_" + blank, text + "|" + text}
	}},
	"hex": {func(g *Guard) { g.ProviderName = "adyen-platform" }, "44782def547aaa06c910c43932b1eb0c", func(blank string) []string {
		return []string{hex.EncodeToString([]byte(blank))}
	}},
	"a digest":             {func(g *Guard) { g.ProviderName, g.SecretEncoding = "struktr", "sha1" }, "a-secret-of-some-length", same},
	"a compatibility form": {func(g *Guard) { g.ProviderName = "easypost" }, "a-secret-of-some-length", same},
	"a hash with it":       {func(g *Guard) { g.ProviderName = "hubspot-v1" }, "a-secret-of-some-length", same},
	"a token in a header":  {func(g *Guard) { g.ProviderName = "telegram-bot" }, "a-secret-of-some-length", same},
	"a token in the URL": {func(g *Guard) {
		g.ProviderName, g.Provider = "okrapdf", config.Provider{Token: "query token"}
	}, "a-secret-of-some-length", same},
	"a bearer token": {func(g *Guard) { g.ProviderName, g.Provider = "okrapdf", config.Provider{Token: "bearer"} }, "a-secret-of-some-length", func(blank string) []string {
		return []string{blank, "Bearer" + blank, "Bearer " + blank, "bearer " + blank}
	}},
	"user and password": {func(g *Guard) { g.ProviderName = "chargebee" }, "user:a-secret-of-some-length", func(blank string) []string {
		return []string{blank, ":", "Basic", "Basic " + blank, "Basic " + base64.StdEncoding.EncodeToString([]byte(":")), blank + ":"}
	}},
	"a public key": {func(g *Guard) { g.ProviderName = "discord" }, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", func(blank string) []string {
		return []string{blank, "whpk_" + blank, strings.Repeat("00", 32), base64.StdEncoding.EncodeToString(make([]byte, 32)), "01" + strings.Repeat("00", 31)}
	}},
}

func same(blank string) []string { return []string{blank} }

var blankTexts = map[string]string{
	"nothing": "", "a space": " ", "lines": "\r\n\t ", "another space": "\u00a0", "a mark": "\ufeff", "a mark and a line": "\ufeff\n",
	"a zero": "\x00", "a block of zeros": strings.Repeat("\x00", 64), "more zeros": strings.Repeat("\x00", 99), "UTF-16": "\xff\xfe\n\x00",
}

// From wherever a secret comes and however it is written: one that everybody has is refused
// when the configuration loads, and never takes a good one's place.
func TestASecretThatEverybodyHasIsNone(t *testing.T) {
	for kind, sender := range blankSenders {
		for name, blank := range blankTexts {
			for _, text := range sender.write(blank) {
				t.Run(kind+"/"+name, func(t *testing.T) { sender.checkBlank(t, text) })
			}
		}
	}
}

func (b blankSender) checkBlank(t *testing.T, blank string) {
	asymmetric := strings.Contains(b.good, "d75a98")
	use := func(g *Guard, secrets ...Secret) {
		if b.edit(g); asymmetric {
			g.PublicKey = secrets
		} else {
			g.Secret = secrets
		}
	}
	good := Secret{Value: b.good}
	refused := func(source, value string) {
		t.Helper()
		g := newGuard()
		use(g, good, Secret{Value: value})
		if err := g.provision(); err == nil {
			t.Errorf("from %s: %q is taken", source, blank)
		}
	}
	refused("the line", blank)
	if !strings.Contains(blank, "\x00") {
		t.Setenv("GUARD_TEST_BLANK", blank)
		refused("the environment", "{env.GUARD_TEST_BLANK}")
	}
	r := newRotated(t, func(r *rotated) {
		r.write("a", b.good+"\n")
		use(r.guard, Secret{Value: "{file." + r.path("a") + "}"})
	})
	before := r.guard.secrets.fixed.secrets()
	r.write("a", blank)
	refused("a file", "{file."+r.path("a")+"}")
	r.pass(2 * time.Second)
	if after := r.guard.secrets.fixed.secrets(); len(after) != len(before) || after[0].Key != before[0].Key || r.errors() != 1 {
		t.Errorf("a file that became %q: %d secrets, %d errors logged", blank, len(after), r.errors())
	}
	if asymmetric {
		return // per_request is for secrets
	}
	g := newGuard()
	use(g, good, Secret{Value: "{tenant_secret}", PerRequest: true})
	g.Scope = "{tenant}"
	if err := g.provision(); err != nil {
		t.Fatal(err)
	}
	repl := caddy.NewReplacer()
	repl.Set("tenant_secret", blank)
	if _, refusal := g.secrets.of(repl); refusal == nil || refusal.Result != webhook.SecretUnavailable {
		t.Errorf("per request: %q gives %v", blank, refusal)
	}
}
