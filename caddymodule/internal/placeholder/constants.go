package placeholder

import (
	"fmt"
	"maps"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// Constants resolves the lines that say what is the user's own: param and allow.
func Constants(p config.Provider) (config.Provider, error) {
	p.Param = maps.Clone(p.Param)
	for name, value := range p.Param {
		var err error
		if p.Param[name], err = resolveConstant(value); err != nil {
			return p, fmt.Errorf("param %s: %w", name, err)
		}
	}
	p.Allow = slices.Clone(p.Allow)
	for i := range p.Allow {
		allowed := &p.Allow[i]
		allowed.Values = slices.Clone(allowed.Values)
		for j, value := range allowed.Values {
			var err error
			if allowed.Values[j], err = resolveConstant(value); err != nil {
				return p, fmt.Errorf("allow %s: %w", allowed.Source, err)
			}
		}
	}
	return p, nil
}

func resolveConstant(value string) (string, error) {
	if err := ConfiguredSlip(value); err != nil {
		return "", err
	}
	return Resolve(value)
}
