package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/texts"
)

const (
	// mostShown is how much of a body one screen shows, in bytes; twice that when it has been
	// made readable.
	mostShown = 256 << 10
	// mostNested is how deep JSON may be that is indented: what it takes grows with the depth.
	mostNested = 32
)

// shownBody is a body as text.
type shownBody struct {
	Text string
	Note string // what was done to it
}

// present makes a text of a body that anybody can have written.
func (m mask) present(body []byte, contentType string) shownBody {
	var notes []string
	if len(body) > mostShown {
		notes = append(notes, fmt.Sprintf("Only the first %s of %s are shown.", formatSize(mostShown), formatSize(int64(len(body)))))
	}
	if m.body && len(body) > 0 {
		return shownBody{Note: "The whole body is a token, so nothing of it is shown."}
	}
	text := m.hide(texts.Cut(string(body[:min(len(body), mostShown+utf8.UTFMax)]), mostShown), contentType)
	if looksLikeJSON(body) {
		var pretty bytes.Buffer
		if nested(text) <= mostNested && json.Indent(&pretty, []byte(text), "", "  ") == nil {
			text = pretty.String()
			notes = append(notes, "Indented for reading.")
		}
	}
	if text = visible(text); len(text) > 2*mostShown {
		text = texts.Cut(text, 2*mostShown)
		notes = append(notes, "Only the beginning of that is shown.")
	}
	if strings.Contains(text, masked) {
		notes = append(notes, "Values that look like secrets are masked.")
	}
	return shownBody{Text: text, Note: strings.Join(notes, " ")}
}

// hide hides values of a body. What it is decides, as it does for a guard: its Content-Type is
// not signed, as a rule.
func (m mask) hide(text, contentType string) string {
	kind, params, _ := mime.ParseMediaType(contentType)
	switch {
	case strings.HasPrefix(kind, "multipart/"), strings.HasPrefix(strings.TrimLeft(text, "\r\n"), "--"):
		text = m.multipart(text, params["boundary"])
	case m.forms && !looksLikeJSON([]byte(text)), kind == "application/x-www-form-urlencoded":
		text = m.form(text)
	}
	return jsonWebToken.ReplaceAllLiteralString(m.json(text), masked)
}

// nested is how deep a text is nested at most, as JSON, where brackets in texts count too.
func nested(text string) (most int) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		most = max(most, depth)
	}
	return most
}

func looksLikeJSON(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
}

// sendBody sends a body as it was received, for no browser to interpret.
func sendBody(v *visit) error {
	query := v.r.URL.Query()
	var record adminapi.InboxRecord
	err := v.gateway.Inboxes(func(m inboxes.Manager) (err error) {
		record, err = m.Record(v.r.Context(), query.Get("inbox"), query.Get("event"), true)
		return err
	})
	if err != nil {
		return err
	}
	if record.RequestError != "" {
		return refusal{http.StatusConflict, "The body is kept, but cannot be read: " + record.RequestError}
	}
	if record.Request == nil {
		return refusal{http.StatusNotFound, "The body is not kept, or no longer."}
	}
	logSeen(v, "a body was downloaded", query.Get("inbox"), record.InboxEvent)
	header := v.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", `attachment; filename="`+bodyFile(record.Key)+`"`)
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Content-Length", fmt.Sprint(len(record.Request.Body)))
	v.w.WriteHeader(http.StatusOK)
	_, _ = v.w.Write(record.Request.Body) // the user may have gone
	return nil
}

// bodyFile is what a downloaded body is called. Keys are letters, digits, - and _.
func bodyFile(key string) string { return "event-" + key + ".bin" }

// logSeen records who has seen a body.
func logSeen(v *visit, message, inbox string, e adminapi.InboxEvent) {
	v.logger.Info(message, zap.String("inbox", inbox), zap.String("scope", e.Scope), zap.String("id", e.ID), zap.String("by", v.by()))
}
