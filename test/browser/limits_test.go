//go:build full

package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Everything that changes something works without scripts.
func TestWithoutScripts(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "doomed")
	r.send("2", "doomed")
	r.wait("dead", 2)
	r.healed.Store(true)
	p := open(t)
	p.withoutScripts()
	p.visit(r.url("/"))
	p.title("Inboxes")
	if eval[bool](p, `"htmx" in window`) || eval[int](p, `document.querySelectorAll("script:not([src])").length`) != 0 {
		t.Fatal("there are scripts")
	}
	p.click("link", "Deliveries")
	p.title("Deliveries")
	p.fill("Event ID", "ev-1")
	p.click("button", "Search")
	p.at("id=ev-1")
	p.click("link", "ev-1")
	p.title("Delivery")
	p.click("link", "Show the body")
	p.at("body=1")
	p.sees(`"event_type": "doomed"`)
	p.fill("Reason", "without scripts")
	p.click("button", "Replay")
	p.confirmed()
	r.app.WaitCount(3)
	p.click("link", "Dead letters")
	p.title("Dead letters")
	p.click("link", "Replay all dead…")
	p.title("Replay 1 event")
	p.fill("Reason", "without scripts")
	p.click("button", "Replay 1 event")
	p.confirmed()
	r.app.WaitCount(4)
	p.visit(r.url("/"))
	p.click("link", "Pause*")
	p.title("Pause this inbox")
	p.fill("Reason", "without scripts")
	p.click("button", "Pause this inbox")
	p.sees("paused")
}

// What is read only shows everything and changes nothing, whoever asks and however.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	r := start(t, "read_only")
	r.filled()
	p := open(t)
	p.allow("/change")
	p.allow("/no-such-page")
	for name, address := range r.screens() {
		p.visit(address)
		p.sees("Webhook Guard", "read only")
		for _, control := range []string{"Replay*", "Delete*", "Pause*", "Resume*", "Forget*"} {
			p.hasNot("button", control)
			p.hasNot("link", control)
		}
		if t.Failed() {
			t.Fatalf("on the screen %s", name)
		}
	}
	for _, change := range []string{"replay", "delete", "pause"} {
		p.visit(r.url("/"))
		status := eval[int](p, fmt.Sprintf(`fetch("change", {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"},
			body: "do=%s&inbox=payments&state=dead&why=because"}).then(r => r.status)`, change))
		if status != http.StatusForbidden {
			t.Errorf("%s: status %d", change, status)
		}
	}
	r.wait("dead", 3)
}

// evil is what a sender, or an attacker who has its secret, may put into every text.
const evil = `<script>window.pwned=1</script><img src=x onerror="window.pwned=1">"'>` +
	"\u202egnp.exe\u2066\u2069\x1b[31mred\x1b[0m\u0000\u0007\r\n{{.Token}}${7*7}javascript:alert(1)"

// Whatever an event holds is shown as text, and does nothing.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	r := start(t)
	body := func(id, kind string, more any) []byte {
		text, err := json.Marshal(map[string]any{"event_id": id, "event_type": kind, "data": more})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	r.sendBody(body("ev-texts "+evil, evil, evil))
	r.sendBody(body("ev-html", "html", "</pre></script><svg onload=window.pwned=1><iframe src=javascript:window.pwned=1></iframe><style>*{display:none}</style>"))
	r.sendBody(body("ev-large", "large", strings.Repeat("0123456789", 1<<20)))
	r.sendBody([]byte("{\"event_id\":\"ev-bytes\",\"event_type\":\"bytes\",\"x\":\"\xff\xfe\x00\x80\"}"))
	r.sendBody([]byte(`{"event_id":"ev-deep","event_type":"deep","x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`))
	for n, texts := range []string{"-->", "&lt;b&gt;"} {
		r.sendBody(body(fmt.Sprint("ev-small-", n), texts, texts))
	}
	events := r.wait("done", 7)
	p := open(t)
	p.visit(r.url("/deliveries?inbox=payments"))
	p.title("Deliveries")
	p.harmless("the list")
	p.shot("hostile-list")
	for _, event := range events {
		p.visit(r.delivery(event) + "&body=1")
		p.title("Delivery")
		p.sees("Body", "Attempts")
		p.harmless(event.ID)
		if strings.HasPrefix(event.ID, "ev-texts") || event.ID == "ev-html" {
			p.sees("window.pwned=1")
			p.shot("hostile-" + event.ID[:7])
		}
		if event.ID == "ev-large" {
			if size := eval[int](p, `document.documentElement.outerHTML.length`); size > 2<<20 {
				t.Errorf("a page of %d characters shows a body of 10 MB", size)
			}
		}
		p.raw(r, event)
	}
	// What is looked for is shown again.
	p.visit(r.url("/deliveries?" + url.Values{"inbox": {"payments"}, "id": {evil}, "type": {evil}, "scope": {evil}}.Encode()))
	p.harmless("the search")
	p.allow("status of 404")
	p.allow("status of 400")
	p.visit(r.url("/deliveries?" + url.Values{"inbox": {evil}, "since": {evil}, "cursor": {evil}}.Encode()))
	p.harmless("an error")
}

