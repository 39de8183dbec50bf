//go:build full

package browser

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

var picture = flag.String("picture", "", "where to put the picture for the README")

// screens are all screens, by the names of their pictures.
func (r *rig) screens() map[string]string {
	r.t.Helper()
	dead := r.events(url.Values{"state": {"dead"}})[0]
	return map[string]string{
		"inboxes":    r.url("/"),
		"deliveries": r.url("/deliveries?inbox=payments"),
		"nothing":    r.url("/deliveries?inbox=payments&id=none"),
		"delivery":   r.delivery(dead) + "&body=1",
		"dead":       r.url("/dead?inbox=payments"),
		"replay":     r.url("/change?do=replay&inbox=payments&state=dead"),
		"pause":      r.url("/change?do=pause&inbox=payments"),
		"recent":     r.url("/recent"),
		"refused":    r.url("/refused"),
		"guards":     r.url("/guards"),
		"event":      r.url("/event?scope=docrouter&id=" + dead.ID),
		"error":      r.url("/no-such-page"),
	}
}

// Each screen can be used by everybody, as far as a program can tell, in light and dark, and
// leaves a picture.
func TestScreens(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.filled()
	p := open(t)
	p.allow("/no-such-page")
	axe := axeCore(t)
	for name, address := range r.screens() {
		for _, dark := range []bool{false, true} {
			called := name
			if dark {
				called += "-dark"
			}
			p.dark(dark)
			p.visit(address)
			p.sees("Webhook Guard")
			png := p.shot(called)
			if called == "deliveries" && *picture != "" {
				if err := os.WriteFile(*picture, png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p.accessible(called, axe)
		}
	}
}

// A banner says what must not be overlooked, such as that this is a demo.
func TestBanner(t *testing.T) {
	t.Parallel()
	r := start(t, "banner \"A demo, with <b>demo</b> secrets\"")
	p := open(t)
	axe := axeCore(t)
	for _, dark := range []bool{false, true} {
		p.dark(dark)
		p.visit(r.url("/"))
		p.sees("A demo, with <b>demo</b> secrets")
		p.accessible("banner", axe)
	}
}

// axeCore is the text of axe-core.
func axeCore(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("node_modules", "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatalf("axe-core is not installed: run `make deps-full`: %v", err)
	}
	return string(text)
}

// accessible fails for what axe takes to be serious.
func (p *tab) accessible(screen, axe string) {
	p.t.Helper()
	eval[int](p, axe+"\n;0")
	found := eval[string](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(
		v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html + " " + (n.failureSummary || ""))}))))`)
	var violations []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(found), &violations); err != nil {
		p.t.Fatalf("axe says %q: %v", found, err)
	}
	for _, v := range violations {
		p.t.Errorf("%s: %s (%s): %s\n\t%s", screen, v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
}

// On a phone nothing is wider than the screen, and nothing has to be scrolled sideways, however
// long the words are that senders write.
func TestNarrowScreen(t *testing.T) {
	t.Parallel()
	r := start(t)
	long := strings.Repeat("x", 900)
	words := testbed.DocRouter().Request(t, r.gateway.URL(""), testbed.Event{ID: long, Type: "doomed"}.Fill())
	words.Header.Set("X-Long", long)
	if got := testbed.Do(t, words); got.Guard != "accepted" {
		t.Fatalf("the sender got %s", got)
	}
	wordy := r.wait("dead", 1)[0]
	r.sendBody(testbed.DocRouter().Body(testbed.Event{ID: "1", Type: long}.Fill()))
	r.wait("done", 1)
	r.filledBeside(1, 1)
	screens := r.screens()
	screens["wordy"] = r.delivery(wordy) + "&body=1"
	screens["wordy-event"] = r.url("/event?scope=docrouter&id=" + wordy.ID)
	screens["wordy-search"] = r.url("/deliveries?inbox=payments&id=" + wordy.ID)
	p := open(t)
	p.allow("/no-such-page")
	p.narrow()
	axe := axeCore(t)
	for name, address := range screens {
		for _, dark := range []bool{false, true} {
			called := name + "-narrow"
			if dark {
				called += "-dark"
			}
			p.dark(dark)
			p.visit(address)
			p.sees("Webhook Guard")
			p.shot(called)
			p.accessible(called, axe)
			if wide := eval[int](p, `document.scrollingElement.scrollWidth`); wide > phone {
				t.Errorf("%s: the page is %d wide on a screen of %d", called, wide, phone)
			}
			if inside := eval[string](p, `[...document.querySelectorAll("body *")].filter(e => e.scrollWidth > e.clientWidth + 1 &&
				["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.clientWidth > 1).map(e => e.outerHTML.slice(0, 200)).join("\n")`); inside != "" {
				t.Errorf("%s: one has to scroll sideways in %s", called, inside)
			}
		}
	}
	p.visit(r.url("/"))
	p.click("link", "Dead letters")
	p.title("Dead letters")
	p.click("link", "Replay all dead…")
	p.title("Replay 4 events")
}

// All of it can be done without a mouse, and one sees where one is.
func TestKeyboard(t *testing.T) {
	t.Parallel()
	r := start(t)
	r.send("1", "doomed")
	r.wait("dead", 1)
	r.healed.Store(true)
	p := open(t)
	p.visit(r.url("/deliveries?inbox=payments"))
	p.title("Deliveries")
	p.tabTo("Skip to the content")
	p.tabTo("Event ID")
	p.do(chromedp.KeyEvent("ev-1" + kb.Enter))
	p.at("id=ev-1")
	p.tabTo("ev-1")
	p.do(chromedp.KeyEvent(kb.Enter))
	p.title("Delivery")
	p.tabTo("Reason")
	p.do(chromedp.KeyEvent("no mouse"))
	p.tabTo("Replay")
	p.do(chromedp.KeyEvent(kb.Enter))
	r.app.WaitCount(2)
	r.wait("done", 1)
}

var errStill = errors.New("not yet")

// tabTo presses the tabulator until what has a name has the focus, and fails where the focus
// cannot be seen on the way.
func (p *tab) tabTo(name string) {
	p.t.Helper()
	const focused = `(() => {
		const e = document.activeElement, s = getComputedStyle(e);
		const label = e.labels && e.labels.length ? e.labels[0].innerText : (e.getAttribute("aria-label") || e.innerText || "");
		return {name: label.trim(), seen: e.tagName == "BODY" || (s.outlineStyle != "none" && parseFloat(s.outlineWidth) > 0) || s.boxShadow != "none"};
	})()`
	type focus struct {
		Name string `json:"name"`
		Seen bool   `json:"seen"`
	}
	var passed []string
	for range 80 {
		p.do(chromedp.KeyEvent(kb.Tab))
		at := eval[focus](p, focused)
		if !at.Seen {
			p.t.Errorf("the focus on %q cannot be seen", at.Name)
		}
		if at.Name == name {
			return
		}
		passed = append(passed, at.Name)
	}
	p.t.Fatalf("the tabulator does not lead to %q, but to %s", name, fmt.Sprintf("%q", passed))
}
