package testbed

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// Event is something that happened at a sender.
type Event struct {
	// ID stands wherever the sender puts something unique: the event's or
	// delivery's ID, or the document's. Default: a random one.
	ID string
	// Type is the event's type. Default: a documented one of the sender.
	Type string
	// Time is when the event happened. Default: now.
	Time time.Time
	// Sent is when this attempt was made. Default: now.
	Sent time.Time
}

// NewID returns a random ID.
func NewID() string {
	var id [12]byte
	rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// Sender makes requests as one of the senders does, after its documentation and
// with nothing of the code under test.
type Sender struct {
	Name   string
	Secret string
	// SignatureHeader is empty where the sender signs nothing.
	SignatureHeader string
	// PerEvent: its stamp stays the same across retries.
	PerEvent bool

	body    func(Event) any
	headers func(s Sender, h http.Header, body []byte, e Event)
}

// SecretEnv are the environment variables that the examples' Caddyfiles read
// their secrets from, set to those of [Senders].
func SecretEnv() []string {
	var env []string
	for _, s := range Senders() {
		env = append(env, s.envName()+"="+s.Secret)
	}
	return env
}

func (s Sender) envName() string {
	if s.SignatureHeader == "" {
		return "OKRAPDF_TOKEN"
	}
	return string(bytes.ToUpper([]byte(s.Name))) + "_SECRET"
}

// Senders returns the five.
func Senders() []Sender {
	return []Sender{OkraPDF(), Struktr(), DocIntell(), Ocriva(), DocRouter()}
}

// OkraPDF signs nothing: its URL has a token instead.
func OkraPDF() Sender {
	return Sender{
		Name: "okrapdf", Secret: "canary-okrapdf-token", PerEvent: true,
		body: func(e Event) any {
			return map[string]any{
				"event": or(e.Type, "document.completed"), "document_id": "doc-" + e.ID, "status": "completed",
				"file_name": "report.pdf", "total_pages": 12, "timestamp": e.Time.UTC().Format(time.RFC3339),
			}
		},
		headers: func(Sender, http.Header, []byte, Event) {},
	}
}

// Struktr signs the body; its stamp and its delivery ID are not signed.
func Struktr() Sender {
	return Sender{
		Name: "struktr", Secret: "canary-struktr-secret", SignatureHeader: "X-Struktr-Signature",
		body: func(e Event) any {
			return map[string]any{
				"event": or(e.Type, "document.completed"), "timestamp": e.Time.UTC().Format(time.RFC3339),
				"data": map[string]any{"id": "doc_" + e.ID, "status": "completed", "pages": 3},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			h.Set(s.SignatureHeader, "sha256="+s.mac(body))
			h.Set("X-Struktr-Event", or(e.Type, "document.completed"))
			h.Set("X-Struktr-Delivery", "dlv_"+e.ID)
			h.Set("X-Struktr-Timestamp", strconv.FormatInt(e.Sent.Unix(), 10))
		},
	}
}

// DocIntell signs the body; its stamp is the event's and not signed.
func DocIntell() Sender {
	return Sender{
		Name: "docintell", Secret: "whsec_canarydocintell", SignatureHeader: "X-DocIntell-Signature", PerEvent: true,
		body: func(e Event) any {
			return map[string]any{
				"event": or(e.Type, "document.processing.completed"), "timestamp": e.Time.UTC().Format(time.RFC3339),
				"data": map[string]any{"document_id": "d-" + e.ID, "job_id": "j-" + e.ID, "status": "completed"},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			h.Set(s.SignatureHeader, "sha256="+s.mac(body))
			h.Set("X-DocIntell-Event", or(e.Type, "document.processing.completed"))
			h.Set("X-DocIntell-Timestamp", strconv.FormatInt(e.Time.Unix(), 10))
		},
	}
}

// Ocriva signs the body, which holds the event's time.
func Ocriva() Sender {
	return Sender{
		Name: "ocriva", Secret: "canary-ocriva-secret", SignatureHeader: "X-Webhook-Signature", PerEvent: true,
		body: func(e Event) any {
			return map[string]any{
				"eventType": or(e.Type, "document.processed"), "eventId": "evt_" + e.ID,
				"timestamp": e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), "organizationId": "org_abc123",
				"payload": map[string]any{"id": "doc_" + e.ID, "status": "completed", "confidence": 0.97},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			h.Set(s.SignatureHeader, "sha256="+s.mac(body))
			h.Set("X-Webhook-Event", or(e.Type, "document.processed"))
		},
	}
}

// DocRouter signs the stamp, new on every attempt, and the body.
func DocRouter() Sender {
	return Sender{
		Name: "docrouter", Secret: "whs_canarydocrouter", SignatureHeader: "X-DocRouter-Signature",
		body: func(e Event) any {
			return map[string]any{
				"event_id": "ev-" + e.ID, "event_type": or(e.Type, "llm.completed"), "timestamp": e.Time.Unix(),
				"organization_id": "org-1", "document": map[string]any{"document_id": "doc-" + e.ID, "document_name": "a.pdf"},
			}
		},
		headers: func(s Sender, h http.Header, body []byte, e Event) {
			stamp := strconv.FormatInt(e.Sent.Unix(), 10)
			h.Set(s.SignatureHeader, "sha256="+s.mac([]byte(stamp+"."), body))
			h.Set("X-DocRouter-Timestamp", stamp)
			h.Set("X-DocRouter-Event", or(e.Type, "llm.completed"))
			h.Set("X-DocRouter-Event-Id", "ev-"+e.ID)
		},
	}
}

func (s Sender) mac(parts ...[]byte) string {
	mac := hmac.New(sha256.New, []byte(s.Secret))
	for _, part := range parts {
		mac.Write(part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

// Fill sets the defaults of an event.
func (e Event) Fill() Event {
	e.ID = or(e.ID, NewID())
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.Sent.IsZero() {
		e.Sent = time.Now()
	}
	return e
}

// Body is the event as the sender writes it.
func (s Sender) Body(e Event) []byte {
	body, _ := json.Marshal(s.body(e)) // maps of strings and numbers: cannot fail
	return body
}

// Request is one attempt to deliver the event to <base>/webhooks/<name>. Fill
// the event first to make further attempts of it.
func (s Sender) Request(tb testing.TB, base string, e Event) *http.Request {
	tb.Helper()
	e = e.Fill()
	return s.RequestWith(tb, base, s.Body(e), e)
}

// RequestWith sends the given body, signed.
func (s Sender) RequestWith(tb testing.TB, base string, body []byte, e Event) *http.Request {
	tb.Helper()
	e = e.Fill()
	target := base + "/webhooks/" + s.Name
	if s.SignatureHeader == "" {
		target += "?token=" + url.QueryEscape(s.Secret)
	}
	req, err := http.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		tb.Fatalf("making a request of %s: %v", s.Name, err)
	}
	req.Header.Set("Content-Type", "application/json")
	s.headers(s, req.Header, body, e)
	return req
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}
