package ui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Every screen can be made, with and without inboxes, and has the headers that keep what
// others wrote from running.
func TestScreens(t *testing.T) {
	for _, name := range []string{"", "payments"} {
		t.Run("inbox "+name, func(t *testing.T) {
			b := newBench(t, name)
			event := ""
			if name != "" {
				key := b.put(name, 1, inbox.Event{ID: "evt_1", Type: "paid", Scope: "acme"}, inbox.Envelope{})
				event = "inbox=payments&event=" + key.String()
			}
			b.gateway.guards = []recent.Guard{docrouter(name)}
			b.gateway.refused.Add(recent.Entry{At: noon, Result: "signature_invalid"})
			b.gateway.delivered.Add(recent.Entry{At: noon, Result: "forwarded", Status: 200})
			for path := range screens {
				query := event
				if path == "/change" {
					query = "do=forget&scope=acme&id=evt_1"
				}
				w := b.get(path + "?" + query)
				switch {
				case name == "" && (path == "/delivery" || path == "/body"):
					if w.Code != http.StatusNotFound {
						t.Errorf("%s without an inbox: %d", path, w.Code)
					}
				case w.Code != http.StatusOK:
					t.Errorf("%s: %d\n%s", path, w.Code, w.Body)
				case path != "/body" && strings.Count(w.Body.String(), "<h1>") != 1:
					t.Errorf("%s has not one heading:\n%s", path, w.Body)
				}
				for header, wanted := range map[string]string{
					"Content-Security-Policy": "default-src 'none'", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
				} {
					if got := w.Header().Get(header); !strings.HasPrefix(got, wanted) {
						t.Errorf("%s has %s: %q", path, header, got)
					}
				}
				if policy := w.Header().Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") {
					t.Errorf("%s allows what is unsafe: %s", path, policy)
				}
			}
			if n := b.logs.FilterMessageSnippet("cannot be").Len(); n > 0 {
				t.Errorf("logged: %v", b.logs.All())
			}
		})
	}
}

// The policy allows no style or script in a page, so none may be there.
func TestNoScreenHasInlineCode(t *testing.T) {
	b := newBench(t, "payments")
	key := b.put("payments", 1, inbox.Event{ID: "evt_1"}, inbox.Envelope{Body: []byte("{}")})
	b.gateway.guards = []recent.Guard{docrouter("payments")}
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|<script(?: [^>]*)?>[^<]|\son[a-z]+=|javascript:|hx-on|https?://[^"<]*\.(?:js|css)`)
	for path := range screens {
		body := b.get(path + "?do=pause&body=1&inbox=payments&event=" + key.String()).Body.String()
		if found := inline.FindString(body); found != "" {
			t.Errorf("%s has %q", path, found)
		}
	}
}

// hostile is what a sender, or whoever pretends to be one, can write anywhere.
const hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x00\x1b[31m\u202egnp.exe\u2066 {{.Token}} \xff ]]> --> </pre></textarea>"

var fieldValue = regexp.MustCompile(` value="[^"]*"`)

