package webhook

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// IsCheck reports whether a request is one of the handshake's checks of the endpoint.
// Whether it gets a reply is another question: see [Handshake.Answer].
func IsCheck(h *config.Handshake, r *signature.Request) bool {
	return slices.ContainsFunc(h.Checks, func(c config.Check) bool { return matches(c, r) })
}

func matches(c config.Check, r *signature.Request) bool {
	return slices.Contains(c.Methods, r.Method) &&
		!slices.ContainsFunc(c.When, func(w config.Condition) bool { return !holds(w, r) })
}

func holds(c config.Condition, r *signature.Request) bool {
	switch c.Is {
	case config.EmptyList:
		list := gjson.GetBytes(r.Body, c.Source.Name)
		return list.Raw == "null" || list.IsArray() && strings.TrimSpace(list.Raw[1:len(list.Raw)-1]) == ""
	case config.NoBody:
		text := string(bytes.TrimSpace(r.Body))
		return text == "" || text == "{}" || text == "[]"
	}
	v := c.Source.Read(r, signature.Parts{})
	switch c.Is {
	case config.Absent:
		return !v.Found && !v.Bad
	case config.Equal:
		return v.Found && !v.Bad && !v.Repeated && v.Text == c.Value
	}
	return v.Found
}

// challengeOf returns the check's challenge. It returns false for a challenge that must not
// be echoed or signed. Then the request is not the check.
func challengeOf(c config.Check, r *signature.Request) (string, bool) {
	if c.Challenge.Kind == "" {
		return "", true
	}
	v := c.Challenge.Read(r, signature.Parts{})
	return v.Text, v.Found && !v.Bad && !v.Repeated && c.Bound.Allows(v.Text)
}

// forgeable reports whether the signed text of an event is, or ends in, a text that
// the handshake signs for anybody. Then its signature proves nothing. No sender's
// event is such a text: JSON objects, and XML in base64, have other characters.
func forgeable(h *config.Handshake, r *signature.Request) bool {
	if !h.AnswersAnybody() {
		return false
	}
	signed := string(r.Body)
	if h.Payload.Name != "" {
		signed = h.Payload.Read(r, signature.Parts{}).Text
	}
	// An empty text is forgeable too: what is signed before the body may be the
	// sender's choice.
	return signed == "" || slices.ContainsFunc(h.Checks, func(c config.Check) bool {
		return c.SignsForAnybody() && c.Bound.Allows(signed)
	})
}
