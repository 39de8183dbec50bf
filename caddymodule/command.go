package caddymodule

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "webhook-guard",
		Short: "Signs and sends webhooks as their senders do",
		Long:  "Tools around the webhook_guard handler: sign a body, or send an event to a gateway and see what becomes of it.",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(signCommand(), sendCommand())
		},
	})
}

// secretFlags say where a secret is. It is never taken from the command line
// itself, which other users of the machine can read.
type secretFlags struct {
	env, file string
}

func (f *secretFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.env, "secret-env", "", "the environment variable that holds the secret")
	cmd.Flags().StringVar(&f.file, "secret-file", "", "the file that holds the secret, - for standard input")
	cmd.MarkFlagsMutuallyExclusive("secret-env", "secret-file")
}

var errNoSecret = errors.New("name the secret: --secret-env <variable> or --secret-file <file>")

func (f *secretFlags) read(stdin io.Reader) (string, error) {
	var secret string
	switch {
	case f.env != "":
		secret = os.Getenv(f.env)
		if secret == "" {
			return "", fmt.Errorf("--secret-env: the environment has no %s, or it is empty", f.env)
		}
		return secret, nil
	case f.file != "":
		text, err := readFile(f.file, stdin)
		if err != nil {
			return "", fmt.Errorf("--secret-file: %w", err)
		}
		// One newline at the end, as editors and {file.*} have it.
		secret = strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
		if secret == "" {
			return "", errors.New("--secret-file: it is empty")
		}
		return secret, nil
	}
	return "", errNoSecret
}

// readFile reads a file, or standard input for the name -.
func readFile(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// messenger signs as one provider does.
type messenger struct {
	name     string
	provider config.Provider
	scheme   *signature.Scheme
	key      *signature.Key // nil where the provider signs nothing
}

func newMessenger(name string, flags secretFlags, stdin io.Reader) (*messenger, error) {
	provider, err := config.Builtin().Get(name)
	if err != nil {
		return nil, err
	}
	rules, err := provider.Resolve()
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", name, err)
	}
	m := &messenger{name: name, provider: provider, scheme: rules.Scheme}
	if !m.scheme.Signed() {
		return m, nil
	}
	secret, err := flags.read(stdin)
	if err != nil {
		return nil, err
	}
	if m.key, err = m.scheme.NewKey(secret); err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", name, err)
	}
	return m, nil
}

// message is one request that a sender could make.
type message struct {
	url         *url.URL
	body        []byte
	contentType string
	id, event   string
	at          time.Time
}

// sign makes the request's headers.
func (m *messenger) sign(msg message, key *signature.Key) (map[string][]string, error) {
	r := signature.Request{
		Method: "POST", Scheme: msg.url.Scheme, Host: msg.url.Host,
		Path: msg.url.EscapedPath(), Query: msg.url.RawQuery,
		Header: map[string][]string{"Content-Type": {msg.contentType}},
		Body:   msg.body,
	}
	if r.Path == "" {
		r.Path = "/"
	}
	m.setHeaders(&r, msg)
	if !m.scheme.Signed() {
		return r.Header, nil
	}
	if err := m.scheme.Sign(&r, key, msg.at, msg.id); err != nil {
		return nil, err
	}
	return r.Header, nil
}

// setHeaders sets what a signature may cover, and what the guard reads beside it.
func (m *messenger) setHeaders(r *signature.Request, msg message) {
	set := func(text, value string) {
		source, err := config.ParseSource(text) // the catalogue's own: it parses
		if err == nil && source.Kind == signature.SourceHeader && r.Header[source.Name] == nil {
			r.Header[source.Name] = []string{value}
		}
	}
	event := msg.event
	if event == "" {
		event = "test"
	}
	set(m.provider.Event, event) // first, as it may be a part of the ID
	for _, source := range m.provider.ID {
		set(source, msg.id)
	}
	if stamp := m.provider.Timestamp; stamp != nil {
		set(stamp.Source, signature.FormatStamp(msg.at, stamp.Format))
	}
}

// contentType tells JSON from a form, which some providers sign in another way.
func contentType(body []byte) string {
	body = bytes.TrimLeft(body, " \t\r\n")
	if len(body) == 0 || body[0] == '{' || body[0] == '[' {
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// randomID is new for each event.
func randomID() string {
	var id [8]byte
	rand.Read(id[:]) // documented to never return an error
	return hex.EncodeToString(id[:])
}

// parseTime reads a time as people and as senders write it.
func parseTime(text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("--time: %q is neither RFC 3339 nor unix seconds", text)
	}
	return at, nil
}
