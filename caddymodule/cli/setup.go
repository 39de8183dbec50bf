package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/scope"
	"github.com/webhookguard/caddy-webhook-guard/config"
)

// configFlags say which configuration describes the provider.
type configFlags struct {
	file, adapter, scope string
}

func (f *configFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "config", "", "the Caddyfile, or JSON, that describes the provider or guards it")
	flags.StringVar(&f.adapter, "adapter", "", "the configuration's adapter; default: caddyfile, or none for a .json file")
	flags.StringVar(&f.scope, "scope", "", "the scope of the guard in --config, where the provider has several")
	_ = cmd.RegisterFlagCompletionFunc("scope", completeScopes)
}

// setup is what a configuration says of senders.
type setup struct {
	senders config.Catalogue // the built-in ones, and the configuration's own
	own     []string         // the names of the latter
	guards  []guardBlock
}

// guardBlock is a guard as the configuration has it. The fields are those of the handler
// webhook_guard.
type guardBlock struct {
	ProviderName string        `json:"provider"`
	Secret       []blockSecret `json:"secret"`
	PublicKey    []blockSecret `json:"public_key"`
	Scope        string        `json:"scope"`
	config.Provider
}

type blockSecret struct {
	Value      string     `json:"value"`
	Until      *time.Time `json:"until"`
	PerRequest bool       `json:"per_request"`
}

func (b *guardBlock) scope() string {
	if b.Scope == "" {
		return b.ProviderName
	}
	return b.Scope
}

// load reads the configuration, where one is given. Nothing of it is provisioned.
func (f configFlags) load() (setup, error) {
	s := setup{senders: config.Builtin()}
	if f.file == "" {
		if f.scope != "" {
			return s, errors.New("--scope chooses a guard of a configuration: give that with --config")
		}
		return s, nil
	}
	text, err := f.read()
	if err != nil {
		return s, fmt.Errorf("--config: %w", err)
	}
	return s, s.parse(text)
}

// jsonConfig tells a configuration in JSON, whole or not, from a Caddyfile.
var jsonConfig = regexp.MustCompile(`^\s*(\[|\{\s*("|\}\s*$))`)

func (f configFlags) read() ([]byte, error) {
	text, err := os.ReadFile(f.file)
	if err != nil {
		return nil, err
	}
	name := cmp.Or(f.adapter, "caddyfile")
	switch isJSON := jsonConfig.Match(text); {
	case f.adapter == "" && (isJSON || filepath.Ext(f.file) == ".json"):
		return text, nil
	case isJSON && name == "caddyfile": // its errors would quote the text, secrets included
		return nil, errors.New("it is JSON, which needs no --adapter")
	}
	adapter := caddyconfig.GetAdapter(name)
	if adapter == nil {
		return nil, fmt.Errorf("there is no adapter %q", name)
	}
	adapted, _, err := adapter.Adapt(text, map[string]any{"filename": f.file})
	if err != nil {
		return nil, fmt.Errorf("adapting %s: %w", f.file, err)
	}
	return adapted, nil
}

func (s *setup) parse(text []byte) error {
	if !gjson.ValidBytes(text) {
		return errors.New("--config: it is not JSON: name the --adapter that it is written for")
	}
	whole := gjson.ParseBytes(text)
	var own map[string]config.Provider
	if raw := whole.Get("apps.webhook_guard.providers").Raw; raw != "" {
		if err := json.Unmarshal([]byte(raw), &own); err != nil {
			return fmt.Errorf("--config: the providers of webhook_guard: %w", err)
		}
	}
	s.senders = maps.Clone(s.senders)
	maps.Copy(s.senders, own)
	s.own = slices.Sorted(maps.Keys(own))
	return s.findGuards(whole)
}

// findGuards walks the configuration: a guard may be in a route, a subroute, an error
// route, or in a handler that nobody has heard of.
func (s *setup) findGuards(value gjson.Result) (err error) {
	if value.IsObject() && value.Get("handler").String() == "webhook_guard" {
		var found guardBlock
		if err := json.Unmarshal([]byte(value.Raw), &found); err != nil {
			return fmt.Errorf("--config: a webhook_guard handler: %w", err)
		}
		s.guards = append(s.guards, found)
		return nil
	}
	if value.IsObject() || value.IsArray() {
		value.ForEach(func(_, child gjson.Result) bool {
			err = s.findGuards(child)
			return err == nil
		})
	}
	return err
}

