package cli

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// adviceOnFailure says what to do about a request that got no answer, in the words that
// follow the error.
func adviceOnFailure(err error) string {
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	var network *net.OpError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ": is the gateway running, and is that its port?"
	case errors.As(err, &name):
		return ": say where the gateway is with --resolve " + name.Name + ":<address>"
	case errors.As(err, &certificate):
		return ": name the host that the certificate is for in the URL, and the address with --resolve; or take any certificate with --insecure"
	case errors.As(err, &network) && network.Op == "remote error": // how crypto/tls calls an alert
		return ": the gateway may have no certificate for that name: name the host that it serves in the URL, and its address with --resolve"
	case errors.Is(err, http.ErrSchemeMismatch):
		return ": the URL has to begin with http://"
	case os.IsTimeout(err):
		return ": a firewall may drop what is sent there, or the app takes longer than senders wait"
	case errors.Is(err, syscall.ECONNRESET) || strings.HasSuffix(err.Error(), "EOF"):
		return ": the connection was closed before there was a whole answer: is that the gateway's port, and does the URL begin with http:// or https:// as it should?"
	}
	return ""
}

// adviceOn says what to do about an answer that is no guard's, or that lacks what was given.
func adviceOn(got reply) string {
	switch {
	case got.result == webhook.TokenMissing:
		return ": put the token into the URL or a --header, or name the guard's file with --config, which says where it goes"
	case got.result != "":
		return ""
	case got.elsewhere:
		return ": it leads to another URL, which senders do not follow: is it https:// in place of http://?"
	case got.status == http.StatusBadRequest && strings.Contains(got.text, "HTTP request to an HTTPS server"):
		return ": the URL has to begin with https://"
	}
	return ": is it the gateway, and does a route with webhook_guard match the URL's host and path?"
}

// adviceOnAdmin says what to do where the admin API does not do as it is asked. Caddy's error
// has no type, and holds the JSON that the gateway has answered.
func adviceOnAdmin(err error) error {
	text := err.Error()
	if strings.HasPrefix(text, "performing request: ") {
		return fmt.Errorf("%w: is the gateway running on this machine? --address, or the configuration with --config, says where its admin API is", err)
	}
	said, ok := strings.CutPrefix(text, "caddy responded with error: ")
	status, answer, _ := strings.Cut(said, ": ")
	var refusal struct {
		Message string `json:"error"`
	}
	switch {
	case !ok:
		return err
	case json.Unmarshal([]byte(answer), &refusal) == nil && refusal.Message != "":
		return fmt.Errorf("%s: %s", status, refusal.Message)
	case status == "HTTP 404":
		return errors.New("HTTP 404: is that the address of the admin API, and is the Caddy there built with this module?")
	}
	return err
}
