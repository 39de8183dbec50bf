package config

import (
	"fmt"
	"strings"
)

// Gap says why a sender is not in the catalogue, and how it can be received all the same.
type Gap struct {
	// Title is the sender's usual name.
	Title string

	// Missing is what would be needed.
	Missing string

	// Instead is what to do until then, and Lines are those of a provider of one's own that
	// does it.
	Instead, Lines string
}

// Err returns what a person should know who asks for the sender.
func (g Gap) Err(name string) error {
	text := fmt.Sprintf("provider %q is not supported: %s\nInstead: %s", name, g.Missing, g.Instead)
	if g.Lines != "" {
		text += "\n\n" + g.Block(name)
	}
	return fmt.Errorf("%s", strings.TrimSuffix(text, "\n"))
}

// Block is the provider of one's own as a block for the global webhook_guard option.
func (g Gap) Block(name string) string {
	return "provider my-" + name + " {\n\t" + strings.ReplaceAll(g.Lines, "\n", "\n\t") + "\n}\n"
}

// byURL is what is done instead, where several senders have it in common.
const byURL = "register a URL with a secret token in its query. The token proves that the URL is known, and nothing about the body, so ask the sender's API for what matters"

// Unsupported has the senders that need more than lines can say.
var Unsupported = map[string]Gap{
	"alipay-antom": {"Alipay (Antom)", "it wants an acknowledgement that is signed with the merchant's own private key, which a duplicate would not get from the guard", byURL,
		"token query token"},
	"paddle-classic": {"Paddle Classic", "it signs the form's fields as PHP serialises them, with SHA-1; Paddle Billing is paddle", byURL,
		"token query token\nid form alert_id\nevent form alert_name"},
	"patreon": {"Patreon", "it signs with HMAC-MD5, which is not offered", byURL,
		"token query token\nevent header X-Patreon-Event"},
	"travis-ci": {"Travis CI", "its public key is inside a document of another shape than those that keys lines read",
		"save the public_key that https://api.travis-ci.com/config has under config.notifications.webhook into a file, name that in a public_key line, and save it anew when signatures fail",
		"signature Signature rsa-sha1 base64\nsigned {form.payload}"},
}
