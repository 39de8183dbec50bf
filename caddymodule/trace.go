package caddymodule

import (
	"go.uber.org/zap"
)

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
