package caddymodule

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/placeholder"
	"github.com/webhookguard/caddy-webhook-guard/config"
)

// credentials are what a sender's API wants to see before it gives a key: those of the
// customer. They may be in files that change.
type credentials struct{ texts []atomic.Pointer[string] }

// values are those in force.
func (c *credentials) values() []string {
	values := make([]string, len(c.texts))
	for i := range c.texts {
		values[i] = *c.texts[i].Load()
	}
	return values
}

// loadCredentials loads the line keys_secret, for keys from there. Its errors never hold a
// value.
func loadCredentials(files *follower, line []string, from *config.KeySource) (*credentials, error) {
	var needed []string
	if from.API != nil {
		needed = from.API.Credentials()
	}
	switch {
	case len(needed) == 0 && len(line) > 0:
		return nil, errors.New("keys_secret: no API takes it: leave the line out")
	case len(needed) != len(line):
		return nil, fmt.Errorf("keys_secret: the sender's API wants %d values before it gives a key, and there are %d: write keys_secret <%s>, or the key itself, public_key <value>",
			len(needed), len(line), strings.Join(needed, "> <"))
	}
	made := &credentials{make([]atomic.Pointer[string], len(needed))}
	for i, value := range line {
		err := files.follow("keys_secret", value, func(value string) error {
			if err := checkCredential(value); err != nil {
				return err
			}
			made.texts[i].Store(&value)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("keys_secret: value %d: %w", i+1, err)
		}
	}
	return made, nil
}

func checkCredential(value string) error {
	switch {
	case strings.TrimSpace(value) == "":
		return errors.New("it is empty")
	case strings.ContainsFunc(value, func(c rune) bool { return c < ' ' || c > '~' }):
		return errors.New("it holds a character that is not printable ASCII: is there a line break at its end?")
	}
	return placeholder.Slip(value)
}
