package config

import (
	"errors"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// ErrUnknownLine is returned by [Provider.ParseLine] for a line that no provider has.
var ErrUnknownLine = errors.New("unknown line")

// Once knows which lines of a block have been seen, and refuses the second of
// one that may stand only once.
type Once map[string]bool

// repeatable lines add up within a block.
var repeatable = map[string]bool{
	"signature": true, "signed": true, "claim": true, "param": true,
	"secret": true, "public_key": true, "provider": true,
}

// Check takes the line at d's cursor, which stands on its name.
func (o Once) Check(d *caddyfile.Dispenser) error {
	name := d.Val()
	if o[name] && !repeatable[name] {
		return d.Errf("%s is set twice", name)
	}
	o[name] = true
	return nil
}

// ParseLine reads the line at d's cursor, which stands on its name. It returns
// [ErrUnknownLine], without having moved the cursor, for a line that is not a
// provider's.
func (p *Provider) ParseLine(d *caddyfile.Dispenser) error {
	name := d.Val()
	parse, ok := lineParsers[name]
	if !ok {
		return ErrUnknownLine
	}
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s: needs a value: %s", name, lineSyntax[name])
	}
	if err := parse(p, args); err != nil {
		return d.Errf("%s: %v", name, err)
	}
	// Without this, `secret x { … }` would pass and its block be taken for lines.
	if d.NextBlock(d.Nesting()) {
		return d.Errf("%s: takes no block", name)
	}
	return nil
}

// lineSyntax is what an error shows of a line.
var lineSyntax = map[string]string{
	"title":           "title <name>",
	"docs":            "docs <url>",
	"secret_hint":     "secret_hint <text>",
	"token":           "token <source> | bearer | basic",
	"signature":       "signature <header> | <source> [<algorithm> [<encoding> [<format> [split <sep>]]]]",
	"signed":          "signed <template> [<function>…]",
	"items":           "items <path>",
	"scheme":          "scheme <name>",
	"claim":           "claim <name> <template> [optional]",
	"secret_encoding": "secret_encoding raw|base64|hex|sha1|nfkd [<prefix to strip>]",
	"public_url":      "public_url <url>",
	"param":           "param <name> <value>",
	"timestamp":       "timestamp <source> [unix|unix_ms|rfc3339] [per_event]",
	"event_time":      "event_time <source> [unix|unix_ms|rfc3339]",
	"id":              "id <source>…",
	"event":           "event <source>",
	"content":         "content <template> | off",
	"max_age":         "max_age <duration>",
	"max_skew":        "max_skew <duration>",
	"dedupe_ttl":      "dedupe_ttl <duration>",
	"methods":         "methods <method>…",
	"max_body":        "max_body <size>",
	"body_timeout":    "body_timeout <duration>",
	"lease":           "lease <duration>",
	"timeout":         "timeout <duration>",
	"in_flight":       "in_flight wait <duration> | reject",
	"success":         "success <status>…",
	"answer":          "answer <status> [<body>]",
	"retries":         "retries <delay>…",
	"retry_span":      "retry_span <duration>",
	"answer_within":   "answer_within <duration>",
	"final":           "final <status>…",
	"handshake":       "handshake <kind> [<argument>] | off",
	"confidence":      "confidence official|sdk|secondary",
	"unverified":      "unverified <line>…",
}

type lineParser func(p *Provider, args []string) error

// lineParsers has a parser for each line; every one gets at least one word.
var lineParsers = map[string]lineParser{
	"title":           text(func(p *Provider) *string { return &p.Title }),
	"docs":            text(func(p *Provider) *string { return &p.Docs }),
	"secret_hint":     text(func(p *Provider) *string { return &p.SecretHint }),
	"token":           parseToken,
	"signature":       parseSignature,
	"signed":          parseSigned,
	"items":           text(func(p *Provider) *string { return &p.Items }),
	"scheme":          text(func(p *Provider) *string { return &p.Scheme }),
	"claim":           parseClaim,
	"secret_encoding": parseSecretEncoding,
	"public_url":      text(func(p *Provider) *string { return &p.PublicURL }),
	"param":           parseParam,
	"timestamp": func(p *Provider, args []string) (err error) {
		p.Timestamp, err = parseStamp(args, true)
		return err
	},
	"event_time": func(p *Provider, args []string) (err error) {
		p.EventTime, err = parseStamp(args, false)
		return err
	},
	"id":            parseID,
	"event":         parseEvent,
	"content":       text(func(p *Provider) *string { return &p.Content }),
	"max_age":       duration(func(p *Provider) *caddy.Duration { return &p.MaxAge }),
	"max_skew":      duration(func(p *Provider) *caddy.Duration { return &p.MaxSkew }),
	"dedupe_ttl":    duration(func(p *Provider) *caddy.Duration { return &p.DedupeTTL }),
	"methods":       parseMethods,
	"max_body":      parseMaxBody,
	"body_timeout":  duration(func(p *Provider) *caddy.Duration { return &p.BodyTimeout }),
	"lease":         duration(func(p *Provider) *caddy.Duration { return &p.Lease }),
	"timeout":       duration(func(p *Provider) *caddy.Duration { return &p.Timeout }),
	"in_flight":     parseInFlight,
	"success":       statuses(func(p *Provider) *[]string { return &p.Success }),
	"answer":        parseAnswer,
	"retries":       parseRetries,
	"retry_span":    duration(func(p *Provider) *caddy.Duration { return &p.RetrySpan }),
	"answer_within": duration(func(p *Provider) *caddy.Duration { return &p.AnswerWithin }),
	"final":         statuses(func(p *Provider) *[]string { return &p.Final }),
	"handshake":     parseHandshake,
	"confidence":    parseConfidence,
	"unverified":    parseUnverified,
}

