package caddymodule

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// maxContentType bounds what is remembered beside the body.
const maxContentType = 256

var (
	errReplyTooLong = errors.New("it is longer than the answer line allows")
	errReplyCoded   = errors.New("its Content-Encoding is not gzip")
)

// success returns what is remembered of the app's answer: its status and, where copies
// repeat the answer, its type and body. Where those cannot be remembered, only the
// status is.
func (c *claim) success(answer *heldAnswer) dedupe.Success {
	success := dedupe.Success{Status: answer.status}
	rule := c.x.guard.sender.Rules.Answer
	if rule == nil || rule.Remember == 0 || answer.seen().Bodiless() {
		return success
	}
	reply, err := answer.reply(rule.Remember)
	if err != nil {
		if entry := c.x.guard.logger.Check(zap.DebugLevel, "the app's answer is not remembered: a copy of the event gets its status only"); entry != nil {
			entry.Write(c.x.logFields(zap.Int("status", answer.status), zap.Int64("size", answer.written), zap.NamedError("reason", err))...)
		}
		return success
	}
	success.Reply = reply
	return success
}

// reply returns the answer's type, and its body without a coding, which a copy may not
// understand.
func (a *heldAnswer) reply(limit int64) (dedupe.Reply, error) {
	reply := dedupe.Reply{ContentType: a.sent.Get("Content-Type")}
	if a.written > limit || a.started || len(reply.ContentType) > maxContentType {
		return dedupe.Reply{}, errReplyTooLong
	}
	switch coding := strings.ToLower(strings.Join(a.sent.Values("Content-Encoding"), ",")); coding {
	case "", "identity":
		reply.Body = string(a.held)
		return reply, nil
	case "gzip", "x-gzip":
		r, err := gzip.NewReader(bytes.NewReader(a.held))
		if err != nil {
			return dedupe.Reply{}, err
		}
		plain, err := io.ReadAll(io.LimitReader(r, limit+1))
		switch {
		case err != nil:
			return dedupe.Reply{}, err
		case int64(len(plain)) > limit:
			return dedupe.Reply{}, errReplyTooLong
		}
		reply.Body = string(plain)
		return reply, nil
	}
	return dedupe.Reply{}, errReplyCoded
}
