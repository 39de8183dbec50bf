package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

// oneDead is a page whose inbox has one dead event.
func oneDead(t *testing.T) (*bench, inbox.Key, url.Values) {
	b := newBench(t, "payments")
	key := b.put("payments", 1, inbox.Event{ID: "evt_1", Scope: "acme"}, inbox.Envelope{})
	b.kill("payments", "status 410", inbox.Attempt{Status: 410})
	return b, key, url.Values{"do": {"replay"}, "inbox": {"payments"}, "event": {key.String()}, "why": {"fixed"}}
}

const changeForm = "/change?do=pause&inbox=payments"

func TestReplayOfOne(t *testing.T) {
	b, key, fields := oneDead(t)
	w := b.do(b.form("/delivery?inbox=payments&event="+key.String(), fields))
	if w.Code != http.StatusSeeOther || b.state("payments", key) != inbox.Ready {
		t.Fatalf("%d, and the event is %v\n%s", w.Code, b.state("payments", key), w.Body)
	}
	b.shows("/"+strings.TrimPrefix(w.Header().Get("Location"), "./"), "Replayed 1 event.", `role="status"`)
	logged := b.logs.FilterMessage("an inbox was changed on request").All()
	if len(logged) != 1 || logged[0].ContextMap()["by"] != "alice" || logged[0].ContextMap()["reason"] != "fixed" {
		t.Errorf("logged %v", logged)
	}
}

func TestReplayOfAllThatMatch(t *testing.T) {
	b := newBench(t, "payments")
	keys := make(map[string][]inbox.Key)
	for n, reason := range []string{"status 410", "age", "status 410", "status 410", "age"} {
		keys[reason] = append(keys[reason], b.put("payments", byte(n), inbox.Event{ID: fmt.Sprint(n), Type: "t" + fmt.Sprint(n)}, inbox.Envelope{}))
		b.kill("payments", reason, inbox.Attempt{})
	}
	b.shows("/dead?inbox=payments", "5 dead events", "status 410")
	for query, count := range map[string]string{
		"state=dead&reason=status+410": "3 events", "state=dead": "5 events", "state=dead&reason=none": "0 events", "type=t1": "1 event", "since=1h&state=dead": "5 events", "until=1h": "0 events",
	} {
		b.shows("/change?do=replay&inbox=payments&"+query, "Replay "+count+"</button>")
	}
	if state := b.state("payments", keys["age"][0]); state != inbox.Dead {
		t.Fatalf("a look has changed an event: it is %v", state)
	}
	screen := "/change?do=replay&inbox=payments&state=dead&reason=status+410"
	w := b.do(b.form(screen, url.Values{"do": {"replay"}, "inbox": {"payments"}, "state": {"dead"}, "reason": {"status 410"}, "why": {"fixed"}, "rate": {"1"}}))
	if w.Code != http.StatusSeeOther {
		t.Fatalf("%d\n%s", w.Code, w.Body)
	}
	b.shows("/"+strings.TrimPrefix(w.Header().Get("Location"), "./"), "Replayed 3 events.", "2 dead events")
	var states []string
	for _, key := range slices.Concat(keys["status 410"], keys["age"]) {
		states = append(states, b.state("payments", key).String())
	}
	if got := strings.Join(states, " "); strings.Count(got, "delayed") != 2 || strings.Count(got, "dead") != 2 {
		t.Errorf("the events are %s", got)
	}
}

func TestOtherChanges(t *testing.T) {
	b, key, _ := oneDead(t)
	ctx := context.Background()
	paused := func() bool {
		status, err := b.queue("payments").Status(ctx)
		return err == nil && status.Paused
	}
	do := func(want string, fields url.Values) {
		t.Helper()
		w := b.do(b.form(changeForm, fields))
		if w.Code != http.StatusSeeOther {
			t.Fatalf("%v: %d\n%s", fields, w.Code, w.Body)
		}
		b.shows("/"+strings.TrimPrefix(w.Header().Get("Location"), "./"), want)
	}
	do("is paused", url.Values{"do": {"pause"}, "inbox": {"payments"}, "why": {"a look"}})
	if b.shows("/", "paused", "Resume"); !paused() {
		t.Error("it is not paused")
	}
	do("delivers again", url.Values{"do": {"resume"}, "inbox": {"payments"}, "why": {"looked"}})
	if b.shows("/", "Pause"); paused() {
		t.Error("it is still paused")
	}
	do("is forgotten", url.Values{"do": {"forget"}, "scope": {"acme"}, "id": {"evt_1"}, "why": {"again"}})
	if len(b.gateway.forgotten) != 1 || b.gateway.forgotten[0] != "acme evt_1 alice again" {
		t.Errorf("forgot %q", b.gateway.forgotten)
	}
	do("Deleted 1 event.", url.Values{"do": {"delete"}, "inbox": {"payments"}, "event": {key.String()}, "why": {"a test"}})
	if _, err := b.queue("payments").Get(ctx, key); err == nil {
		t.Error("the event is still there")
	}
}

