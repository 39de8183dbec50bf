package mistake

import (
	"regexp"
	"strconv"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

var (
	seconds      = regexp.MustCompile(`\b[0-9]{10}\b`)
	milliseconds = regexp.MustCompile(`\b[0-9]{13}\b`)
)

// StampFormat is a provider whose stamp is read in another format.
func StampFormat(p config.Provider, format string) config.Provider {
	if p.Timestamp != nil {
		stamp := *p.Timestamp
		stamp.Format = format
		p.Timestamp = &stamp
	}
	return p
}

// Stamp lists stamps that are sent in one unit and signed in another.
func Stamp(c Case) []Mistake {
	p := c.Provider
	if p.Timestamp == nil {
		return nil
	}
	source := p.Timestamp.Source
	headers := []string{source.Name}
	if source.Kind == signature.SourceSignature {
		headers = nil
		for _, s := range p.Signature {
			headers = append(headers, canonical(s.Header))
		}
	} else if source.Kind != signature.SourceHeader {
		return nil
	}
	const do = "Send the text that was signed: the stamp is signed as it is written."
	var list []Mistake
	for _, name := range headers {
		values := c.Request.Header[name]
		if len(values) != 1 {
			continue
		}
		add := func(code, why, value string) {
			if value != values[0] {
				list = append(list, Mistake{Causes: []Cause{{code, why, do}}, apply: func(r *Reading) {
					r.setHeader(name, value)
					// In another unit the stamp is no time of the provider's format.
					r.setProvider("any stamp", func(p *config.Provider) { *p = StampFormat(*p, "") })
				}})
			}
		}
		add("stamp_milliseconds", "The stamp is sent in milliseconds and was signed in seconds.",
			milliseconds.ReplaceAllStringFunc(values[0], func(ms string) string { return ms[:10] }))
		add("stamp_seconds", "The stamp is sent in seconds and was signed in milliseconds.", seconds.ReplaceAllString(values[0], "${0}000"))
		if source.Kind != signature.SourceHeader {
			continue
		}
		if at, err := signature.ParseStamp(values[0], ""); err == nil {
			for _, format := range []string{time.RFC3339, "2006-01-02T15:04:05.000Z07:00"} {
				add("stamp_text", "The stamp is sent as a number and was signed as RFC 3339, or the other way round.", at.UTC().Format(format))
			}
			add("stamp_text", "The stamp is sent as RFC 3339 and was signed in seconds.", strconv.FormatInt(at.Unix(), 10))
			add("stamp_text", "The stamp is sent as RFC 3339 and was signed in milliseconds.", strconv.FormatInt(at.UnixMilli(), 10))
		}
	}
	return list
}
