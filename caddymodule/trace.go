package caddymodule

import (
	"context"
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// logFields identify the event in a log entry. None of them is secret.
func (x *exchange) logFields(more ...zap.Field) []zap.Field {
	return append([]zap.Field{
		zap.String("provider", x.guard.ProviderName),
		zap.String("scope", x.event.Scope),
		zap.String("id", webhook.FormatID(x.event.ID)),
	}, more...)
}

// requestFields say where a request came from and where it went, without its query, which
// may have a token in it.
func requestFields(x *exchange, more ...zap.Field) []zap.Field {
	ctx := x.r.Context()
	ip, _ := caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	fields := x.logFields(
		zap.String("client_ip", ip),
		zap.String("host", x.r.Host),
		zap.String("path", x.r.URL.Path),
	)
	if id := requestID(ctx); id != "" {
		fields = append(fields, zap.String("uuid", id)) // as in Caddy's access log
	}
	return append(fields, more...)
}

// requestID is Caddy's, where something has asked for one.
func requestID(ctx context.Context) string {
	if id, ok := caddyhttp.GetVar(ctx, "uuid").(fmt.Stringer); ok {
		return id.String()
	}
	return ""
}

// accessFields are those of Caddy's access log, which is written when the memory of the
// event is gone.
func accessFields(x *exchange) []zap.Field {
	fields := []zap.Field{
		zap.String("result", string(x.result)),
		zap.String("provider", x.guard.ProviderName),
		zap.String("scope", strings.Clone(x.event.Scope)),
	}
	if x.named {
		fields = append(fields, zap.String("id", strings.Clone(x.event.JoinedID())), zap.String("event", strings.Clone(x.event.Type)))
	}
	return fields
}

// logFailed logs that the app did not take an event, with its status or what stood in its
// way.
func logFailed(x *exchange, out outcome) {
	held, ok := x.guard.floods.admit("app failed", x.guard.now())
	if !ok {
		return
	}
	fields := []zap.Field{zap.String("result", string(out.result)), zap.Duration("duration", x.inApp), held}
	if out.answer != nil && out.answer.status != 0 {
		fields = append(fields, zap.Int("status", out.answer.status))
	}
	if out.err != nil {
		fields = append(fields, zap.Error(out.err))
	}
	x.guard.logger.Warn("app failed", x.logFields(fields...)...)
}

// logForwarded logs at debug that the app answered an event with success. It names the
// content key, which also appears in the log line of a duplicate under another ID.
func (x *exchange) logForwarded(out outcome) {
	entry := x.guard.logger.Check(zap.DebugLevel, "forwarded")
	if entry == nil {
		return
	}
	fields := []zap.Field{zap.Int("status", out.answer.status)}
	if key := x.event.Keys.Content; !key.IsZero() {
		fields = append(fields, zap.Stringer("key", key))
	}
	entry.Write(x.logFields(fields...)...)
}

// logDuplicate logs at debug what a duplicate was recognised by: the ID, or a content
// key, which `forget` accepts.
func (x *exchange) logDuplicate(done finished) {
	entry := x.guard.logger.Check(zap.DebugLevel, "duplicate")
	if entry == nil {
		return
	}
	matched := []zap.Field{zap.String("matched", "id")}
	if done.byContent {
		matched = []zap.Field{zap.String("matched", "content"), zap.Stringer("key", x.event.Keys.Content)}
		if id := done.success.IDText; id != "" {
			matched = append(matched, zap.String("matched_id", id))
		}
	}
	entry.Write(x.logFields(append(matched, zap.Int("status", done.success.Status))...)...)
}

// logRefused logs a refusal, and notes it for the pages, at the level of who has to act on it.
func logRefused(x *exchange, refused *webhook.Refusal) {
	sawRefused(x, refused)
	level := zap.InfoLevel
	switch refused.Result {
	case webhook.Misconfigured:
		level = zap.ErrorLevel // somebody must act
	case webhook.StoreUnavailable, webhook.Overloaded, webhook.SecretUnavailable:
		level = zap.WarnLevel
	}
	entry := x.guard.logger.Check(level, "refused")
	if entry == nil {
		return
	}
	if held, ok := x.guard.floods.admit(string(refused.Result), x.guard.now()); ok {
		fields := requestFields(x, zap.String("result", string(refused.Result)), zap.NamedError("reason", refused.Cause), held)
		if x.guard.Mode == modeShadow {
			fields = append(fields, zap.String("mode", modeShadow))
		}
		entry.Write(fields...)
	}
}
