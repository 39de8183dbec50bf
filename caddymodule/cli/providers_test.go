package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
)

func runProvidersCommand(t testing.TB, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd := providersCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	return out.String(), err
}

func TestProvidersTable(t *testing.T) {
	out, err := runProvidersCommand(t)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range config.Builtin().Names() {
		if !strings.Contains(out, "\n"+name+" ") {
			t.Errorf("%s is not in the table", name)
		}
	}
}

func TestProvidersJSON(t *testing.T) {
	for name, args := range map[string][]string{"all": {"--json"}, "one": {"struktr", "--json"}} {
		out, err := runProvidersCommand(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		var entries []handbook.Entry
		if err := json.Unmarshal([]byte(out), &entries); err != nil {
			t.Fatal(err)
		}
		if want := map[string]int{"all": len(config.Builtin()), "one": 1}[name]; len(entries) != want {
			t.Errorf("%s: %d entries, want %d", name, len(entries), want)
		}
	}
}

func TestProvidersUnknown(t *testing.T) {
	for _, args := range [][]string{{"nobody"}, {"nobody", "--json"}, {"a", "b"}} {
		if _, err := runProvidersCommand(t, args...); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// With a name, the block is printed that is pasted into a configuration.
func TestProvidersPrintsABlock(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		want, err := handbook.Block(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := runProvidersCommand(t, name); err != nil || got != want {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

func TestProvidersSearch(t *testing.T) {
	out, err := runProvidersCommand(t, "--search", "pay")
	if err != nil {
		t.Fatal(err)
	}
	first, second := strings.Index(out, "\npaymob "), strings.Index(out, "\nwechat-pay ")
	if first < 0 || second < first || strings.Contains(out, "\nstripe ") || !strings.Contains(out, "Not supported: Alipay (Antom). `providers alipay-antom`") {
		t.Errorf("got\n%s", out)
	}
	out, err = runProvidersCommand(t, "--search", "gocardless", "--json")
	var entries []handbook.Entry
	if err != nil || json.Unmarshal([]byte(out), &entries) != nil || len(entries) != 1 || entries[0].Name != "gocardless" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = runProvidersCommand(t, "--search", "stipe"); err != nil || !strings.HasPrefix(out, `No provider matches "stipe".`) || !strings.Contains(out, "\nstripe ") || !strings.Contains(out, "\n1 provider. ") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = runProvidersCommand(t, "--search", "paypal", "--json"); err != nil || !strings.HasPrefix(out, "[") {
		t.Errorf("%v: %s", err, out)
	}
	for _, args := range [][]string{{"--search", "qqqqqqqqqq"}, {"--search", "sms"}, {"--search", "stipe", "--json"}, {"--search", ""}, {"stripe", "--search", "pay"}} {
		if out, err := runProvidersCommand(t, args...); err == nil {
			t.Errorf("%q: no error: %s", args, out)
		}
	}
}

// A sender that is known and not supported gets an answer: what is missing, and what to do.
func TestProvidersOfUnsupportedSenders(t *testing.T) {
	for name, gap := range config.Unsupported {
		out, err := runProvidersCommand(t, name)
		if err == nil {
			t.Fatalf("%s is supported", name)
		}
		for _, want := range []string{gap.Missing, gap.Instead, strings.SplitN(gap.Lines, "\n", 2)[0]} {
			if !strings.Contains(err.Error()+out, want) {
				t.Errorf("%s: %q is not in %v %s", name, want, err, out)
			}
		}
	}
}

// A sender is found by what people call it, too.
func TestProvidersByOtherNames(t *testing.T) {
	for asked, want := range map[string]string{
		"sns":        "did you mean aws-sns?",
		"AWS-SNS":    "did you mean aws-sns?",
		"Amazon SNS": "did you mean aws-sns?",
		"PayPal":     "did you mean paypal?",
		"app store":  "did you mean apple-app-store, apple-app-store-sandbox?",
		"Stripe":     "did you mean stripe?",
		"prometheus": "did you mean alertmanager?",
		"WhatsApp":   "did you mean meta-facebook-whatsapp-instagram?",
		"google":     "google-pubsub",
		"gemini":     "did you mean google-gemini-dynamic, google-gemini-static?",
		"strpe":      "did you mean stripe?",
		"-":          "unknown provider",
	} {
		_, err := runProvidersCommand(t, asked)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", asked, err, want)
		}
	}
}