// A change is from a form of the page, in the browser that got it, or it is refused.
func TestChangesOfOthersAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*http.Request, url.Values) *http.Request{
		"another site": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			return r
		},
		"another host": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Set("Sec-Fetch-Site", "same-site")
			return r
		},
		"another origin": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "https://evil.example")
			return r
		},
		"an opaque origin": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "null")
			return r
		},
		"no cookie": func(r *http.Request, _ url.Values) *http.Request { r.Header.Del("Cookie"); return r },
		"another cookie": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Set("Cookie", plainCookie+"="+strings.Repeat("A", 26))
			return r
		},
		"a cookie beside it": func(r *http.Request, _ url.Values) *http.Request {
			r.AddCookie(&http.Cookie{Name: plainCookie, Value: strings.Repeat("A", 26)})
			return r
		},
		"a token that is none": func(r *http.Request, f url.Values) *http.Request { return withToken(r, f, "x", "x") },
		"empty tokens":         func(r *http.Request, f url.Values) *http.Request { return withToken(r, f, "", "") },
		"a guessed token":      func(r *http.Request, f url.Values) *http.Request { return withToken(r, f, strings.Repeat("A", 26), "") },
		"no token":             func(r *http.Request, f url.Values) *http.Request { f.Del("token"); return withBody(r, f) },
		"the token in the query": func(r *http.Request, f url.Values) *http.Request {
			r.URL.RawQuery = "token=" + f.Get("token")
			f.Del("token")
			return withBody(r, f)
		},
		"another type of body": func(r *http.Request, _ url.Values) *http.Request {
			r.Header.Set("Content-Type", "text/plain")
			return r
		},
		"a form that is too large": func(r *http.Request, f url.Values) *http.Request {
			f.Set("why", strings.Repeat("x", mostOfForm))
			return withBody(r, f)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, key, fields := oneDead(t)
			r := spoil(b.form(changeForm, fields), fields)
			w := b.do(r)
			if w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest {
				t.Errorf("%d", w.Code)
			}
			if state := b.state("payments", key); state != inbox.Dead {
				t.Errorf("the event is %v", state)
			}
		})
	}
}

func withBody(r *http.Request, fields url.Values) *http.Request {
	again := posted(fields)
	again.Header, again.URL = r.Header, r.URL
	return again
}

// withToken makes the form repeat another token, and the cookie too unless that is "".
func withToken(r *http.Request, fields url.Values, token, cookie string) *http.Request {
	fields.Set("token", token)
	r = withBody(r, fields)
	if cookie != "" || token == "" {
		r.Header.Set("Cookie", plainCookie+"="+cookie)
	}
	return r
}

// What was wrong with a change is said, and nothing is changed.
func TestChangesThatCannotBe(t *testing.T) {
	for query, status := range map[string]int{
		"do=replay&inbox=payments&event=KEY":                    400, // no reason
		"do=replay&inbox=payments&event=KEY&why=+":              400,
		"do=replay&inbox=payments&why=x":                        400, // which would be all of them
		"do=delete&inbox=payments&why=x":                        400,
		"do=replay&inbox=none&event=KEY&why=x":                  400,
		"do=replay&inbox=payments&event=none&why=x":             400,
		"do=replay&inbox=payments&state=dead&why=x&rate=fast":   400,
		"do=replay&inbox=payments&state=dead&why=x&rate=-1":     400,
		"do=replay&inbox=payments&state=dead&why=x&rate=NaN":    400,
		"do=replay&inbox=payments&state=dead&why=x&rate=Inf":    400,
		"do=replay&inbox=payments&state=dead&why=x&rate=1e-99":  400,
		"do=replay&inbox=payments&since=never&why=x":            400,
		"do=format&inbox=payments&why=x":                        400,
		"inbox=payments&why=x":                                  400,
		"do=forget&scope=acme&why=x":                            400,
		"do=pause&inbox=none&why=x":                             400,
		"do=replay&inbox=payments&event=KEY&why=x&state=reborn": 303, // the event is named, so the filter is not looked at
	} {
		b, key, _ := oneDead(t)
		fields, err := url.ParseQuery(strings.ReplaceAll(query, "KEY", key.String()))
		if err != nil {
			t.Fatal(err)
		}
		if w := b.do(b.form(changeForm, fields)); w.Code != status {
			t.Errorf("%s: %d\n%s", query, w.Code, w.Body)
		}
		if changed := b.state("payments", key) != inbox.Dead; changed != (status == 303) {
			t.Errorf("%s: changed: %v", query, changed)
		}
	}
}

