// Package cli is the command line: caddy webhook-guard <verb>. Importing it registers the
// commands.
package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/textproto"
	"net/url"
	"os"
	"slices"
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
		Short: "Signs, sends and explains webhooks",
		Long:  "Tools around the webhook_guard handler: list the providers, sign a body, send an event to a gateway and see the result, find out why a captured request does not verify, or look up an event and let it through again.",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(providersCommand(), signCommand(), sendCommand(), explainCommand(), lookupCommand(), forgetCommand())
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

// senderFlags say what only the user of a provider knows, beside the secret.
type senderFlags struct {
	params  map[string]string
	headers []string
}

func (f *senderFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringToStringVar(&f.params, "param", nil, "a constant that the scheme needs, name=value")
	cmd.Flags().StringArrayVar(&f.headers, "header", nil, "a header to send, 'Name: value', where the provider signs one")
}

// oneFromStdin refuses to read standard input for more than one of the files.
func oneFromStdin(files ...string) error {
	if first := slices.Index(files, "-"); first >= 0 && slices.Contains(files[first+1:], "-") {
		return errors.New("two files cannot both come from standard input: read only one of body, secret and capture from there")
	}
	return nil
}

// messenger signs as one provider does.
type messenger struct {
	name     string
	provider config.Provider
	scheme   *signature.Scheme
	key      *signature.Key // nil where the provider signs nothing
	header   map[string][]string
}

func newMessenger(name string, secret secretFlags, sender senderFlags, stdin io.Reader) (*messenger, error) {
	provider, err := config.Builtin().Get(name)
	if err != nil {
		return nil, err
	}
	provider = config.Provider{Param: sender.params}.Over(provider)
	rules, err := provider.Resolve()
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", name, err)
	}
	m := &messenger{name: name, provider: provider, scheme: rules.Scheme}
	if m.header, err = parseHeaders(sender.headers); err != nil {
		return nil, err
	}
	if !m.scheme.Signed() {
		return m, nil
	}
	text, err := secret.read(stdin)
	if err != nil {
		return nil, err
	}
	newKey := m.scheme.NewKey
	if m.scheme.Asymmetric() {
		newKey = signature.NewPrivateKey // to sign with, as the sender does
	}
	if m.key, err = newKey(text); err != nil {
		return nil, fmt.Errorf("the secret of %s: %w", name, err)
	}
	return m, nil
}

func parseHeaders(lines []string) (map[string][]string, error) {
	header := make(map[string][]string)
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name)); !ok || name == "" {
			return nil, fmt.Errorf("--header: write 'Name: value'")
		}
		header[name] = append(header[name], strings.TrimSpace(value))
	}
	return header, nil
}

// message is one request that a sender could make.
type message struct {
	url         *url.URL
	body        []byte
	contentType string
	header      map[string][]string // what the sender signs beside stamp and ID
	id, event   string
	at          time.Time
}

// sign makes the request. Most providers sign in headers, some in the query or
// in the body, so all three may have changed.
func (m *messenger) sign(msg message, key *signature.Key) (*signature.Request, error) {
	r := &signature.Request{
		Method: "POST", Scheme: msg.url.Scheme, Host: msg.url.Host,
		Path: msg.url.EscapedPath(), Query: msg.url.RawQuery,
		Header: map[string][]string{"Content-Type": {msg.contentType}},
		Body:   msg.body,
	}
	if r.Path == "" {
		r.Path = "/"
	}
	maps.Copy(r.Header, msg.header)
	maps.Copy(r.Header, m.header)
	m.setHeaders(r, msg)
	if !m.scheme.Signed() {
		return r, nil
	}
	return r, m.scheme.Sign(r, key, msg.at, msg.id)
}

// setHeaders sets what a signature may cover, and what the guard reads beside it.
func (m *messenger) setHeaders(r *signature.Request, msg message) {
	set := func(source signature.Source, value string) {
		if source.Kind == signature.SourceHeader && r.Header[source.Name] == nil {
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
func parseTime(flag, text string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%s: %q is neither RFC 3339 nor unix seconds", flag, text)
	}
	return at, nil
}
