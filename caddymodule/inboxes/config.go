// Package inboxes delivers what inboxes keep: the lines of an inbox, the workers that run
// its events through the route, and what they make of the app's answers. What an inbox keeps,
// and how, is the matter of package inbox and its stores.
package inboxes

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Defaults of Config.
const (
	defaultRetryFor    = 72 * time.Hour
	defaultConcurrency = 16
	defaultTimeout     = 5 * time.Minute
	defaultMaxEvents   = 100_000
	defaultMaxBytes    = 1 << 30
	defaultKeep        = 24 * time.Hour
	defaultKeepDead    = 30 * 24 * time.Hour
)

var defaultRetry = []caddy.Duration{
	caddy.Duration(5 * time.Second), caddy.Duration(30 * time.Second), caddy.Duration(2 * time.Minute),
	caddy.Duration(10 * time.Minute), caddy.Duration(30 * time.Minute), caddy.Duration(time.Hour),
}

// Config is an inbox: verified events are kept in the store, their senders get a 200 at
// once, and the app gets each event as soon as it takes it.
type Config struct {
	// The inbox's namespace in the store. Two inboxes never share one. Default: the
	// guard's scope, where that has no placeholder.
	Name string `json:"name,omitempty"`

	// The route that events run through. It takes the place of the rest of the route that
	// the guard stands in.
	Deliver caddyhttp.RouteList `json:"deliver,omitempty"`

	// How long to wait after each failure of the app; the last one repeats. Each is varied
	// by a tenth. Default: 5s, 30s, 2m, 10m, 30m, 1h.
	Retry []caddy.Duration `json:"retry,omitempty"`

	// How old an event gets before it is given up, counted from when it was accepted,
	// revived or replayed. Default: 72h.
	RetryFor caddy.Duration `json:"retry_for,omitempty"`

	// The app's answers after which an event is given up at once: `410`, `4xx`, `400-407`.
	GiveUp []string `json:"give_up,omitempty"`

	// How many events the app gets at once. Default: 16.
	Concurrency int `json:"concurrency,omitempty"`

	// How many events the app gets in a time. Default: no limit.
	Rate *Rate `json:"rate,omitempty"`

	// The longest that the app may work on one event. Default: the guard's timeout, or 5m.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// How many events may wait. Beyond it senders get 503. Default: 100000.
	MaxEvents int64 `json:"max_events,omitempty"`

	// How many bytes waiting events may take, compressed. Beyond it senders get 503.
	// Default: 1073741824 (1 GiB).
	MaxBytes int64 `json:"max_bytes,omitempty"`

	// How long finished events are listed. Default: 24h.
	Keep caddy.Duration `json:"keep,omitempty"`

	// Keep the headers and bodies of finished events as long as they are listed.
	KeepBodies bool `json:"keep_bodies,omitempty"`

	// Answer a sender when a replica of Redis has the event or, where there is no replica,
	// the append-only file on the disk. The disk store always does the like.
	Durable bool `json:"durable,omitempty"`

	// The keys that encrypt headers, URLs and bodies in the store, and the beginnings of the
	// app's answers: 32 bytes in base64 or hex each. The first one encrypts, all of them
	// decrypt. Only placeholders such as `{env.X}` and `{file./path}` are taken, so that no
	// key is in the configuration. Default: nothing is encrypted.
	Encrypt []string `json:"encrypt,omitempty"`

	// How long events are kept that were given up. Default: 720h.
	KeepDead caddy.Duration `json:"keep_dead,omitempty"`

	giveUp config.Statuses
}

// Rate is a number of events in a time.
type Rate struct {
	// How many events.
	Events int `json:"events,omitempty"`

	// In which time.
	Per caddy.Duration `json:"per,omitempty"`
}

// provision sets the defaults, checks the lines and loads the route.
func (c *Config) provision(ctx caddy.Context) error {
	for _, d := range []struct {
		line    string
		value   *caddy.Duration
		initial time.Duration
	}{
		{"retry_for", &c.RetryFor, defaultRetryFor}, {"timeout", &c.Timeout, defaultTimeout},
		{"keep", &c.Keep, defaultKeep}, {"keep_dead", &c.KeepDead, defaultKeepDead},
	} {
		if *d.value = cmp.Or(*d.value, caddy.Duration(d.initial)); *d.value < 0 {
			return fmt.Errorf("%s: %s is not positive", d.line, time.Duration(*d.value))
		}
	}
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.MaxEvents, c.MaxBytes = cmp.Or(c.MaxEvents, defaultMaxEvents), cmp.Or(c.MaxBytes, defaultMaxBytes)
	if len(c.Retry) == 0 {
		c.Retry = defaultRetry
	}
	if err := c.check(); err != nil {
		return err
	}
	if len(c.Deliver) == 0 {
		return errors.New("deliver: say where events go: deliver { reverse_proxy app:5000 }")
	}
	if err := c.Deliver.Provision(ctx); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	return nil
}

func (c *Config) check() (err error) {
	for line, n := range map[string]int64{"concurrency": int64(c.Concurrency), "max_events": c.MaxEvents, "max_bytes": c.MaxBytes} {
		if n < 0 {
			return fmt.Errorf("%s: %d is not positive", line, n)
		}
	}
	for _, delay := range c.Retry {
		if delay <= 0 {
			return fmt.Errorf("retry: %s is not positive", time.Duration(delay))
		}
	}
	if c.Rate != nil && (c.Rate.Events <= 0 || c.Rate.Per <= 0) {
		return errors.New("rate: write it as a number of events in a time: rate 10/1s")
	}
	if c.giveUp, err = config.ParseStatuses(c.GiveUp); err != nil {
		return fmt.Errorf("give_up: %w", err)
	}
	return nil
}

// options are what the store needs to know.
func (c *Config) options() inbox.Options {
	return inbox.Options{
		MaxEvents: c.MaxEvents, MaxBytes: c.MaxBytes,
		Keep: time.Duration(c.Keep), KeepDead: time.Duration(c.KeepDead), KeepBodies: c.KeepBodies,
		Durable: c.Durable,
	}
}
