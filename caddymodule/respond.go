package caddymodule

import (
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/internal/body"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// retryAfter is in every 503 of the guard: its failures are short.
const retryAfter = "1"

// setResult names the result in the headers of the response.
func setResult(header http.Header, result webhook.Result) {
	header.Set(headerResult, string(result))
}

// refusalError writes the headers of a refusal and returns the error that Caddy responds
// with. It must be returned unwrapped: handle_errors looks for this type without
// unwrapping.
func refusalError(w http.ResponseWriter, refused *webhook.Refusal, methods string) error {
	header := w.Header()
	setResult(header, refused.Result)
	status := refused.Result.Status()
	switch status {
	case http.StatusMethodNotAllowed:
		header.Set("Allow", methods)
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter)
	}
	return caddyhttp.Error(status, refused)
}

// refuse ends a request that goes no further.
func (x *exchange) refuse(refused *webhook.Refusal) error {
	x.setResult(refused.Result)
	if !x.body.asked {
		body.BoundRest(x.w, x.r, time.Now().Add(x.guard.sender.Rules.BodyTimeout))
	}
	logRefused(x, refused)
	limitError(x.guard.sender, x.w, x.r)
	return refusalError(x.w, refused, x.guard.methods)
}

// logCheck logs a sender's check of the endpoint, and what it means, where somebody should
// know.
func logCheck(x *exchange, warning string) {
	if held, ok := x.guard.floods.Admit(string(webhook.HandshakeAnswered), x.guard.now()); ok {
		fields := x.logFields(zap.String("result", string(webhook.HandshakeAnswered)), zap.String("kind", x.guard.handshake.Load().Kind), held)
		x.guard.logger.Info("answered the sender's check of the endpoint", fields...)
		if warning != "" {
			x.guard.logger.Warn(warning, fields...)
		}
	}
}

// confirm replies to the sender's check of the endpoint.
func (x *exchange) confirm(reply *webhook.Reply) error {
	x.setResult(webhook.HandshakeAnswered)
	if confirmFirst(x, reply) {
		logCheck(x, reply.Warning)
	}
	sawDelivered(x, reply.Status, nil)
	header := x.w.Header()
	setResult(header, webhook.HandshakeAnswered)
	for _, more := range reply.Headers {
		header.Set(more.Name, more.Value)
	}
	if reply.ContentType != "" {
		header.Set("Content-Type", reply.ContentType)
		header.Set("X-Content-Type-Options", "nosniff")
	}
	if reply.Status != http.StatusNoContent {
		header.Set("Content-Length", strconv.Itoa(len(reply.Body))) // some senders take no chunks
	}
	sender := newReader(x.guard.sender, x.r, time.Time{})
	sender.limitLast(x.w)
	x.w.WriteHeader(reply.Status)
	_, _ = x.w.Write([]byte(reply.Body)) // the sender may have gone
	return nil
}

// duplicate ends a copy of an event that is finished.
func (x *exchange) duplicate(done finished) error {
	x.setResult(webhook.Duplicate)
	x.logDuplicate(done)
	if done.conflict && x.guard.sender.TellsConflicts() {
		x.guard.metrics.idConflicts.WithLabelValues(x.guard.ProviderName).Inc()
		logEvent(x, zap.WarnLevel, "a known event ID came with other content and was refused as a duplicate")
	}
	return acknowledge(x, webhook.Duplicate, again(x.guard, done.success))
}

// again is what a copy of an event gets that was answered with the given success.
func again(g *Guard, first *dedupe.Success) dedupe.Success {
	again := dedupe.Success{Status: first.Status}
	switch rule := g.sender.Rules.Answer; {
	case rule == nil:
	case rule.Remember > 0:
		again = *first
	default:
		again = dedupe.Success{Status: rule.Status}
		if rule.Body != "" {
			again.Reply = dedupe.Reply{ContentType: "text/plain; charset=utf-8", Body: rule.Body}
		}
	}
	return again
}

// acknowledge answers an event whose app is not asked.
func acknowledge(x *exchange, result webhook.Result, success dedupe.Success) error {
	x.setResult(result)
	sawDelivered(x, success.Status, nil)
	header := x.w.Header()
	setResult(header, result)
	if success.Reply.ContentType != "" {
		header.Set("Content-Type", success.Reply.ContentType)
	}
	sender := newReader(x.guard.sender, x.r, time.Time{})
	sender.limitLast(x.w)
	x.w.WriteHeader(success.Status)
	_, _ = x.w.Write([]byte(success.Reply.Body)) // the sender may have gone
	return nil
}

// answer passes the app's answer on, or the error that took its place.
func (x *exchange) answer(out outcome) error {
	x.setResult(out.result)
	switch {
	case out.refused != nil:
		logRefused(x, out.refused)
	case out.result == webhook.Forwarded:
		sawDelivered(x, out.status(), out.err)
		x.logForwarded(out)
	default:
		sawDelivered(x, out.status(), out.err)
		logFailed(x, out)
	}
	switch {
	case out.err == nil:
		out.answer.release()
		return nil
	case out.answer != nil && out.answer.started:
		// Part of the answer is out. Only a broken connection shows the sender that it is
		// incomplete.
		panic(http.ErrAbortHandler)
	}
	if out.header != nil {
		header := x.w.Header()
		clear(header)
		maps.Copy(header, out.header)
	}
	setResult(x.w.Header(), out.result)
	// An app behind an error route must not see the request marked as verified: the body is
	// gone. Handlers that still run may read the headers, so they get new ones.
	x.r.Header = x.r.Header.Clone()
	stripOwnHeaders(x.r)
	limitError(x.guard.sender, x.w, x.r)
	return out.err
}
