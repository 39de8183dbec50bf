package chaos

import (
	"fmt"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// caddyfile is the configuration of one gateway. The version only makes the text
// differ, since Caddy ignores a reload without a change. Connections to the app are not
// kept, so that a refusing app is noticed at once.
func (w *world) caddyfile(gateway int) string {
	var text strings.Builder
	fmt.Fprintf(&text, `{
	admin 127.0.0.1:{$ADMIN}
	log {
		output file %s {
			roll_disabled
		}
		level WARN
	}
	webhook_guard {
		store %s
	}
}
http://:{$PORT} {
`, w.logPath(gateway), w.topology.directive(gateway))
	proxy := fmt.Sprintf(`reverse_proxy %s {
	header_up %s %d
	header_up %s "{time.now}"
	transport http {
		keepalive off
	}
}`, w.app.addr, gatewayHeader, gateway, sentHeader)
	for _, s := range testbed.Senders() {
		token := ""
		if s.SignatureHeader == "" {
			token = "token query token"
		}
		inner, outer := fmt.Sprintf("timeout %v", appLimit), proxy
		if w.inbox {
			inner, outer = fmt.Sprintf(inboxBlock, proxy, appLimit, finalStatus), ""
		}
		fmt.Fprintf(&text, `	handle /webhooks/%[1]s {
		webhook_guard %[1]s {
			secret %[2]s
			%[3]s
			max_age %[8]v
			lease %[4]v
			in_flight wait %[5]v
			%[6]s
		}
		%[7]s
	}
`, s.Name, s.Secret, token, lease, inFlightWait, inner, outer, maxAge)
	}
	fmt.Fprintf(&text, "\thandle {\n\t\terror \"version %d\" 404\n\t}\n}\n", w.versions)
	return text.String()
}

// inboxBlock is the inbox of a guard. The delays are as compressed as those of senders.
const inboxBlock = `inbox {
	deliver {
		%s
	}
	retry 100ms 300ms 1s
	timeout %v
	give_up %d
}`
