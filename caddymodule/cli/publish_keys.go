package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"

	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// publication is what a guard fetches to verify with a key.
type publication struct {
	url         string
	document    []byte
	contentType string            // of it; "" is JSON
	before      map[string][]byte // what it fetches first, by path
}

// publishers make what the guards of one kind of `keys` line fetch, for the key that a
// sender signs with. They return none for lines of another kind.
var publishers = []func(*signature.Key, *config.KeySource) (*publication, error){publishSet, publishList, publishByID, publishCertificate}

func (m *messenger) publication() (*publication, error) {
	if m.provider.Keys == nil {
		return nil, fmt.Errorf("--serve-keys: the guard of %s has no keys line: name the file of one that has, with --config", m.name)
	}
	for _, publish := range publishers {
		if p, err := publish(m.key, m.provider.Keys); p != nil || err != nil {
			return p, err
		}
	}
	return nil, errors.New("--serve-keys: the guard's keys line is of a kind that cannot be served from here")
}

// publishSet answers with a set of keys (JWKS).
func publishSet(key *signature.Key, keys *config.KeySource) (*publication, error) {
	if keys.JWKS == "" {
		return nil, nil
	}
	set, err := signature.PublicSet(key)
	return &publication{url: keys.JWKS, document: set}, err
}

// publishList answers with a list of keys in the sender's own shape.
func publishList(key *signature.Key, keys *config.KeySource) (*publication, error) {
	if keys.In == nil {
		return nil, nil
	}
	list, err := keyDocument(key, keys.In.List+".0."+keys.In.Key)
	if err == nil {
		list, err = sjson.SetBytes(list, keys.In.List+".0."+keys.In.ID, signature.NameOf(key))
	}
	return &publication{url: keys.List, document: list}, err
}

// publishByID answers as an API that gives one key for its ID, to whoever asks.
func publishByID(key *signature.Key, keys *config.KeySource) (*publication, error) {
	if keys.API == nil {
		return nil, nil
	}
	document, err := keyDocument(key, keys.API.Key)
	if err != nil {
		return nil, err
	}
	p := &publication{url: keys.API.At(signature.NameOf(key)), document: document}
	if keys.API.Auth == config.AuthOAuth {
		token, err := url.Parse(keys.API.TokenURL)
		if err != nil {
			return nil, err
		}
		p.before = map[string][]byte{token.Path: []byte(`{"access_token":"of-a-test","token_type":"Bearer","expires_in":60}`)}
	}
	return p, nil
}

// publishCertificate answers with a certificate of the key. A guard takes none that nobody
// vouches for, so it is one that the guard has been told to trust.
func publishCertificate(key *signature.Key, keys *config.KeySource) (*publication, error) {
	place, example := keys.Name()
	if place == (signature.Source{}) {
		return nil, nil
	}
	if keys.Roots == "" {
		return nil, errors.New("--serve-keys: nobody vouches for a certificate of yours: make one of your own key, have the guard trust it, keys … roots <file>, and give the key with --secret-file")
	}
	document, err := os.ReadFile(keys.Roots)
	if err != nil {
		return nil, fmt.Errorf("--serve-keys: roots: %w", err)
	}
	public, err := signature.NewPublicKey(string(document))
	if err != nil || signature.NameOf(public) != signature.NameOf(key) {
		return nil, fmt.Errorf("--serve-keys: the certificate in %s is not of the key that signs: give that with --secret-file", keys.Roots)
	}
	return &publication{url: example, document: document, contentType: "application/x-pem-file"}, nil
}

// keyDocument is JSON that has the public half of a key at a path.
func keyDocument(key *signature.Key, path string) ([]byte, error) {
	text, err := signature.PublicPEM(key)
	if err != nil {
		return nil, err
	}
	return sjson.SetBytes([]byte("{}"), path, text)
}