// Nothing but a POST to /change changes anything.
func TestMethods(t *testing.T) {
	b, key, fields := oneDead(t)
	for path := range screens {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions, http.MethodTrace, "REPLAY"} {
			if path == changePath && method == http.MethodPost {
				continue
			}
			r := b.form(changeForm, fields)
			r.Method, r.URL.Path = method, path
			if w := b.do(r); w.Code != http.StatusMethodNotAllowed || !strings.HasPrefix(w.Header().Get("Allow"), "GET, HEAD") {
				t.Errorf("%s %s: %d, %v", method, path, w.Code, w.Header())
			}
		}
		b.get(path + "?" + fields.Encode())
	}
	if state := b.state("payments", key); state != inbox.Dead {
		t.Errorf("the event is %v", state)
	}
}

func TestReadOnly(t *testing.T) {
	b, key, fields := oneDead(t)
	form := b.form(changeForm, fields)
	b.ReadOnly = true
	if w := b.do(form); w.Code != http.StatusForbidden || b.state("payments", key) != inbox.Dead {
		t.Errorf("%d, and the event is %v", w.Code, b.state("payments", key))
	}
	if w := b.get(changeForm); w.Code != http.StatusForbidden {
		t.Errorf("the form: %d", w.Code)
	}
	for _, target := range []string{"/", "/deliveries?state=dead", "/dead", "/delivery?inbox=payments&event=" + key.String(), "/event?scope=acme&id=evt_1"} {
		w := b.get(target)
		if body := w.Body.String(); strings.Contains(body, "/change") || strings.Contains(body, `method="post"`) || !strings.Contains(body, "read only") {
			t.Errorf("%s offers a change:\n%s", target, body)
		}
		if cookies := w.Result().Cookies(); len(cookies) != 0 {
			t.Errorf("%s sets %v", target, cookies)
		}
	}
}

// Several gateways stand behind one name, and none knows which forms the others have shown.
func TestAFormOfAnotherGateway(t *testing.T) {
	b, key, fields := oneDead(t)
	other := benchOf(t, &gateway{store: b.gateway.store, logger: b.gateway.logger}, b.logger, b.logs)
	if w := other.do(b.form(changeForm, fields)); w.Code != http.StatusSeeOther || b.state("payments", key) != inbox.Ready {
		t.Errorf("%d, and the event is %v", w.Code, b.state("payments", key))
	}
}

// Over TLS the cookie is one that no other host can have set, and it lasts over several forms.
func TestTheCookie(t *testing.T) {
	b, _, _ := oneDead(t)
	first := b.do(httptest.NewRequest(http.MethodGet, "https://admin.example.com/", nil)).Result().Cookies()
	if len(first) != 1 || first[0].Name != "__Host-webhook-guard" || !first[0].Secure || !first[0].HttpOnly || first[0].Path != "/" || first[0].Domain != "" || first[0].SameSite != http.SameSiteLaxMode {
		t.Fatalf("%v", first)
	}
	again := httptest.NewRequest(http.MethodGet, "https://admin.example.com/", nil)
	again.AddCookie(first[0])
	if more := b.do(again).Result().Cookies(); len(more) != 0 {
		t.Errorf("set again: %v", more)
	}
	// The name of a site without TLS is not taken over TLS: another host may have set it.
	plain := httptest.NewRequest(http.MethodGet, "https://admin.example.com/", nil)
	plain.AddCookie(&http.Cookie{Name: plainCookie, Value: first[0].Value})
	if set := b.do(plain).Result().Cookies(); len(set) != 1 || set[0].Value == first[0].Value {
		t.Errorf("%v", set)
	}
}
