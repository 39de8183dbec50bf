package ui

import (
	"html"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// Whatever is answered, no browser runs anything in it, frames it, guesses what it is, or keeps
// it; nor does it tell another site where it was.
func TestEveryAnswerHasTheHeaders(t *testing.T) {
	b, key, fields := oneDead(t)
	b.Path = "/hooks"
	request := func(method, target string) *http.Request {
		return httptest.NewRequest(method, "http://admin.example.com/hooks"+target, nil)
	}
	form := func(fields url.Values) *http.Request {
		r := posted(fields)
		r.URL.Path = "/hooks/change"
		return r
	}
	good := b.form("/hooks"+changeForm, url.Values{"do": {"pause"}, "inbox": {"payments"}, "why": {"x"}})
	good.URL.Path = "/hooks/change"
	for name, tc := range map[string]struct {
		r      *http.Request
		status int
	}{
		"a screen":            {request("GET", "/deliveries"), 200},
		"its head":            {request("HEAD", "/deliveries"), 200},
		"without its slash":   {request("GET", ""), 308},
		"a body":              {request("GET", "/body?inbox=payments&event="+key.String()), 200},
		"a file":              {request("GET", "/static/page.js"), 200},
		"no file":             {request("GET", "/static/none.js"), 404},
		"no page":             {request("GET", "/none"), 404},
		"no inbox":            {request("GET", "/deliveries?inbox=none"), 404},
		"no event":            {request("GET", "/delivery?inbox=payments&event=none"), 400},
		"a wrong filter":      {request("GET", "/deliveries?since=never"), 400},
		"a wrong method":      {request("PUT", "/deliveries"), 405},
		"a long address":      {request("GET", "/deliveries?id="+strings.Repeat("x", mostOfQuery)), 414},
		"a form of others":    {form(fields), 403},
		"a form that is none": {form(url.Values{"%": {"%zz"}}), 403},
		"a change":            {good, 303},
	} {
		w := b.do(tc.r)
		if w.Code != tc.status {
			t.Errorf("%s: %d, want %d", name, w.Code, tc.status)
		}
		for header, wanted := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; ", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(header); !strings.HasPrefix(got, wanted) {
				t.Errorf("%s has %s: %q", name, header, got)
			}
		}
		keeps := "no-store"
		if name == "a file" {
			keeps = "private, no-cache"
		}
		if got := w.Header().Get("Cache-Control"); got != keeps {
			t.Errorf("%s may be kept: %q", name, got)
		}
		if w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is for other sites, too", name)
		}
	}
}

// A download is a file to the browser, under a name that the sender has no part in.
func TestADownloadIsAFile(t *testing.T) {
	b := newBench(t, "payments")
	for n, kind := range []string{"text/html", "image/svg+xml", "application/javascript", "text/html; charset=utf-7", ""} {
		key := b.put("payments", byte(n), inbox.Event{ID: "x\"; filename=evil.html\r\nSet-Cookie: a=b", Type: "../../evil.html", Scope: "acme"},
			inbox.Envelope{Body: []byte("<script>alert(1)</script>"), Header: map[string][]string{"Content-Type": {kind}, "Content-Disposition": {"inline; filename=evil.html"}}})
		for _, name := range []string{key.String(), "x\"; filename=evil.html\r\nSet-Cookie: a=b"} {
			w := b.get("/body?inbox=payments&event=" + url.QueryEscape(name))
			if w.Code == http.StatusBadRequest && n > 0 {
				continue // the ID is that of several
			}
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasSuffix(w.Header().Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%s: %d, %v", kind, w.Code, w.Header())
			}
			if got := w.Header().Get("Content-Disposition"); !strings.HasPrefix(got, `attachment; filename="event-`) || strings.Contains(got, "evil") || len(w.Header().Values("Set-Cookie")) > 0 {
				t.Errorf("%s: %q, %v", kind, got, w.Header())
			}
		}
	}
}

// A cursor that somebody has made up, or taken from elsewhere, is refused or lists what any
// other does: it is no way to make the page fail.
func TestCursorsOfOthers(t *testing.T) {
	for name, store := range realStores(t) {
		t.Run(name, func(t *testing.T) {
			b := benchOn(t, store)
			b.died("payments", 0, 120)
			b.died("refunds", 0, 120)
			random := rand.New(rand.NewPCG(1, 2))
			for range 300 {
				var k inbox.Key
				for i := range k {
					k[i] = byte(random.Uint32())
				}
				cursor := inbox.Cursor{List: random.IntN(256), At: random.Int64() >> random.IntN(64), Key: k}
				if random.IntN(2) == 0 {
					cursor.At = -cursor.At
				}
				for _, filter := range []string{"", "&state=dead", "&type=type.1", "&id=evt_1", "&since=1h&scope=acme"} {
					w := b.get("/deliveries?inbox=payments" + filter + "&cursor=" + cursor.String())
					if w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
						t.Fatalf("%+v with %q: %d\n%s", cursor, filter, w.Code, w.Body)
					}
				}
			}
		})
	}
}

