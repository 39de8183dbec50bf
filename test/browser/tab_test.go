//go:build full

package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long a condition may take on a busy machine.
const patience = 60 * time.Second

// tab is a tab of the browser with nothing in its memory. What goes wrong in it fails the
// test: an exception, a dialog, whatever the content security policy had to stop.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu     sync.Mutex
	wrong  []string
	expect []string // parts of messages that are not wrong
}

func open(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, text := range p.wrong {
			if !slices.ContainsFunc(p.expect, func(part string) bool { return strings.Contains(text, part) }) {
				t.Errorf("in the browser: %s", text)
			}
		}
	})
	p.do(command(cdplog.Enable, cdp.Empty{}), command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1280, Height: 900, DeviceScaleFactor: 1}))
	return p
}

func (p *tab) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = fmt.Sprintf("exception: %+v", e.ExceptionDetails)
	case *page.EventJavascriptDialogOpening:
		text = "dialog: " + e.Message
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError {
			text = "console: " + e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wrong = append(p.wrong, text)
	}
}

// complained reports whether the browser has said something with the text.
func (p *tab) complained(part string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.wrong, func(text string) bool { return strings.Contains(text, part) })
}

// allow says that messages with the text are no failure.
func (p *tab) allow(part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expect = append(p.expect, part)
}

// command is a command of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (v chromedp.Void, err error) {
		_, err = cdp.Call(ctx, t, c, params)
		return v, err
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// until repeats what may fail while a page changes.
func (p *tab) until(what string, do func(ctx context.Context, t *chromedp.Target) error) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var last error
	for {
		// The browser never answers some questions about a page that is just being left.
		try, cancel := context.WithTimeout(ctx, patience/6)
		err := chromedp.Do(try, chromedp.Func(do))
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			p.shot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
			p.t.Fatalf("%s: %v\non the page:\n%s", what, last, p.text())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// visit opens a URL.
func (p *tab) visit(url string) {
	p.t.Helper()
	p.do(chromedp.Navigate(url))
}

// eval returns the value of an expression, or of the promise that it is.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	return value
}

const allText = `document.body ? document.body.innerText : ""`

// text is what can be read on the page.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](allText))
	if err != nil {
		return err.Error()
	}
	return text
}

// sees waits until a text can be read.
func (p *tab) sees(parts ...string) {
	p.t.Helper()
	for _, part := range parts {
		p.until(fmt.Sprintf("%q is to be read", part), func(ctx context.Context, t *chromedp.Target) error {
			text, err := chromedp.Evaluate[string](allText)(ctx, t)
			if err != nil {
				return err
			}
			if !strings.Contains(text, part) {
				return errors.New("it is not there")
			}
			return nil
		})
	}
}

// title waits for the heading of a screen.
func (p *tab) title(want string) {
	p.t.Helper()
	p.until("the heading "+want, func(ctx context.Context, t *chromedp.Target) error {
		got, err := chromedp.Evaluate[string](`(document.querySelector("h1") || {innerText: ""}).innerText`)(ctx, t)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(got, want) {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
}

// confirmed waits until the page says what has been done.
func (p *tab) confirmed() {
	p.t.Helper()
	p.until("a confirmation", func(ctx context.Context, t *chromedp.Target) error {
		there, err := chromedp.Evaluate[bool](`document.querySelector("main > [role=status]") != null`)(ctx, t)
		if err == nil && !there {
			err = errStill
		}
		return err
	})
}

// at waits until a page is there whose address has a part. Until then there is the one before
// it, with much the same on it in other places.
func (p *tab) at(part string) {
	p.t.Helper()
	p.until("the page at "+part, func(ctx context.Context, t *chromedp.Target) error {
		where, err := chromedp.Evaluate[string](`document.readyState == "complete" ? location.href : ""`)(ctx, t)
		if err == nil && !strings.Contains(where, part) {
			err = fmt.Errorf("it is at %q", where)
		}
		return err
	})
}

// hasNot fails where a control is there.
func (p *tab) hasNot(role, name string) {
	p.t.Helper()
	p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		if id, err := find(ctx, t, name, role); err == nil && id != 0 {
			p.t.Errorf("there is a %s %q", role, name)
		}
		return nil
	}))
}

