package e2e

import (
	"bytes"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// browser is what a page needs of one: it keeps cookies, says where its requests are from,
// and sends the forms that it has got.
type browser struct {
	t      *testing.T
	base   string
	client *http.Client
	sign   func(*http.Request) // what the user signs in with
}

func newBrowser(t *testing.T, base string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t: t, base: base, client: &http.Client{Jar: jar}, sign: func(*http.Request) {}}
}

func (b *browser) do(r *http.Request) (int, string) {
	b.t.Helper()
	b.sign(r)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, body.String()
}

func (b *browser) get(path string) (int, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(r)
}

// shows fails the test unless the screen has the texts.
func (b *browser) shows(path string, texts ...string) string {
	b.t.Helper()
	status, body := b.get(path)
	if status != http.StatusOK {
		b.t.Fatalf("%s: %d\n%s", path, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			b.t.Fatalf("%s does not show %q:\n%s", path, text, body)
		}
	}
	return body
}

var formToken = regexp.MustCompile(`name="token" value="([^"]+)"`)

// fill sends a form with the token of a screen, and returns the screen behind it.
func (b *browser) fill(screen string, fields url.Values) (int, string) {
	b.t.Helper()
	token := formToken.FindStringSubmatch(b.shows(screen))
	if token == nil {
		b.t.Fatalf("%s has no form", screen)
	}
	fields.Set("token", token[1])
	return b.post(fields)
}

