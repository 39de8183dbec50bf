package cli

import (
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
		for verb, err := range map[string]error{"sign": signed, "send": sent, "explain": explained} {
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
