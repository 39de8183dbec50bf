package caddymodule

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/origin"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
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

// logEvent writes a line about an event. All above debug are held to a rate, by kind.
func logEvent(x *exchange, level zapcore.Level, message string, fields ...zap.Field) {
	x.guard.floods.Log(x.guard.logger, level, message, x.guard.now(), x.logFields(fields...)...)
}

// requestFields say where a refused request came from and where it went, without its query,
// which may have a token in it. The tenant is in the scope, unless no map knows it: then there is
// none, or that of the map's default.
func requestFields(x *exchange, refused *webhook.Refusal, more ...zap.Field) []zap.Field {
	ip, _ := caddyhttp.GetVar(x.r.Context(), caddyhttp.ClientIPVarKey).(string)
	fields := x.logFields(
		zap.String("client_ip", ip),
		zap.String("host", x.r.Host),
		zap.String("path", x.r.URL.Path),
		zap.String("uuid", requestID(x)),
	)
	if !x.named && (x.event.Scope == x.guard.scope.line || refused.Result == webhook.SecretUnavailable) {
		if asked := askedTenant(x); asked != "" {
			fields = append(fields, zap.String("tenant", asked))
		}
	}
	return append(fields, more...)
}

// requestID is the one that Caddy's access log has of a request. Caddy makes it when it is
// first asked for.
func requestID(x *exchange) string {
	id, _ := x.repl.GetString("http.request.uuid")
	return id
}

// askedTenant is the tenant that a request asks for, by the host, path and headers that its
// scope is made of: one that no map knows has no scope to be named by. It leaves out what may
// be a credential.
func askedTenant(x *exchange) string {
	defer canonicalHost(x.repl)() // as it was looked up
	var asked []string
	for _, name := range x.guard.scope.text.Names() {
		for _, root := range x.guard.before.Roots(name) {
			if !namesTenant(root, x.guard.sender.Rules.Token) {
				continue
			}
			if value, _ := x.repl.GetString(root); value != "" && !slices.Contains(asked, value) {
				asked = append(asked, value)
			}
		}
	}
	return strings.Join(asked, " ")
}

// namesTenant reports whether a placeholder says in public who a request is for.
func namesTenant(root string, token *config.Token) bool {
	if header, ok := strings.CutPrefix(root, "http.request.header."); ok {
		header = http.CanonicalHeaderKey(header)
		carriesToken := token != nil && token.Source.Kind == signature.SourceHeader && http.CanonicalHeaderKey(token.Source.Name) == header
		return !carriesToken && !slices.Contains([]string{"Authorization", "Proxy-Authorization", "Cookie"}, header)
	}
	return origin.IsHost(root) || strings.HasPrefix(root, "http.request.uri.path") || strings.HasPrefix(root, "http.request.orig_uri.path")
}

// setAttributes names the result and the event in the span of Caddy's tracing, where the
// request has one.
func setAttributes(x *exchange) {
	span := trace.SpanFromContext(x.r.Context())
	if !span.IsRecording() {
		return
	}
	attributes := []attribute.KeyValue{
		attribute.String("webhook_guard.result", string(x.result)),
		attribute.String("webhook_guard.provider", x.guard.ProviderName),
		attribute.String("webhook_guard.scope", strings.Clone(x.event.Scope)),
	}
	if x.named {
		attributes = append(attributes, attribute.String("webhook_guard.id", strings.Clone(x.event.JoinedID())),
			attribute.String("webhook_guard.event", strings.Clone(x.event.Type)))
	}
	span.SetAttributes(attributes...)
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
	fields := []zap.Field{zap.String("result", string(out.result)), zap.Duration("duration", x.inApp), zap.String("uuid", requestID(x))}
	if status := cmp.Or(out.status(), statusOf(out.err)); status != 0 {
		fields = append(fields, zap.Int("status", status))
	}
	if out.err != nil {
		fields = append(fields, zap.Error(out.err))
	}
	logEvent(x, zap.WarnLevel, "app failed", fields...)
}

// statusOf is what Caddy answers for an error, as a proxy's for an app that is away; 0 where it
// says nothing of it.
func statusOf(err error) int {
	var known caddyhttp.HandlerError
	errors.As(err, &known)
	return known.StatusCode
}

// logUnanswered logs that no handler behind the guard has answered.
func logUnanswered(x *exchange) {
	logEvent(x, zap.ErrorLevel, "nothing behind the guard answered: put a reverse_proxy after webhook_guard in the same route")
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
	if held, ok := x.guard.floods.Admit(string(refused.Result), x.guard.now()); ok {
		fields := requestFields(x, refused, zap.String("result", string(refused.Result)), zap.NamedError("reason", refused.Cause), held)
		if x.guard.Mode == modeShadow {
			fields = append(fields, zap.String("mode", modeShadow))
		}
		entry.Write(fields...)
	}
}
