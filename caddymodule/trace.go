package caddymodule

import (
	"go.uber.org/zap"
)

// logForwarded logs at debug that the app answered an event with success.
func (x *exchange) logForwarded(out outcome) {
	if entry := x.guard.logger.Check(zap.DebugLevel, "forwarded"); entry != nil {
		entry.Write(x.logFields(zap.Int("status", out.answer.status))...)
	}
}

// logDuplicate logs at debug what a duplicate was recognised by: the ID, which is the one
// logged, or a key of what it says, which `forget` takes.
func (x *exchange) logDuplicate(done finished) {
	entry := x.guard.logger.Check(zap.DebugLevel, "duplicate")
	if entry == nil {
		return
	}
	matched := []zap.Field{zap.String("matched", "id")}
	if done.byContent {
		matched = []zap.Field{zap.String("matched", "content"), zap.Stringer("key", x.event.Keys.Content)}
	}
	entry.Write(x.logFields(append(matched, zap.Int("status", done.status))...)...)
}