// harmless fails where a text has done something.
func (p *tab) harmless(what string) {
	p.t.Helper()
	type effects struct {
		Pwned  bool `json:"pwned"`
		Alien  int  `json:"alien"`
		Lines  bool `json:"lines"`
		Hidden bool `json:"hidden"`
	}
	done := eval[effects](p, `({
		pwned: typeof window.pwned != "undefined",
		alien: document.querySelectorAll("iframe, img, svg[onload], main script, main style").length,
		lines: /[\u202a-\u202e\u2066-\u2069\u0000\u0007\u001b]/.test(document.body.innerText),
		hidden: getComputedStyle(document.querySelector("h1")).display == "none",
	})`)
	if done != (effects{}) {
		p.t.Errorf("%s: %+v", what, done)
	}
}

// raw downloads a body, which must come as it was sent, and as a file.
func (p *tab) raw(r *rig, event listed) {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodGet, r.url("/body?"+url.Values{"inbox": {"payments"}, "event": {event.Key}}.Encode()), nil)
	if err != nil {
		p.t.Fatal(err)
	}
	got := testbed.Do(p.t, request)
	if !strings.HasPrefix(got.Header.Get("Content-Disposition"), "attachment") || got.Header.Get("X-Content-Type-Options") != "nosniff" ||
		strings.Contains(got.Header.Get("Content-Type"), "html") || !strings.HasPrefix(string(got.Body), `{"`) {
		p.t.Errorf("%s: %v", event.ID, got.Header)
	}
}

// A page of somebody else, in a browser that may use ours, changes nothing.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "doomed")
	event := r.wait("dead", 1)[0]
	r.healed.Store(true)
	forms := map[string]string{
		"form":  `<form id=f method=post action="%s"><input name=do value=replay><input name=inbox value=payments><input name=event value="%s"><input name=why value=x></form><script>f.submit()</script>`,
		"text":  `<form id=f method=post enctype="text/plain" action="%s"><input name="do=replay&inbox=payments&event=%s&why=x&y" value=z></form><script>f.submit()</script>`,
		"pause": `<form id=f method=post action="%s"><input name=do value=pause><input name=inbox value=payments><input name=why value=%s></form><script>f.submit()</script>`,
		"fetch": `<script>fetch("%s", {method: "POST", mode: "no-cors", credentials: "include", headers: {"Content-Type": "application/x-www-form-urlencoded"},
			body: "do=replay&inbox=payments&event=%s&why=x"}).then(() => document.title = "sent", () => document.title = "sent")</script>`,
	}
	for name, form := range forms {
		// The host localhost is another site than 127.0.0.1.
		attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, fmt.Sprintf(form, r.url("/change"), event.Key))
		}))
		t.Cleanup(attacker.Close)
		p := open(t)
		p.allow("403")
		p.allow("CORS")
		p.allow("ERR_BLOCKED_BY_RESPONSE")
		p.allow("favicon.ico")
		p.visit(r.url("/")) // so that a cookie, if there were one, would be there
		p.visit(strings.Replace(attacker.URL, "127.0.0.1", "localhost", 1))
		p.until("the attempt", func(ctx context.Context, t *chromedp.Target) error {
			where, err := chromedp.Location()(ctx, t)
			if err != nil {
				return err
			}
			title, err := chromedp.Title()(ctx, t)
			if err != nil {
				return err
			}
			if !strings.Contains(where, "/change") && title != "sent" {
				return errStill
			}
			return nil
		})
		if name != "fetch" {
			p.sees("Webhook Guard")
			p.shot("cross-site-" + name)
		}
	}
	// Framed, a page could be clicked on without being seen.
	framer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<title>frame</title><iframe id=f src="%s" onload="document.title='loaded'"></iframe>`, r.url("/"))
	}))
	t.Cleanup(framer.Close)
	p := open(t)
	p.allow("frame")
	p.allow("favicon.ico")
	p.visit(framer.URL)
	p.until("the frame", func(ctx context.Context, t *chromedp.Target) error {
		if title, err := chromedp.Title()(ctx, t); err != nil || title != "loaded" {
			return errors.Join(err, errStill)
		}
		return nil
	})
	if !p.complained("frame") {
		t.Error("the page was shown in a frame")
	}

	if n := r.app.Count(); n != 1 {
		t.Errorf("the app got %d requests, want 1", n)
	}
	if len(r.events(url.Values{"state": {"dead"}})) != 1 {
		t.Error("the event is not dead any more")
	}
	r.send("2", "llm.completed") // as nobody has paused it
	r.wait("done", 1)
}