// Who uses the page is said by a placeholder, which may hold what a stranger has written.
func TestAHostileUserIsText(t *testing.T) {
	b, key, fields := oneDead(t)
	b.User, b.Banner = "{http.request.header.Remote-User}", "<b>\u202eonly a demo</b>"
	as := func(r *http.Request) *httptest.ResponseRecorder {
		r.Header.Set("Remote-User", hostile)
		w := httptest.NewRecorder()
		repl := caddy.NewReplacer()
		r = caddyhttp.PrepareRequest(r, repl, w, &caddyhttp.Server{})
		if err := b.ServeHTTP(w, r, nil); err != nil {
			t.Fatal(err)
		}
		return w
	}
	page := as(httptest.NewRequest(http.MethodGet, "http://admin.example.com/", nil)).Body.String()
	for _, harm := range []string{"<script>alert", "<img", "<b>", "\x1b", "\x00", "\u202e", "{{"} {
		if strings.Contains(strings.ReplaceAll(page, "{{.Token}}", ""), harm) {
			t.Errorf("the page has %q", harm)
		}
	}
	if !strings.Contains(page, "Signed in as &lt;script&gt;") {
		t.Errorf("the page does not say who it takes the user for:\n%s", page)
	}
	if w := as(b.form(changeForm, fields)); w.Code != http.StatusSeeOther || b.state("payments", key) != inbox.Ready {
		t.Errorf("%d", w.Code)
	}
	if logged := b.logs.FilterMessage("an inbox was changed on request").All(); len(logged) != 1 || logged[0].ContextMap()["by"] != hostile {
		t.Errorf("logged %v", logged)
	}
}

// A change from a program that is no browser has neither origin: it takes the cookie and the
// token of the form all the same.
func TestAChangeWithoutAnOrigin(t *testing.T) {
	for _, withToken := range []bool{true, false} {
		b, key, fields := oneDead(t)
		r := b.form(changeForm, fields)
		r.Header.Del("Sec-Fetch-Site")
		if !withToken {
			r.Header.Del("Cookie")
		}
		w := b.do(r)
		if changed := b.state("payments", key) == inbox.Ready; changed != withToken || (w.Code == http.StatusSeeOther) != withToken {
			t.Errorf("with a token: %v: %d, changed: %v", withToken, w.Code, changed)
		}
	}
}

// A form's own words are all that counts: what else a request says, in its query, in a second
// field, or as another method, changes nothing.
func TestAFormSaysItAll(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request){
		"another change in the query": func(r *http.Request) { r.URL.RawQuery = "do=delete&inbox=payments&why=x" },
		"another method in a header":  func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "DELETE") },
		"another URL in a header": func(r *http.Request) {
			r.Header.Set("X-Original-URL", "/change?do=delete")
			r.Header.Set("X-Rewrite-URL", "/change")
		},
	} {
		b, key, fields := oneDead(t)
		r := b.form(changeForm, fields)
		spoil(r)
		if w := b.do(r); w.Code != http.StatusSeeOther || b.state("payments", key) != inbox.Ready {
			t.Errorf("%s: %d, and the event is %v", name, w.Code, b.state("payments", key))
		}
	}
	b, key, fields := oneDead(t)
	fields.Set("why", strings.Repeat("é", mostOfReason+1))
	if w := b.do(b.form(changeForm, fields)); w.Code != http.StatusBadRequest || b.state("payments", key) != inbox.Dead {
		t.Errorf("a long reason: %d", w.Code)
	}
}

var linked = regexp.MustCompile(`(?:href|src|hx-get)="([^"#]+)"`)

// Under a prefix that Caddy takes off, every link leads back to a page.
func TestLinksUnderAPrefix(t *testing.T) {
	b, key, _ := oneDead(t)
	for _, screen := range []string{"/", "/deliveries?state=dead", "/delivery?inbox=payments&body=1&event=" + key.String(), "/dead", "/recent", "/refused", "/guards",
		"/event?scope=acme&id=evt_1", "/change?do=pause&inbox=payments", "/none", "/static/none"} {
		base, err := url.Parse("http://admin.example.com/outer/hooks" + screen)
		if err != nil {
			t.Fatal(err)
		}
		links := 0
		for _, link := range linked.FindAllStringSubmatch(b.get(screen).Body.String(), -1) {
			to, err := base.Parse(html.UnescapeString(link[1]))
			if err != nil || !strings.HasPrefix(to.Path, "/outer/hooks/") {
				t.Errorf("%s leads to %s: %v", screen, link[1], err)
				continue
			}
			links++
			if w := b.get(strings.TrimPrefix(to.RequestURI(), "/outer/hooks")); w.Code != http.StatusOK {
				t.Errorf("%s leads to %s: %d", screen, to, w.Code)
			}
		}
		if links < 8 {
			t.Errorf("%s has %d links", screen, links)
		}
	}
}