// find returns what assistive technology calls by a name. A name that ends with a star is
// the beginning of one.
func find(ctx context.Context, t *chromedp.Target, name string, roles ...string) (cdp.BackendNodeID, error) {
	document, err := cdp.Call(ctx, t, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return 0, err
	}
	begin, open := strings.CutSuffix(name, "*")
	query := accessibility.QueryAXTreeParams{BackendNodeID: document.Root.BackendNodeID}
	if !open {
		query.AccessibleName = name
	}
	found, err := cdp.Call(ctx, t, accessibility.QueryAXTree, query)
	if err != nil {
		return 0, err
	}
	for _, node := range found.Nodes {
		if node.Ignored || node.Role == nil || !slices.Contains(roles, valueOf(node.Role)) || !strings.HasPrefix(valueOf(node.Name), begin) {
			continue
		}
		return node.BackendDOMNodeID, nil
	}
	return 0, fmt.Errorf("there is no %s %q", strings.Join(roles, " or "), name)
}

func valueOf(v *accessibility.Value) string {
	text := ""
	if v != nil {
		_ = json.Unmarshal(v.Value, &text) // other values are no names
	}
	return text
}

// click clicks with the mouse on what has a role and a name.
func (p *tab) click(role, name string) {
	p.t.Helper()
	p.until(fmt.Sprintf("click on the %s %q", role, name), func(ctx context.Context, t *chromedp.Target) error {
		id, err := find(ctx, t, name, role)
		if err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, t, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
			return err
		}
		quads, err := cdp.Call(ctx, t, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: id})
		if err != nil {
			return err
		}
		if len(quads.Quads) == 0 {
			return errors.New("it cannot be seen")
		}
		q := quads.Quads[0]
		_, err = chromedp.MouseClickXY((q[0]+q[4])/2, (q[1]+q[5])/2)(ctx, t)
		return err
	})
}

// fill puts a text into the field with the label.
func (p *tab) fill(label, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("fill in the field %q", label), func(ctx context.Context, t *chromedp.Target) error {
		id, err := find(ctx, t, label, "textbox", "searchbox", "spinbutton")
		if err != nil {
			return err
		}
		if _, err := cdp.Call(ctx, t, dom.Focus, dom.FocusParams{BackendNodeID: id}); err != nil {
			return err
		}
		_, err = cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return err
	})
}

// withoutScripts keeps the page's scripts from being loaded. It has none in its text.
func (p *tab) withoutScripts() {
	p.allow("ERR_BLOCKED_BY_CLIENT")
	p.do(
		command(network.Enable, network.EnableParams{}),
		command(network.SetBlockedURLs, network.SetBlockedURLsParams{URLPatterns: []*network.BlockPattern{{URLPattern: "*://*:*/*.js", Block: true}}}),
	)
}

// dark asks for dark colours, or light ones.
func (p *tab) dark(on bool) {
	value := "light"
	if on {
		value = "dark"
	}
	p.do(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: value}}}))
}

// phone is how wide a small phone is.
const phone = 360

// narrow makes the window as wide as a small phone.
func (p *tab) narrow() {
	p.do(command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: phone, Height: 740, DeviceScaleFactor: 2, Mobile: true}))
}

const shots = "shots"

// shot leaves a picture of the whole page.
func (p *tab) shot(name string) []byte {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = errors.Join(os.MkdirAll(shots, 0o755), os.WriteFile(filepath.Join(shots, name+".png"), picture, 0o644))
	}
	if err != nil {
		p.t.Errorf("picture %s: %v", name, err)
	}
	return picture
}

// table is what can be read in the page's table.
func (p *tab) table() string {
	p.t.Helper()
	return eval[string](p, `(document.querySelector("table") || {innerText: ""}).innerText`)
}
