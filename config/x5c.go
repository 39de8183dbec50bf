package config

import (
	"cmp"
	"embed"
	"errors"
	"os"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

//go:embed roots/*.pem
var rootFiles embed.FS

// X5C is what the certificates have to be that each token brings along (x5c). Nothing is
// fetched.
type X5C struct {
	// The root to which they lead: a file in PEM, or the name of one that comes with the
	// guard, `apple-root-ca-g3`. A file in `roots` takes its place.
	Root string `json:"root,omitempty"`

	// The OID of an extension that the token's certificate must have. Default: that of the
	// catalogue's entry.
	Leaf string `json:"leaf,omitempty"`

	// The OID of an extension that the certificate of its issuer must have. Default: that of
	// the catalogue's entry.
	Intermediate string `json:"intermediate,omitempty"`
}

func parseX5C(k *KeySource, args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, usage("names a root")
	}
	k.X5C = &X5C{Root: args[0]}
	for args = args[1:]; len(args) > 0; args = args[2:] {
		var to *string
		switch args[0] {
		case "leaf":
			to = &k.X5C.Leaf
		case "intermediate":
			to = &k.X5C.Intermediate
		default:
			return args, k.X5C.check()
		}
		if len(args) == 1 || *to != "" {
			return nil, usage("takes one OID after leaf and one after intermediate")
		}
		*to = args[1]
	}
	return nil, k.X5C.check()
}

func (x *X5C) words() []string {
	words := []string{x.Root}
	for _, mark := range [][]string{{"leaf", x.Leaf}, {"intermediate", x.Intermediate}} {
		if mark[1] != "" {
			words = append(words, mark...)
		}
	}
	return words
}

func (x *X5C) check() error {
	for _, id := range []string{x.Leaf, x.Intermediate} {
		if err := signature.CheckOID(id); err != nil {
			return err
		}
	}
	return nil
}

// checkX5C refuses what a token's certificates could not be judged with.
func (k *KeySource) checkX5C(scheme *signature.Scheme) error {
	spec := scheme.Spec()
	switch {
	case k.CA != "":
		return errors.New("certificates that tokens bring along (x5c) are not fetched: remove ca")
	case spec.Named != "jwt":
		return errors.New("only tokens bring certificates along (x5c): this needs the line scheme jwt")
	case spec.Timestamp == nil || spec.Timestamp.Source.Kind != signature.SourceClaim:
		return errors.New("certificates are judged by when the token was signed: say where that is, timestamp claim <name>")
	}
	return k.X5C.check()
}

// keepMarks takes the marks of the entry's certificates where the guard's own line has none:
// who names another root means the same kind of certificates.
func (k *KeySource) keepMarks(base *KeySource) *KeySource {
	if base.X5C == nil || k.X5C.Leaf != "" || k.X5C.Intermediate != "" {
		return k
	}
	made := *k
	made.X5C = &X5C{Root: k.X5C.Root, Leaf: base.X5C.Leaf, Intermediate: base.X5C.Intermediate}
	return &made
}

// isSet reports whether the keys are several, of which a request may name one.
func (k *KeySource) isSet() bool { return k != nil && k.X509 == nil && k.X5C == nil }

// Key is the key of a sender whose tokens bring their certificates along.
func (k *KeySource) Key() (*signature.Key, error) {
	chain, err := chainOf(k)
	if err != nil {
		return nil, err
	}
	return signature.NewChainKey(chain)
}

// Signer is a key that such a sender could have whose root's private key is given. Nobody else
// has that of a root that comes with the guard: what is given signs by itself there.
func (k *KeySource) Signer(authority *signature.Key) (*signature.Key, error) {
	if _, shipped := shippedRoot(k); shipped {
		return authority, nil
	}
	chain, err := chainOf(k)
	if err != nil {
		return nil, err
	}
	return signature.NewChainSigner(chain, authority)
}

// shippedRoot is the root that comes with the guard, where the keys lead to that.
func shippedRoot(k *KeySource) (root []byte, shipped bool) {
	if k.Roots != "" {
		return nil, false
	}
	root, err := rootFiles.ReadFile("roots/" + k.X5C.Root + ".pem")
	return root, err == nil
}

func chainOf(k *KeySource) (signature.Chain, error) {
	roots, shipped := shippedRoot(k)
	var err error
	if !shipped {
		roots, err = os.ReadFile(cmp.Or(k.Roots, k.X5C.Root))
	}
	return signature.Chain{Roots: roots, Leaf: k.X5C.Leaf, Intermediate: k.X5C.Intermediate}, err
}
