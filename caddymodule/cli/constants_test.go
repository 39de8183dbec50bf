package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// A constant that is missing is named with the flag that gives it, for every sender that has
// one.
func TestMissingConstantsAreNamedWithTheirFlag(t *testing.T) {
	checked := 0
	for _, name := range config.Builtin().Names() {
		missing := config.Builtin()[name].MissingParams()
		if len(missing) == 0 {
			continue
		}
		checked++
		_, signed := run(signCommand(), nil, name)
		_, sent := run(sendCommand(), nil, name, "http://127.0.0.1:1/")
		_, explained := run(explainCommand(), strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), name, "-")
		_, looked := run(lookupCommand(), strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), name, "--captured", "-")
		for verb, err := range map[string]error{"sign": signed, "send": sent, "explain": explained, "lookup": looked} {
			for _, param := range missing {
				if err == nil || !strings.Contains(err.Error(), "--param "+param+"=<value>") {
					t.Errorf("%s %s: %v, want --param %s=<value>", verb, name, err, param)
				}
			}
		}
	}
	if checked < 3 {
		t.Errorf("%d senders have constants", checked)
	}
}

// A constant that a configuration takes from the environment, which is another one here, is
// named with the flag too.
func TestConstantsWithoutAValueAreNamedWithTheirFlag(t *testing.T) {
	path := file(t, `{"apps":{"http":{"servers":{"a":{"routes":[{"handle":[{"handler":"webhook_guard","provider":"paypal","param":{"webhook_id":"{env.GUARD_UNSET}"}}]}]}}}}}`) + ".json"
	if err := os.Rename(strings.TrimSuffix(path, ".json"), path); err != nil {
		t.Fatal(err)
	}
	for verb, command := range verbs {
		if verb == "providers" || verb == "forget" {
			continue
		}
		args := map[string][]string{
			"sign": {"paypal"}, "send": {"paypal", "http://127.0.0.1:1/"}, "explain": {"paypal", "-"}, "lookup": {"paypal", "--captured", "-"},
		}[verb]
		_, err := run(command(), strings.NewReader("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), append(args, "--config", path)...)
		if err == nil || !strings.Contains(err.Error(), "--param webhook_id=<value>") || !strings.Contains(err.Error(), "GUARD_UNSET") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