func one(args []string, set func(string)) error {
	if len(args) != 1 {
		return errors.New("takes one value; quote it if it holds spaces")
	}
	set(args[0])
	return nil
}

func text(field func(*Provider) *string) lineParser {
	return func(p *Provider, args []string) error {
		return one(args, func(s string) { *field(p) = s })
	}
}

func duration(field func(*Provider) *caddy.Duration) lineParser {
	return func(p *Provider, args []string) error {
		if len(args) != 1 {
			return errors.New("takes one duration, such as 5m")
		}
		dur, err := ParseDuration(args[0])
		*field(p) = dur
		return err
	}
}

// ParseDuration reads a duration as Caddy writes them (`5m`, `3d`) and refuses
// one that is not positive.
func ParseDuration(word string) (caddy.Duration, error) {
	dur, err := caddy.ParseDuration(word)
	if err != nil {
		return 0, lineError("duration", "%q is not one: write 90s, 5m or 3d", word)
	}
	if dur <= 0 {
		return 0, lineError("duration", "%s is not positive", word)
	}
	return caddy.Duration(dur), nil
}

func statuses(field func(*Provider) *[]string) lineParser {
	return func(p *Provider, args []string) error {
		_, err := ParseStatuses(args)
		*field(p) = args
		return err
	}
}

func parseToken(p *Provider, args []string) error {
	p.Token = strings.Join(args, " ")
	_, err := ParseToken(p.Token)
	return err
}

func parseStamp(args []string, perEvent bool) (*Stamp, error) {
	source, rest, err := signature.ParseSource(args)
	if err != nil {
		return nil, err
	}
	stamp := &Stamp{Source: source.String()}
	for _, word := range rest {
		switch {
		case word == "per_event" && perEvent && !stamp.PerEvent:
			stamp.PerEvent = true
		case stampFormats[word] && stamp.Format == "":
			stamp.Format = word
		default:
			return nil, lineError(word, "not understood here: write unix, unix_ms or rfc3339, or leave it out")
		}
	}
	return stamp, nil
}

var stampFormats = map[string]bool{"unix": true, "unix_ms": true, "rfc3339": true}

func parseID(p *Provider, args []string) error {
	p.ID = nil
	for len(args) > 0 {
		source, rest, err := signature.ParseSource(args)
		if err != nil {
			return err
		}
		p.ID = append(p.ID, source.String())
		args = rest
	}
	return nil
}

func parseEvent(p *Provider, args []string) error {
	source, rest, err := signature.ParseSource(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return lineError(rest[0], "one source only")
	}
	p.Event = source.String()
	return nil
}

func parseMethods(p *Provider, args []string) error {
	p.Methods = nil
	for _, method := range args {
		p.Methods = append(p.Methods, strings.ToUpper(method))
	}
	return nil
}

func parseMaxBody(p *Provider, args []string) error {
	if len(args) != 1 {
		return errors.New("takes one size, such as 10MiB")
	}
	size, err := ParseSize(args[0])
	p.MaxBody = size
	return err
}

// ParseSize reads a size such as `10MiB` or `512KB` into bytes, and refuses one
// that is not positive.
func ParseSize(word string) (int64, error) {
	size, err := humanize.ParseBytes(word)
	if err != nil || size > 1<<62 {
		return 0, lineError("size", "%q is not one: write 10MiB or 512KB", word)
	}
	if size == 0 {
		return 0, lineError("size", "%s is not positive", word)
	}
	return int64(size), nil
}

func parseInFlight(p *Provider, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "reject":
		p.InFlight = &InFlight{Reject: true}
	case len(args) == 2 && args[0] == "wait":
		wait, err := ParseDuration(args[1])
		if err != nil {
			return err
		}
		p.InFlight = &InFlight{Wait: wait}
	default:
		return errors.New("write in_flight wait <duration>, or in_flight reject")
	}
	return nil
}

func parseAnswer(p *Provider, args []string) error {
	status, err := strconv.Atoi(args[0])
	if err != nil || status < 200 || status > 599 || len(args) > 2 {
		return errors.New("write answer <status> [<body>], and quote a body that holds spaces")
	}
	p.Answer = &Answer{Status: status}
	if len(args) == 2 {
		p.Answer.Body = args[1]
	}
	return nil
}

func parseRetries(p *Provider, args []string) error {
	p.Retries = nil
	for _, word := range args {
		delay, err := caddy.ParseDuration(word)
		if err != nil || delay < 0 { // 0s is a retry at once
			return lineError("delay", "%q is not one: write 0s, 90s, 5m or 3d", word)
		}
		p.Retries = append(p.Retries, caddy.Duration(delay))
	}
	return nil
}
