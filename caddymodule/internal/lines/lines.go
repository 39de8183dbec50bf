// Package lines reads the lines of a Caddyfile block.
package lines

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// Each calls parse at the first word of each line of the block that begins here, if one
// does. It refuses a second line of one name, except for those that are repeatable here
// or for a provider.
func Each(d *caddyfile.Dispenser, parse func(name string) error, repeatable ...string) error {
	once := make(config.Once)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := once.Check(d, repeatable...); err != nil {
			return err
		}
		if err := parse(d.Val()); err != nil {
			return err
		}
	}
	return nil
}

// End refuses a further word on the line.
func End(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// Word reads a line's one value. Its error holds none of the words: one may be a secret, or
// the beginning of one that holds spaces.
func Word(d *caddyfile.Dispenser, into *string) error {
	name := d.Val()
	if !d.AllArgs(into) {
		return d.Errf("%s: takes one value: quote one that holds spaces", name)
	}
	return nil
}

// Number reads a line's one number, 0 or more.
func Number(d *caddyfile.Dispenser, into *int) error {
	name, word := d.Val(), ""
	if err := Word(d, &word); err != nil {
		return err
	}
	n, err := strconv.Atoi(word)
	if err != nil || n < 0 {
		return d.Errf("%s: %q is not a number", name, word)
	}
	*into = n
	return nil
}

// Count reads a line's one number, 1 or more.
func Count(d *caddyfile.Dispenser, into *int) error {
	name := d.Val()
	if err := Number(d, into); err != nil {
		return err
	}
	if *into == 0 {
		return d.Errf("%s: 0 is not positive", name)
	}
	return nil
}

// Duration reads a line's one positive duration.
func Duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	name, word := d.Val(), ""
	if err := Word(d, &word); err != nil {
		return err
	}
	duration, err := config.ParseDuration(word)
	if err != nil {
		return d.Errf("%s: %v", name, err)
	}
	*into = duration
	return nil
}
