package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

//go:embed providers/*.caddyfile
var catalogueFiles embed.FS

// Catalogue is the built-in set of providers, by name.
type Catalogue map[string]Provider

// Builtin is the catalogue that is compiled in. It panics where a file of it
// does not parse; the tests read every one.
var Builtin = sync.OnceValue(func() Catalogue {
	catalogue, err := loadCatalogue(catalogueFiles, "providers")
	if err != nil {
		panic(err)
	}
	return catalogue
})

func loadCatalogue(files fs.FS, dir string) (Catalogue, error) {
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("catalogue: %w", err)
	}
	catalogue := make(Catalogue, len(entries))
	for _, entry := range entries {
		file := path.Join(dir, entry.Name())
		text, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("catalogue: %w", err)
		}
		provider, err := ParseLines(file, text)
		if err != nil {
			return nil, fmt.Errorf("catalogue: %w", err)
		}
		catalogue[strings.TrimSuffix(entry.Name(), ".caddyfile")] = provider
	}
	return catalogue, nil
}

// ParseLines parses the lines of a file that holds one provider and nothing
// else.
func ParseLines(file string, text []byte) (Provider, error) {
	tokens, err := caddyfile.Tokenize(text, file)
	if err != nil {
		return Provider{}, fmt.Errorf("%s: %w", file, err)
	}
	var provider Provider
	once := make(Once)
	for d := caddyfile.NewDispenser(tokens); d.Next(); {
		if err := once.Check(d); err != nil {
			return Provider{}, err
		}
		err := provider.ParseLine(d)
		if errors.Is(err, ErrUnknownLine) {
			err = d.Errf("unknown line %q", d.Val())
		}
		if err != nil {
			return Provider{}, err
		}
	}
	return provider, nil
}

// Names lists the catalogue in alphabetical order.
func (c Catalogue) Names() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Get finds a provider. The error for an unknown one lists what there is.
func (c Catalogue) Get(name string) (Provider, error) {
	if p, ok := c[name]; ok {
		return p, nil
	}
	return Provider{}, fmt.Errorf("unknown provider %q: built in are %s; describe another one with `provider %s { … }` in the global webhook_guard option",
		name, strings.Join(c.Names(), ", "), name)
}
