// Package placeholder resolves the placeholders of a configuration when it loads.
package placeholder

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// Resolve replaces the placeholders of a value that is a secret, or may hold one. It
// refuses a placeholder that stands for nothing, which would leave an empty or a
// guessable secret. Its errors never hold the value.
func Resolve(value string) (string, error) {
	if strings.Contains(value, "{http.request.uri.path.file.") {
		return "", errors.New("a {file.…} with a relative path is Caddy's shorthand for a part of the request: write {file./absolute/path}")
	}
	repl := caddy.NewReplacer()
	if _, err := repl.ReplaceOrErr(value, false, true); err != nil {
		// Not wrapped: what is no placeholder may be a part of a secret.
		return "", errors.New("a {…} in it is no placeholder that is known when the configuration loads: write {env.NAME} or {file./absolute/path}; a literal { is written \\{")
	}
	text, err := repl.ReplaceOrErr(value, true, true)
	if err != nil {
		return "", fmt.Errorf("%w: set it before Caddy starts", err) // names the placeholder
	}
	if text == "" {
		return "", errors.New("it is empty")
	}
	return text, nil
}
