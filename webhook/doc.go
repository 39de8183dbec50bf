// Package webhook judges requests: it decides whether a request is an event of its
// sender, and which one. The gateway's handler, `explain` and `send` all use it, so that
// there is one judgement.
//
// A [Sender] is a provider with its rules, ready for use. [Sender.Judge] takes the
// facts of a request, its body, the secrets and the time, and returns an [Event] or
// a [Refusal]. It reads no clock, network or file and knows no HTTP server. A
// handler that reads the body in between takes the steps of a [Judgement] one by
// one: Head, Authenticate, Identify.
package webhook