func (b *browser) post(fields url.Values) (int, string) {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, b.base+"/change", strings.NewReader(fields.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// withPage adds a page to the configuration of an inbox, at $PAGE.
func withPage(t *testing.T, s inboxSetup, lines string) (*testbed.Gateway, *browser) {
	t.Helper()
	port := strconv.Itoa(testbed.FreePort(t))
	g := testbed.StartGateway(t, s.caddyfile()+"http://127.0.0.1:{$PAGE} {\n\twebhook_guard_ui {\n"+lines+"\n\t}\n}\n", testbed.WithEnv("PAGE="+port))
	return g, newBrowser(t, "http://127.0.0.1:"+port)
}

// What a sender sent is found, shown as text, and replayed, on each store.
func TestThePageOfAnInbox(t *testing.T) {
	t.Parallel()
	onInboxStores(t, func(t *testing.T, inboxes func(func(testbed.Delivery) testbed.Answer, ...string) inboxSetup) {
		next := newAnswers()
		s := inboxes(next.give, "give_up 410")
		g, b := withPage(t, s, "")
		sender := testbed.DocRouter()
		e := testbed.Event{}.Fill()
		hostile := append(bytes.TrimSuffix(sender.Body(e), []byte("}")), `,"note":"</pre><script>alert(1)</script>\u202e","client_secret":"unsayable"}`...)
		next.then(testbed.Answer{Status: 410, Body: []byte("<img src=x onerror=alert(2)>\x1b[31m")})
		want(t, testbed.Do(t, sender.RequestWith(t, g.URL(""), hostile, e)), 200, "accepted")
		testbed.Eventually(t, soon, func() bool { return strings.Contains(b.shows("/dead"), "1 dead event") }, "the event to be dead")
		key := regexp.MustCompile(`/delivery\?event=([^&]+)&`).FindStringSubmatch(b.shows("/deliveries?state=dead", "status 410"))
		if key == nil {
			t.Fatal("the event is not listed")
		}
		target := "/delivery?inbox=docrouter&event=" + key[1]
		body := b.shows(target+"&body=1", "&lt;script&gt;", "&lt;img src=x", "[masked]", "⟨U&#43;001B⟩")
		for _, hidden := range []string{"<script>", "<img", "unsayable", sender.Secret, "\x1b"} {
			if strings.Contains(body, hidden) {
				t.Errorf("%q is shown", hidden)
			}
		}
		if _, raw := b.get("/body?inbox=docrouter&event=" + key[1]); raw != string(hostile) {
			t.Errorf("downloaded %q", raw)
		}
		id := s.app.Deliveries()[0].Header.Get("Webhook-Guard-Id")
		b.shows("/deliveries?id="+url.QueryEscape(id), key[1])
		if strings.Contains(b.shows("/deliveries?id=another"), key[1]) {
			t.Error("found under another ID")
		}
		status, behind := b.fill(target, url.Values{"do": {"replay"}, "inbox": {"docrouter"}, "event": {key[1]}, "why": {"it works now"}})
		if status != http.StatusOK || !strings.Contains(behind, "Replayed 1 event.") {
			t.Fatalf("%d\n%s", status, behind)
		}
		s.app.WaitCount(2)
		g.WaitOutput(`"reason":"it works now"`)
		testbed.Eventually(t, soon, func() bool { return strings.Contains(b.shows(target), ">done</span>") }, "the replay to be shown")
	})
}

// A body of the largest size is shown and downloaded.
func TestThePageOfALargeBody(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, func(testbed.Delivery) testbed.Answer { return testbed.Answer{Status: 410} }, "give_up 410")
	g, b := withPage(t, s, "")
	sender, e := testbed.DocRouter(), testbed.Event{}.Fill()
	large := append(bytes.TrimSuffix(sender.Body(e), []byte("}")), `,"note":"`+strings.Repeat("<\\u0000", 1_200_000)+`"}`...)
	want(t, testbed.Do(t, sender.RequestWith(t, g.URL(""), large, e)), 200, "accepted")
	testbed.Eventually(t, soon, func() bool { return strings.Contains(b.shows("/dead"), "1 dead event") }, "the event to be dead")
	key := regexp.MustCompile(`/delivery\?event=([^&]+)&`).FindStringSubmatch(b.shows("/deliveries"))
	if key == nil {
		t.Fatal("the event is not listed")
	}
	if shown := b.shows("/delivery?body=1&inbox=docrouter&event="+key[1], "Only the first"); len(shown) > 2<<20 {
		t.Errorf("the screen has %d bytes", len(shown))
	}
	if _, raw := b.get("/body?inbox=docrouter&event=" + key[1]); raw != string(large) {
		t.Errorf("downloaded %d bytes of %d", len(raw), len(large))
	}
}

// Two gateways on one Redis show the same, and take each other's forms; one that is read only
// takes none.
func TestThePagesOfSeveralGateways(t *testing.T) {
	t.Parallel()
	s, _ := inboxes(t, nil)
	g, one := withPage(t, s, "")
	_, two := withPage(t, s, "")
	_, reader := withPage(t, s, "read_only")
	want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
	s.app.WaitCount(1)
	pause := url.Values{"do": {"pause"}, "inbox": {"docrouter"}, "why": {"maintenance"}}
	token := formToken.FindStringSubmatch(one.shows("/change?do=pause&inbox=docrouter"))
	two.client.Jar = one.client.Jar // as both are behind one name
	pause.Set("token", token[1])
	if status, body := two.post(pause); status != http.StatusOK || !strings.Contains(body, "The inbox is paused") {
		t.Fatalf("%d\n%s", status, body)
	}
	one.shows("/", ">paused</span>")
	reader.client.Jar = one.client.Jar
	pause.Set("do", "resume")
	if status, body := reader.post(pause); status != http.StatusForbidden || !strings.Contains(body, "read only") {
		t.Errorf("%d\n%s", status, body)
	}
	reader.shows("/", ">paused</span>")
}

// A store without inboxes has a page, too.
func TestThePageWithoutAnInbox(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	page := strconv.Itoa(testbed.FreePort(t))
	sender := testbed.DocRouter()
	text := site{store: "memory", routes: route("", sender.Name, proxy(app), "secret "+sender.Secret)}.caddyfile() +
		"http://127.0.0.1:{$PAGE} {\n\twebhook_guard_ui\n}\n"
	g := testbed.StartGateway(t, text, testbed.WithEnv("PAGE="+page))
	b := newBrowser(t, "http://127.0.0.1:"+page)
	e := testbed.Event{}.Fill()
	want(t, testbed.Do(t, sender.Request(t, g.URL(""), e)), 200, "forwarded")
	forged := sender.Request(t, g.URL(""), testbed.Event{})
	want(t, testbed.Do(t, withBody(forged, []byte(`{"forged":"unsayable"}`))), 401, "signature_invalid")
	id := last(t, app).Header.Get("Webhook-Guard-Id")
	b.shows("/", "No guard of this gateway has an inbox")
	b.shows("/recent", id, "forwarded")
	if body := b.shows("/refused", "signature_invalid", "docrouter"); strings.Contains(body, "unsayable") {
		t.Error("the body of a refused request is shown")
	}
	b.shows("/guards", "docrouter", "number 0")
	event := "scope=docrouter&id=" + url.QueryEscape(id)
	b.shows("/event?"+event, "is a duplicate")
	if status, body := b.fill("/change?do=forget&"+event, url.Values{"do": {"forget"}, "scope": {"docrouter"}, "id": {id}, "why": {"once more"}}); status != 200 || !strings.Contains(body, "is let through") {
		t.Fatalf("%d\n%s", status, body)
	}
	want(t, testbed.Do(t, sender.Request(t, g.URL(""), e)), 200, "forwarded")
	g.WaitOutput(`"reason":"once more"`)
}
