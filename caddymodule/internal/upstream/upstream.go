// Package upstream tells what the proxy made of an app's answer from what the app said.
package upstream

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

var (
	// ErrBroken reports an answer that the app did not finish.
	ErrBroken = errors.New("the app broke off its answer")
	// ErrSwitched reports an answer that is none, to an event.
	ErrSwitched = errors.New("the app answered 101 or took the connection over: an event is answered with a status, so let the app answer without switching protocols")
	// ErrOthersEnd is why there is no answer where HungUp says so and the guard ended nothing.
	ErrOthersEnd = errors.New("the connection to the app ended with another request")
)

// Run runs the handlers at a place, and turns a panic into an error: that with which the proxy
// ends a broken answer, and any other, which is a bug in a handler, and reported.
func Run(place string, next caddyhttp.Handler, w http.ResponseWriter, r *http.Request, report func(panicked any, stack []byte)) (err error) {
	defer func() {
		switch v := recover(); v {
		case nil:
		case http.ErrAbortHandler:
			err = ErrBroken
		default:
			report(v, debug.Stack())
			err = fmt.Errorf("a handler %s panicked: %w", place, ErrBroken)
		}
	}()
	return next.ServeHTTP(w, r)
}

// Answer is what came of the app's answer.
type Answer struct {
	Method  string // of the request
	Status  int    // 0 where there is none
	Header  http.Header
	Written int64 // bytes of its body
}

// Failure returns why the answer is not whole, where the handlers ended with an error or nil.
func (a Answer) Failure(err error) error {
	if err == ErrBroken && a.Bodiless() { //nolint:errorlint // a panic wraps it, and is none
		err = nil // the proxy missed a body that there cannot be
	}
	if err == nil && a.Status != 0 && !a.Complete() {
		err = ErrBroken
	}
	return err
}

// Complete reports whether the body is as long as its headers say.
func (a Answer) Complete() bool {
	length := a.Header.Get("Content-Length")
	if length == "" || a.Bodiless() {
		return true
	}
	n, err := strconv.ParseInt(length, 10, 64)
	return err == nil && n == a.Written
}

// Bodiless reports whether the answer has no body by definition, whatever its headers say.
func (a Answer) Bodiless() bool {
	return a.Method == http.MethodHead && a.Status != 0 || a.Status == http.StatusNotModified || a.Emptied()
}

// Emptied reports whether the answer's status forbids a length, too.
func (a Answer) Emptied() bool {
	return a.Status == http.StatusNoContent || a.Status == http.StatusResetContent
}

// Switched reports whether the app tried to switch protocols. The proxy writes nothing where
// the client did not ask for a switch, or cannot switch.
func Switched(repl *caddy.Replacer) bool {
	status, _ := repl.Get("http.reverse_proxy.status_code")
	return status == http.StatusSwitchingProtocols
}

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