// What others wrote is text in every screen: no tag, no control character, nothing that turns
// the direction of what follows.
func TestHostileTextsStayText(t *testing.T) {
	b := newBench(t, "payments")
	b.gateway.guards = []recent.Guard{{Provider: hostile, Scope: hostile, Place: hostile, Inbox: "payments"}}
	b.gateway.refused.Add(recent.Entry{At: noon, Result: "signature_invalid", Reason: hostile, Scope: hostile, Host: hostile, Path: hostile, ClientIP: hostile})
	b.gateway.delivered.Add(recent.Entry{At: noon, Result: "forwarded", ID: hostile, Event: hostile, Scope: hostile, Reason: hostile})
	e := inbox.Envelope{Method: hostile, URI: "/" + hostile, Scheme: "https", Host: hostile, RemoteAddr: hostile,
		Header: map[string][]string{"X-A": {hostile}, hostile: {hostile}}, Body: []byte(`{"a":"` + hostile + `"}`)}
	key := b.put("payments", 1, inbox.Event{ID: hostile, Type: hostile, Scope: hostile}, e)
	b.kill("payments", hostile[:60], inbox.Attempt{Error: hostile, Head: []byte(hostile), Status: 500})
	quoted := url.QueryEscape(hostile)
	for _, target := range []string{
		"/", "/deliveries", "/dead", "/refused", "/recent", "/guards",
		"/delivery?inbox=payments&body=1&event=" + key.String(),
		"/deliveries?inbox=payments&state=dead&id=" + quoted + "&type=" + quoted + "&scope=" + quoted + "&since=" + quoted,
		"/deliveries?inbox=payments&cursor=" + quoted, "/deliveries?inbox=" + quoted, "/refused?result=" + quoted,
		"/event?scope=" + quoted + "&id=" + quoted, "/change?do=forget&scope=" + quoted + "&id=" + quoted,
		"/change?do=pause&inbox=" + quoted, "/change?do=delete&inbox=payments&event=" + quoted, "/change?do=" + quoted, "/?did=" + quoted + "&n=1",
		"/" + strings.ReplaceAll(quoted, "+", "%20"),
	} {
		w := b.get(target)
		body := fieldValue.ReplaceAllString(w.Body.String(), "") // a form repeats what it is about
		for _, tag := range []string{"<script>", "<img", "</textarea", "]]>"} {
			if strings.Contains(body, tag) {
				t.Errorf("%s has %s:\n%s", target, tag, body)
			}
		}
		for _, r := range body {
			if r == 0 || r == 0x1b || r == 0x202e || r == 0x2066 {
				t.Errorf("%s has the character U+%04X", target, r)
				break
			}
		}
		if w.Code >= 500 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	b.shows("/delivery?inbox=payments&body=1&event="+key.String(), "⟨U&#43;202E⟩gnp.exe", "⟨U&#43;0000⟩", "⟨U&#43;001B⟩", "⟨FF⟩")
}

// A path leads to one screen, or to none.
func TestPaths(t *testing.T) {
	b := newBench(t, "payments")
	for _, path := range []string{
		"/nothing", "//", "/deliveries/", "/deliveries/x", "/static/", "/static/nothing.js", "/static/../ui.go", "/static/..%2fui.go", "/static/%2e%2e/ui.go",
		"/templates/layout.html", "/static/page.css/", "/..", "/../deliveries", "/Deliveries", "/deliveries%00", "/static/page.css%00", "/%2fdeliveries",
	} {
		if w := b.get(path); w.Code != http.StatusNotFound || strings.Contains(w.Body.String(), "package ui") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	for _, file := range []string{"page.css", "page.js", "htmx.min.js", "icon.svg"} {
		w := b.get("/static/" + file)
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes", file, w.Code, w.Body.Len())
		}
		r := httptest.NewRequest(http.MethodGet, "/static/"+file, nil)
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		if again := b.do(r); again.Code != http.StatusNotModified {
			t.Errorf("%s again: %d", file, again.Code)
		}
	}
}

// The script of others is the one that was looked at, and its licence is with it.
func TestTheScriptOfOthersIsPinned(t *testing.T) {
	script, err := staticFiles.ReadFile("static/htmx.min.js")
	if err != nil {
		t.Fatal(err)
	}
	const released = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717" // of dist/htmx.min.js in htmx.org 2.0.11
	if sum := sha256.Sum256(script); hex.EncodeToString(sum[:]) != released || !strings.Contains(string(script), `version:"2.0.11"`) {
		t.Errorf("htmx is another one: %x", sum)
	}
	licence, err := os.ReadFile("static/htmx.LICENSE")
	if err != nil || !strings.HasPrefix(string(licence), "Zero-Clause BSD") {
		t.Errorf("its licence is %.20q, %v", licence, err)
	}
}

func TestAPageAtAPath(t *testing.T) {
	b := newBench(t, "payments")
	b.Path = "/web/hooks"
	for path, status := range map[string]int{
		"/web/hooks/": 200, "/web/hooks/deliveries": 200, "/web/hooks": 308, "/web/hooks/nothing": 404,
		"/": passedOn, "/web": passedOn, "/web/hooksx": passedOn, "/deliveries": passedOn, "/x/web/hooks/": passedOn,
	} {
		if w := b.get(path); w.Code != status {
			t.Errorf("%s: %d, want %d", path, w.Code, status)
		}
	}
	if to := b.get("/web/hooks").Header().Get("Location"); to != "hooks/" {
		t.Errorf("led to %q", to)
	}
}

// Whoever follows the links to older events meets each one once, whatever comes meanwhile.
func TestOlderEvents(t *testing.T) {
	b := newBench(t, "payments")
	const many = 120
	for n := range many {
		b.put("payments", byte(n), inbox.Event{ID: fmt.Sprintf("evt_%03d.", n)}, inbox.Envelope{})
	}
	seen := make(map[string]int)
	id, older := regexp.MustCompile(`evt_\d+\.`), regexp.MustCompile(`rel="next" href="\./([^"]+)"`)
	pages := 0
	for target := "/deliveries?inbox=payments&since=1h"; target != ""; pages++ {
		body := b.shows(target)
		for _, found := range id.FindAllString(body, -1) {
			seen[found]++
		}
		target = ""
		if next := older.FindStringSubmatch(body); next != nil {
			target = "/" + html.UnescapeString(next[1])
		}
		b.put("payments", byte(many+pages), inbox.Event{ID: "another"}, inbox.Envelope{})
	}
	if len(seen) != many || pages != 3 {
		t.Errorf("%d events on %d pages", len(seen), pages)
	}
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was met %d times", id, times)
		}
	}
}

