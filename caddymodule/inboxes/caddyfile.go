package inboxes

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/lines"
	"github.com/webhookguard/caddy-webhook-guard/config"
)

// Parsed is an inbox whose deliver block has yet to be parsed, which takes what only a
// directive's parser has.
type Parsed struct {
	Config  *Config
	deliver *caddyfile.Dispenser
}

// Parse reads an inbox from Caddyfile tokens:
//
//	inbox [<name>] {
//		deliver {
//			<directives…>
//		}
//		retry       <delay>…
//		retry_for   <duration>
//		give_up     <status>…
//		concurrency <count>
//		rate        <count>/<duration>
//		timeout     <duration>
//		max_events  <count>
//		max_bytes   <size>
//		keep        <duration> [bodies]
//		keep_dead   <duration>
//		encrypt     <key>…
//		durable
//	}
func Parse(d *caddyfile.Dispenser) (*Parsed, error) {
	p := &Parsed{Config: new(Config)}
	if d.NextArg() {
		p.Config.Name = d.Val()
	}
	if err := lines.End(d); err != nil {
		return nil, err
	}
	return p, lines.Each(d, func(name string) error { return p.line(d, name) })
}

func (p *Parsed) line(d *caddyfile.Dispenser, name string) error {
	c := p.Config
	switch name {
	case "deliver":
		p.deliver = d.NewFromNextSegment()
		return nil
	case "retry":
		return delays(d, &c.Retry)
	case "retry_for":
		return lines.Duration(d, &c.RetryFor)
	case "give_up":
		if c.GiveUp = d.RemainingArgs(); len(c.GiveUp) == 0 {
			return d.ArgErr()
		}
		return nil
	case "concurrency":
		return lines.Count(d, &c.Concurrency)
	case "rate":
		return parseRate(d, &c.Rate)
	case "timeout":
		return lines.Duration(d, &c.Timeout)
	case "max_events":
		n := 0
		err := lines.Count(d, &n)
		c.MaxEvents = int64(n)
		return err
	case "max_bytes":
		return size(d, &c.MaxBytes)
	case "keep":
		return keep(d, c)
	case "keep_dead":
		return lines.Duration(d, &c.KeepDead)
	case "encrypt":
		keys := d.RemainingArgs()
		if len(keys) == 0 {
			return d.ArgErr()
		}
		c.Encrypt = append(c.Encrypt, keys...)
		return nil
	case "durable":
		c.Durable = true
		return lines.End(d)
	}
	return d.Errf("unknown line %q of inbox: there are deliver, retry, retry_for, give_up, concurrency, rate, timeout, max_events, max_bytes, keep, keep_dead, encrypt and durable", name)
}

// Finish parses the deliver block.
func (p *Parsed) Finish(h httpcaddyfile.Helper) error {
	if p == nil || p.deliver == nil {
		return nil
	}
	handler, err := httpcaddyfile.ParseSegmentAsSubroute(h.WithDispenser(p.deliver))
	if err != nil {
		return err
	}
	p.Config.Deliver = handler.(*caddyhttp.Subroute).Routes
	return nil
}

func delays(d *caddyfile.Dispenser, into *[]caddy.Duration) error {
	for _, word := range d.RemainingArgs() {
		delay, err := config.ParseDuration(word)
		if err != nil {
			return d.Errf("retry: %v", err)
		}
		*into = append(*into, delay)
	}
	if len(*into) == 0 {
		return d.ArgErr()
	}
	return nil
}

func parseRate(d *caddyfile.Dispenser, into **Rate) error {
	var word string
	if err := lines.Word(d, &word); err != nil {
		return err
	}
	count, per, _ := strings.Cut(word, "/")
	n, err := strconv.Atoi(count)
	duration, err2 := config.ParseDuration(per)
	if err != nil || err2 != nil || n <= 0 {
		return d.Errf("rate: %q is not a number of events in a time: write rate 10/1s", word)
	}
	*into = &Rate{n, duration}
	return nil
}

func size(d *caddyfile.Dispenser, into *int64) error {
	name, word := d.Val(), ""
	if err := lines.Word(d, &word); err != nil {
		return err
	}
	n, err := config.ParseSize(word)
	if err != nil {
		return d.Errf("%s: %v", name, err)
	}
	*into = n
	return nil
}

func keep(d *caddyfile.Dispenser, c *Config) error {
	args := d.RemainingArgs()
	switch {
	case len(args) == 2 && args[1] == "bodies":
		c.KeepBodies = true
	case len(args) != 1:
		return d.Errf("keep: write keep <duration> or keep <duration> bodies")
	}
	duration, err := config.ParseDuration(args[0])
	if err != nil {
		return d.Errf("keep: %v", err)
	}
	c.Keep = duration
	return nil
}