// guard chooses the block of a provider, or nil where there is none.
func (s *setup) guard(provider, wanted string) (*guardBlock, error) {
	var found []guardBlock
	var scopes []string
	for _, block := range s.guards {
		if block.ProviderName != provider {
			continue
		}
		if !slices.Contains(scopes, block.scope()) {
			scopes = append(scopes, block.scope())
		}
		if wanted == "" || scope.Matches(block.scope(), wanted) {
			found = append(found, block)
		}
	}
	exact := slices.DeleteFunc(slices.Clone(found), func(b guardBlock) bool { return b.scope() != wanted })
	if len(exact) > 0 {
		found = exact
	}
	switch {
	case len(found) == 0 && wanted == "":
		return nil, nil
	case len(found) == 0 && len(scopes) == 0:
		return nil, fmt.Errorf("--scope: the configuration has no guard of %s", provider)
	case len(found) == 0:
		return nil, fmt.Errorf("--scope: no guard of %s has the scope %q: %s", provider, wanted, thereAre(wanted, scopes))
	}
	for i := range found[1:] {
		if wanted == "" && !reflect.DeepEqual(found[0], found[i+1]) {
			return nil, fmt.Errorf("the configuration has several guards of %s: choose one with --scope: %s", provider, strings.Join(scopes, ", "))
		}
	}
	return &found[0], nil
}

// thereAre names what there is in place of a name that is not among it.
func thereAre(wanted string, names []string) string {
	if similar := config.Similar(wanted, names); len(similar) > 0 {
		return "did you mean " + strings.Join(similar, ", ") + "?"
	}
	return "there are " + strings.Join(names, ", ")
}

// subject is the provider that a command is about, with the lines of its guard over it.
type subject struct {
	setup
	name     string
	provider config.Provider
	block    *guardBlock // nil where no configuration guards it
}

// find finds the provider among the built-in ones and those of the configuration.
func (f configFlags) find(name string) (*subject, error) {
	loaded, err := f.load()
	if err != nil {
		return nil, err
	}
	s := &subject{setup: loaded, name: name}
	if s.provider, err = s.senders.Get(name); err != nil {
		return nil, err
	}
	if s.block, err = s.guard(name, f.scope); err != nil {
		return nil, err
	}
	if s.block != nil {
		s.provider = s.block.Over(s.provider)
	}
	return s, nil
}

// constants resolves the values that are the user's own. One that is missing, or has no
// value here, is named with the flag that gives it.
func constants(p config.Provider) (config.Provider, error) {
	if missing := p.MissingParams(); len(missing) > 0 {
		return p, fmt.Errorf("the sender signs a constant of yours along: give it with --param %s=<value>", strings.Join(missing, "=<value> --param "))
	}
	for _, name := range slices.Sorted(maps.Keys(p.Param)) {
		if _, err := placeholder.Resolve(p.Param[name]); err != nil {
			return p, fmt.Errorf("param %s: %w; or give it with --param %s=<value>", name, err, name)
		}
	}
	return placeholder.Constants(p)
}

// resolvePublicURL resolves the placeholders of a provider's public_url.
func resolvePublicURL(p *config.Provider) error {
	if !strings.Contains(p.PublicURL, "{") {
		return nil
	}
	text, err := placeholder.Resolve(p.PublicURL)
	if err != nil {
		return fmt.Errorf("public_url has no value here: %w", err)
	}
	p.PublicURL = text
	return nil
}

// guarded are the providers that the configuration has guards of.
func (s *setup) guarded() (names []string) {
	for _, block := range s.guards {
		if !slices.Contains(names, block.ProviderName) {
			names = append(names, block.ProviderName)
		}
	}
	return names
}

// secrets returns the secret that the flags name, or else those of the guard that are in
// force, in its order. No error holds any of them.
func (s *subject) secrets(flags secretFlags, stdin io.Reader) ([]string, error) {
	text, err := flags.read(stdin)
	switch {
	case err == nil:
		return []string{text}, nil
	case errors.Is(err, errNoSecret) && s.block == nil && len(s.guards) > 0:
		return nil, fmt.Errorf("the configuration guards %s, not %s: %w", strings.Join(s.guarded(), ", "), s.name, err)
	case !errors.Is(err, errNoSecret) || s.block == nil:
		return nil, err
	}
	var texts []string
	for i, secret := range slices.Concat(s.block.Secret, s.block.PublicKey) {
		if secret.Until != nil && !time.Now().Before(*secret.Until) {
			continue
		}
		if secret.PerRequest {
			return nil, fmt.Errorf("the guard's secret %d is chosen for each request: %w", i+1, errNoSecret)
		}
		text, err := placeholder.Resolve(secret.Value)
		if err != nil {
			return nil, fmt.Errorf("the guard's secret %d: %w; or %w", i+1, err, errNoSecret)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return nil, errNoSecret
	}
	return texts, nil
}