func TestFilters(t *testing.T) {
	b := newBench(t, "payments")
	b.put("payments", 1, inbox.Event{ID: "evt_dead", Type: "refund", Scope: "acme"}, inbox.Envelope{})
	b.kill("payments", "status 410", inbox.Attempt{Status: 410})
	b.put("payments", 2, inbox.Event{ID: "evt_ready", Type: "charge", Scope: "other"}, inbox.Envelope{})
	for query, wanted := range map[string]string{
		"id=evt_dead": "dead", "state=dead": "dead", "type=refund": "dead", "scope=acme": "dead", "reason=status+410": "dead",
		"id=evt_ready": "ready", "state=ready": "ready", "type=charge": "ready", "since=1m&state=ready": "ready",
		"id=evt": "", "state=done": "", "until=1h": "", "since=2027-01-01T00:00:00Z": "", "id=evt_dead&state=ready": "",
	} {
		body := b.shows("/deliveries?inbox=payments&" + query)
		for _, state := range []string{"dead", "ready"} {
			if listed := strings.Contains(body, "<bdi>evt_"+state); listed != (state == wanted) {
				t.Errorf("%s: evt_%s listed: %v", query, state, listed)
			}
		}
	}
	for query, wanted := range map[string]string{
		"since=yesterday": "write a time such as", "until=x": "write a time such as", "state=gone": "not a state", "cursor=x": "cursor",
	} {
		w := b.get("/deliveries?inbox=payments&" + query)
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), wanted) {
			t.Errorf("%s: %d\n%s", query, w.Code, w.Body)
		}
	}
}

