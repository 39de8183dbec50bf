// Package upstream tells what the proxy made of an app's answer from what the app said.
package upstream

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
)

// closed is what Caddy's proxy answers when its request was cancelled.
const closed = 499

// HungUp reports whether an answer with this status is the proxy's, for a request that was
// cancelled. A delivery goes on without its sender, so it was the guard's own end of it, or
// the end of another request: HTTP/3 connects on behalf of the first one that needs the
// connection, and tells the others its error.
func HungUp(repl *caddy.Replacer, status int) bool {
	if status != closed {
		return false
	}
	_, proxied := repl.Get("http.reverse_proxy.upstream.address")
	said, _ := repl.Get("http.reverse_proxy.status_code")
	return proxied && said != closed // else it is the app's own
}

// Bodiless reports whether an answer has no body by definition, whatever its headers say.
func Bodiless(method string, status int) bool {
	return method == http.MethodHead && status != 0 || status == http.StatusNotModified || Emptied(status)
}

// Emptied reports whether a status forbids a length, too.
func Emptied(status int) bool {
	return status == http.StatusNoContent || status == http.StatusResetContent
}
