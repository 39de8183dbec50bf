package cli

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// messenger makes requests as one provider does.
type messenger struct {
	*subject
	sender *webhook.Sender
	key    *signature.Key // nil where the provider signs nothing
	token  string         // "" where it sends none, or none that is known
	hidden []string       // the texts of its secrets
	header map[string][]string
}

// messenger prepares to make the provider's requests. A provider that signs needs its
// secret; one that sends a token may have it in the URL or in a header given.
func (o *signerFlags) messenger(name string, stdin io.Reader) (*messenger, error) {
	subject, err := o.config.find(name)
	if err != nil {
		return nil, err
	}
	params := maps.Clone(subject.provider.Param)
	if params == nil {
		params = o.sender.params
	} else {
		maps.Copy(params, o.sender.params)
	}
	subject.provider.Param = params
	subject.provider = subject.provider.WithoutOpenAllows()
	if subject.provider, err = constants(subject.provider); err != nil {
		return nil, err
	}
	if err := resolvePublicURL(&subject.provider); err != nil {
		return nil, err
	}
	m := &messenger{subject: subject}
	if m.sender, err = webhook.New(name, m.provider); err != nil {
		return nil, fmt.Errorf("provider %s: %w", name, err)
	}
	if m.header, err = parseHeaders(o.sender.headers); err != nil {
		return nil, err
	}
	if m.sender.Rules.Scheme.Asymmetric() {
		return m, m.readPrivateKey(o, stdin)
	}
	return m, m.readSecret(o.secret, stdin)
}

// readPrivateKey reads the key that is given, or makes one.
func (m *messenger) readPrivateKey(o *signerFlags, stdin io.Reader) error {
	text, err := o.secret.read(stdin)
	switch {
	case errors.Is(err, errNoSecret) && o.pair:
		m.key, err = signature.NewKeyPair(m.sender.Rules.Scheme)
	case errors.Is(err, errNoSecret):
		return fmt.Errorf("%s signs with a private key: give one of your own, whose public key the guard has: %w", m.name, err)
	case err == nil:
		m.key, err = m.privateKey(text)
	default:
		return err
	}
	if err != nil {
		return fmt.Errorf("the secret of %s: %w", m.name, err)
	}
	return nil
}

// privateKey reads the key that signs. Where tokens bring their certificates along, it is the
// key of the root that the guard trusts, which issues them.
func (m *messenger) privateKey(text string) (*signature.Key, error) {
	key, err := signature.NewPrivateKey(text)
	if err != nil || m.provider.Keys == nil || m.provider.Keys.X5C == nil {
		return key, err
	}
	key, err = m.provider.Keys.Signer(key)
	if err != nil {
		err = fmt.Errorf("%w: have the guard trust a root of yours, keys roots <file>, name its file with --config, and give the root's key", err)
	}
	return key, err
}

func (m *messenger) readSecret(flags secretFlags, stdin io.Reader) error {
	scheme := m.sender.Rules.Scheme
	secrets, err := m.secrets(flags, stdin)
	if err != nil {
		if !scheme.Signed() && errors.Is(err, errNoSecret) {
			return nil
		}
		return err
	}
	m.hidden = secrets
	if !scheme.Signed() {
		m.token = m.sender.TokenOf(secrets[0])
		return nil
	}
	keys, err := scheme.NewKeys(secrets[0])
	if err != nil {
		return fmt.Errorf("the secret of %s: %w", m.name, err)
	}
	m.key = keys[0] // of a list, the first
	return nil
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
func (m *messenger) sign(msg message, key *signature.Key, token string) (*signature.Request, error) {
	r := &signature.Request{
		Method: m.method(), Scheme: msg.url.Scheme, Host: msg.url.Host,
		Path: msg.url.EscapedPath(), Query: msg.url.RawQuery,
		Header: map[string][]string{"Content-Type": {msg.contentType}},
		Body:   msg.body,
	}
	if r.Path == "" {
		r.Path = "/"
	}
	maps.Copy(r.Header, msg.header)
	maps.Copy(r.Header, m.header)
	m.setNames(r, msg)
	if err := m.setToken(r, token); err != nil {
		return nil, err
	}
	scheme := m.sender.Rules.Scheme
	if !scheme.Signed() {
		return r, nil
	}
	signed := m.sender.SignedURL(*r)
	query := signed.Query
	err := scheme.Sign(&signed, key, msg.at, msg.id)
	r.Header, r.Body = signed.Header, signed.Body
	if signed.Query != query {
		r.Query = signed.Query // with the signature in it
	}
	return r, err
}

// method is POST, where the provider uses it.
func (m *messenger) method() string {
	methods := m.sender.Rules.Methods
	if len(methods) == 0 || slices.Contains(methods, "POST") {
		return "POST"
	}
	return methods[0]
}

// setNames sets what a signature may cover, and what the guard reads beside it.
func (m *messenger) setNames(r *signature.Request, msg message) {
	set := func(source signature.Source, value string) {
		switch source.Kind {
		case signature.SourceHeader:
			if r.Header[source.Name] == nil {
				r.Header[source.Name] = []string{value}
			}
		case signature.SourceQuery:
			if !source.Read(r, signature.Parts{}).Found {
				r.Query = addQuery(r.Query, source.Name, value)
			}
		}
	}
	event := msg.event
	if event == "" {
		event = "test"
	}
	set(m.provider.Event, event) // first, as it may be a part of the ID
	for _, source := range slices.Concat(m.provider.ID, m.provider.OrID) {
		set(source, msg.id)
	}
	set(m.provider.Keys.Name())
	if stamp := m.provider.Timestamp; stamp != nil {
		set(stamp.Source, signature.FormatStamp(msg.at, stamp.Format))
	}
}

func addQuery(query, name, value string) string {
	pair := url.QueryEscape(name) + "=" + url.QueryEscape(value)
	if query == "" {
		return pair
	}
	return query + "&" + pair
}

// setToken puts the token where the provider sends it, unless it is there: a token in the
// URL or in a header that was given is left as it is.
func (m *messenger) setToken(r *signature.Request, token string) error {
	place := m.sender.Rules.Token
	if token == "" || place == nil || place.Source.Read(r, signature.Parts{}).Found {
		return nil
	}
	text := token
	switch place.Scheme {
	case config.BearerScheme:
		text = "Bearer " + token
	case config.BasicScheme:
		text = basic(token)
	}
	var err error
	switch place.Source.Kind {
	case signature.SourceHeader:
		r.Header[place.Source.Name] = []string{text}
	case signature.SourceQuery:
		r.Query = addQuery(r.Query, place.Source.Name, text)
	case signature.SourceForm:
		r.Body = []byte(addQuery(string(r.Body), place.Source.Name, text))
	case signature.SourceBody:
		for _, path := range tokenPaths(place, r.Body) {
			if r.Body, err = sjson.SetBytes(bytes.Clone(r.Body), path, text); err != nil {
				return fmt.Errorf("the token cannot be put into %s", place.Source)
			}
		}
	}
	return nil
}

// tokenPaths are the paths of a body where the token is: one, or one in each element of a
// list.
func tokenPaths(place *config.Token, body []byte) []string {
	paths := []string{place.Source.Name}
	if place.Items == "" {
		return paths
	}
	for i := 1; i < len(gjson.GetBytes(body, place.Items).Array()); i++ {
		paths = append(paths, place.Items+"."+strconv.Itoa(i)+"."+place.Item)
	}
	return paths
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