func TestDelivery(t *testing.T) {
	b := newBench(t, "payments")
	b.gateway.guards = []recent.Guard{docrouter("payments")}
	e := inbox.Envelope{Method: http.MethodPost, URI: "/in?api_key=abcdef", Scheme: "https", Host: "hooks.example.com", RemoteAddr: "192.0.2.1:1234",
		Header: map[string][]string{"Content-Type": {"application/json"}, "X-Docrouter-Proof": {"c0ffee"}, "Authorization": {"Bearer hunter2"}, "X-Plain": {"it's plain"}},
		Body:   []byte(`{"a":1,"data":{"pass":"hunter2","client_secret":"hunter2"},"tokens":["hunter2"]}`)}
	key := b.put("payments", 1, inbox.Event{ID: "evt_1", Type: "paid", Scope: "acme"}, e)
	b.kill("payments", "status 410", inbox.Attempt{Status: 410, Head: []byte("gone for good"), At: noon, Took: 1500 * time.Millisecond})
	target := "/delivery?inbox=payments&event=" + key.String()
	without := b.shows(target, "evt_1", "gone for good", "1.5s", "410", "X-Plain", "it&#39;s plain", "--header &#39;X-Plain: it&#39;\\&#39;&#39;s plain&#39;",
		"--data-binary &#39;@event-"+key.String()+".bin&#39;", "Show the body")
	if strings.Contains(without, `&#34;a&#34;`) || b.logs.FilterMessage("a body was shown").Len() != 0 {
		t.Error("the body is shown to who has not asked for it")
	}
	with := b.shows(target+"&body=1", "&#34;a&#34;: 1", "[masked]")
	for _, secret := range []string{"hunter2", "c0ffee", "abcdef"} {
		if strings.Contains(without+with, secret) {
			t.Errorf("%s is shown:\n%s", secret, with)
		}
	}
	if seen := b.logs.FilterMessage("a body was shown").All(); len(seen) != 1 || seen[0].ContextMap()["by"] != "alice" || seen[0].ContextMap()["id"] != "evt_1" {
		t.Errorf("logged %v", seen)
	}
	w := b.get("/body?inbox=payments&event=" + key.String())
	if w.Body.String() != string(e.Body) || w.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment;") {
		t.Errorf("downloaded %q with %v", w.Body, w.Header())
	}
	if w := b.get("/delivery?inbox=payments&event=none"); w.Code != http.StatusBadRequest {
		t.Errorf("an event that is none: %d", w.Code)
	}
}

// What cannot be read, as it is encrypted under a key that nobody has here or damaged, is said
// to be so, and the rest of the event is shown.
func TestARequestThatCannotBeRead(t *testing.T) {
	b := newBench(t, "payments")
	key := inbox.Key{1}
	if _, err := b.queue("payments").Put(context.Background(), inbox.Event{Key: key, ID: "evt_1", Envelope: []byte("sealed")}); err != nil {
		t.Fatal(err)
	}
	b.shows("/delivery?inbox=payments&body=1&event="+key.String(), "evt_1", "cannot be read")
	if w := b.get("/body?inbox=payments&event=" + key.String()); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "cannot be read") {
		t.Errorf("downloaded: %d\n%s", w.Code, w.Body)
	}
}

// A body of any size and kind becomes a page of bounded size, at once.
func TestLargeBodies(t *testing.T) {
	b := newBench(t, "payments")
	for n, body := range map[byte]string{
		1: strings.Repeat("<", 10<<20), 2: `{"a":"` + strings.Repeat("x", 10<<20) + `"}`, 3: strings.Repeat(`[`, 1<<20),
		7: strings.Repeat("[", 9000) + strings.Repeat("]", 9000), 8: strings.Repeat("[", 30) + strings.Repeat("1,", 100_000),
		4: strings.Repeat("\x00", 1<<20), 5: `{"token":"` + strings.Repeat("hunter2 ", 1<<20), 6: strings.Repeat("é", 1<<20),
	} {
		key := b.put("payments", n, inbox.Event{ID: "evt"}, inbox.Envelope{Body: []byte(body), Header: map[string][]string{"Content-Type": {"application/json"}}})
		page := b.shows("/delivery?inbox=payments&body=1&event="+key.String(), `aria-label="Body"`)
		if cut := strings.Contains(page, "Only the first"); cut != (len(body) > mostShown) {
			t.Errorf("body %d is cut: %v", n, cut)
		}
		if len(page) > 12*mostShown || strings.Contains(page, "hunter2") || strings.Contains(page, "�") {
			t.Errorf("body %d makes a page of %d bytes", n, len(page))
		}
	}
}
