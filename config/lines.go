package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// providerLines are the lines that describe a sender.
var providerLines table[Provider]

// The parser of `unverified` reads the table, so it cannot be initialised in place.
func init() { providerLines = tableOf(describeProvider()) }

func describeProvider() []line[Provider] {
	return []line[Provider]{
		{syntax: "title <name>", parse: text(func(p *Provider) *string { return &p.Title })},
		{syntax: "docs <url>", parse: text(func(p *Provider) *string { return &p.Docs })},
		{syntax: "secret_hint <text>", parse: text(func(p *Provider) *string { return &p.SecretHint })},
		{syntax: "token <source> | bearer | basic", parse: parseToken},
		{syntax: "signature <header> | <source> [<algorithm> [<encoding> [<format> [split <sep> [<sep>]]]]] [when <source> <value>]", parse: parseSignature, repeatable: true},
		{syntax: "signed <template> [<function>…]", parse: parseSigned, repeatable: true},
		{syntax: "items <path>", parse: text(func(p *Provider) *string { return &p.Items })},
		{syntax: "scheme <name>", parse: text(func(p *Provider) *string { return &p.Scheme })},
		{syntax: "claim <name> [or <name>]… <template> [or <template>]… [optional|with_body|unless <name>|prefix|not_prefix]", parse: parseClaim, repeatable: true},
		{syntax: "keys jwks <url> [ca <file>] | list <url> <path of the list> <ID> <key> [ca <file>] | x509 <source> <url>… name <name>… [issuer <url>…] [roots <file>] [ca <file>] | x5c <root> [leaf <OID>] [intermediate <OID>] [roots <file>] | api <url> <path of the key> [bearer | body <field>… | oauth <token url> <scope>] [unknown <word>] [ca <file>] | [roots <file>] [ca <file>]", parse: parseKeys},
		{syntax: "key_id <source>", parse: parseKeyID},
		{syntax: "allow <source> [<value>…]", parse: parseAllow, repeatable: true},
		{syntax: "secret_encoding raw|base64|hex|sha1|nfkd [<prefix to strip>]", parse: parseSecretEncoding},
		{syntax: "public_url <url>", parse: text(func(p *Provider) *string { return &p.PublicURL })},
		{syntax: "param <name> <value>", parse: parseParam, repeatable: true},
		{syntax: "timestamp <source> [unix|unix_ms|rfc3339] [per_event]", parse: stamp(func(p *Provider) **signature.StampSpec { return &p.Timestamp }, true)},
		{syntax: "event_time <source> [unix|unix_ms|rfc3339] [optional]", parse: stamp(func(p *Provider) **signature.StampSpec { return &p.EventTime }, false)},
		{syntax: "id <source>… [or <source>…] [optional]", parse: parseID},
		{syntax: "event <source>", parse: parseEvent},
		{syntax: "content <template> | signed | off", parse: text(func(p *Provider) *string { return &p.Content })},
		{syntax: "max_age <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.MaxAge })},
		{syntax: "max_skew <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.MaxSkew })},
		{syntax: "dedupe_ttl <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.DedupeTTL })},
		{syntax: "methods <method>…", parse: parseMethods},
		{syntax: "max_body <size>", parse: parseMaxBody},
		{syntax: "body_timeout <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.BodyTimeout })},
		{syntax: "lease <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.Lease })},
		{syntax: "timeout <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.Timeout })},
		{syntax: "in_flight wait <duration> | reject", parse: parseInFlight},
		{syntax: "success <status>…", parse: statuses(func(p *Provider) *[]string { return &p.Success })},
		{syntax: "answer <status> [<body>] | remember [<size>]", parse: parseAnswer},
		{syntax: "retries <delay>… | none", parse: parseRetries},
		{syntax: "retry_span <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.RetrySpan })},
		{syntax: "answer_within <duration>", parse: duration(func(p *Provider) *caddy.Duration { return &p.AnswerWithin })},
		{syntax: "final <status>…", parse: statuses(func(p *Provider) *[]string { return &p.Final })},
		{syntax: "handshake <kind> [<source>…] [<argument>] | off", parse: parseHandshake},
		{syntax: "confidence official|sdk|secondary", parse: parseConfidence},
		{syntax: "checked <date> <source>…", parse: parseChecked},
		{syntax: "unverified <line>…", parse: parseUnverified},
	}
}

// ParseLine reads the line whose name is at d's cursor. For a line that no provider
// has it returns [ErrUnknownLine] and does not move the cursor.
func (p *Provider) ParseLine(d *caddyfile.Dispenser) error { return providerLines.parse(d, p) }

type lineParser = func(p *Provider, args []string) error

func text[T any](field func(*T) *string) func(into *T, args []string) error {
	return func(into *T, args []string) error {
		if len(args) != 1 {
			return errors.New("takes one value; quote it if it holds spaces")
		}
		*field(into) = args[0]
		return nil
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
		return 0, fmt.Errorf("duration: %q is not one: write 90s, 5m or 3d", word)
	}
	if dur <= 0 {
		return 0, fmt.Errorf("duration: %s is not positive", word)
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
	if len(args) == 2 {
		p.Token = signature.Source{Kind: signature.Kind(args[0]), Name: args[1]}.String()
	}
	_, err := ParseToken(p.Token)
	return err
}

func stamp(field func(*Provider) **signature.StampSpec, perEvent bool) lineParser {
	return func(p *Provider, args []string) error {
		source, rest, err := signature.ParseSource(args)
		if err != nil {
			return err
		}
		stamp := &signature.StampSpec{Source: source}
		for _, word := range rest {
			switch {
			case word == "per_event" && perEvent && !stamp.PerEvent:
				stamp.PerEvent = true
			case word == "optional" && !perEvent && !stamp.Optional:
				stamp.Optional = true
			case stampFormats[word] && stamp.Format == "":
				stamp.Format = word
			default:
				return fmt.Errorf("%s: not understood here: write unix, unix_ms or rfc3339, or leave it out", word)
			}
		}
		*field(p) = stamp
		return nil
	}
}

var stampFormats = map[string]bool{"unix": true, "unix_ms": true, "rfc3339": true}

func parseID(p *Provider, args []string) error {
	p.ID, p.OrID, p.OptionalID = nil, nil, false
	into := &p.ID
	for len(args) > 0 {
		if p.OptionalID = len(args) == 1 && args[0] == "optional" && len(p.ID) > 0; p.OptionalID {
			break
		}
		if args[0] == wordOr && into == &p.ID && len(p.ID) > 0 && len(args) > 1 {
			into, args = &p.OrID, args[1:]
			continue
		}
		source, rest, err := signature.ParseSource(args)
		if err != nil {
			return err
		}
		*into = append(*into, source)
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
		return fmt.Errorf("%s: one source only", rest[0])
	}
	p.Event = source
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
		return 0, fmt.Errorf("size: %q is not one: write 10MiB or 512KB", word)
	}
	if size == 0 {
		return 0, fmt.Errorf("size: %s is not positive", word)
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
		return usage("not understood")
	}
	return nil
}

func parseAnswer(p *Provider, args []string) error {
	if args[0] == "remember" {
		return parseRemember(p, args[1:])
	}
	status, err := strconv.Atoi(args[0])
	if err != nil || status < 200 || status > 599 || len(args) > 2 {
		return usage("takes a status and a body in quotes, or remember and a size")
	}
	p.Answer = &Answer{Status: status}
	if len(args) == 2 {
		p.Answer.Body = args[1]
	}
	return nil
}

func parseRemember(p *Provider, args []string) (err error) {
	size := DefaultRemember
	switch len(args) {
	case 0:
	case 1:
		if size, err = ParseSize(args[0]); err != nil {
			return err
		}
	default:
		return usage("takes one size")
	}
	p.Answer = &Answer{Remember: size}
	return nil
}

func parseRetries(p *Provider, args []string) error {
	p.Retries, p.NeverRetries = nil, len(args) == 1 && args[0] == "none"
	if p.NeverRetries {
		return nil
	}
	for _, word := range args {
		delay, err := caddy.ParseDuration(word)
		if err != nil || delay < 0 { // 0s is a retry at once
			return fmt.Errorf("delay: %q is not one: write 0s, 90s, 5m or 3d, or only none", word)
		}
		p.Retries = append(p.Retries, caddy.Duration(delay))
	}
	return nil
}
