package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// twilioCall is a voice request, signed as Twilio's documentation says: the URL, and the
// names and values of the form in the order of the names.
func twilioCall(path, token string, form url.Values) reported {
	names := make([]string, 0, len(form))
	for name := range form {
		names = append(names, name)
	}
	sort.Strings(names)
	signed := "https://hooks.example.com" + path
	for _, name := range names {
		signed += name + form.Get(name)
	}
	return reported{path, form.Encode(), []string{"Content-Type", "application/x-www-form-urlencoded",
		"X-Twilio-Signature", sum1(signed), "I-Twilio-Idempotency-Token", token}}
}

// Where the answer is an instruction, a copy gets the first success's own again: its
// status, Content-Type and body, from each store, also while the first is still handled.
func TestReportedInstructionsAreGivenAgain(t *testing.T) {
	t.Parallel()
	say := func(text string) string {
		return `<?xml version="1.0" encoding="UTF-8"?><Response><Say>` + text + `</Say></Response>`
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(say("zipped")))
	_ = z.Close()
	xml := http.Header{"Content-Type": {"text/xml; charset=utf-8"}, "X-Other": {"not remembered"}}
	answers := map[string]testbed.Answer{
		"/call":    {Status: 201, Header: xml, Body: []byte(say("once"))},
		"/chunked": {Status: 200, Header: xml, Chunked: true, Body: []byte(say("chunks"))},
		"/long":    {Status: 202, Header: xml, Body: []byte(strings.Repeat("x", 6<<10))},
		"/wide":    {Status: 200, Header: xml, Body: []byte(strings.Repeat("y", 6<<10))},
		"/small":   {Status: 200, Header: xml, Body: []byte("12345678901234567")},
		"/none":    {Status: 204, Header: http.Header{}},
		"/zipped":  {Status: 200, Header: http.Header{"Content-Type": {"text/xml"}, "Content-Encoding": {"gzip"}}, Body: zipped.Bytes()},
		"/slow":    {Status: 200, Header: xml, Body: []byte(say("slow"))},
	}
	want := map[string]string{
		"/call": "201 text/xml; charset=utf-8 " + say("once"), "/chunked": "200 text/xml; charset=utf-8 " + say("chunks"),
		"/long": "202  ", "/wide": "200 text/xml; charset=utf-8 " + strings.Repeat("y", 6<<10), "/small": "200  ",
		"/none": "204  ", "/zipped": "200 text/xml " + say("zipped"),
	}
	got := func(r testbed.Response) string {
		return fmt.Sprintf("%d %s %s", r.Status, r.Header.Get("Content-Type"), r.Body)
	}
	onEachStore(t, func(t *testing.T, store string) {
		slow := make(chan struct{})
		app := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
			answer := answers[d.URL]
			if d.URL == "/slow" {
				answer.Wait = slow
			}
			return answer
		})
		dir := t.TempDir()
		if store == "disk" {
			store = "disk " + dir
		}
		guard := func(path, more string) string {
			return fmt.Sprintf("\thandle %s {\n\t\twebhook_guard twilio {\n\t\t\tsecret %s\n\t\t\tpublic_url https://hooks.example.com\n\t\t\tscope twilio\n\t\t\t%s\n\t\t}\n\t\t%s\n\t}\n",
				path, reportSecret, more, proxy(app))
		}
		g := site{store: store, routes: guard("/wide", "answer remember 8KiB") + guard("/small", "answer remember 16B") + guard("*", "")}.start(t)
		call := func(path string) reported {
			return twilioCall(path, "token of "+path, url.Values{"CallSid": {"CA1"}, "CallStatus": {"in-progress"}, "From": {"+15551234567"}})
		}
		again := func(when string) {
			t.Helper()
			for path, want := range want {
				if resp := call(path).send(t, g); resp.Guard != "duplicate" || got(resp) != want || resp.Header.Get("X-Other") != "" {
					t.Errorf("%s, %s: %s %.80q, want %.80q", when, path, resp.Guard, got(resp), want)
				}
			}
		}
		for path := range want {
			resp := call(path).send(t, g)
			if resp.Guard != "forwarded" || resp.Status != answers[path].Status || len(resp.Body) != len(answers[path].Body) && path != "/zipped" {
				t.Errorf("%s, at first: %d %s %.80q", path, resp.Status, resp.Guard, resp.Body)
			}
		}
		again("at once")
		if strings.HasPrefix(store, "disk") {
			g.Kill()
			g.Start()
			again("after a crash")
			if err := g.Stop(); err != nil {
				t.Error(err)
			}
			g.Start()
			again("after a clean end")
		}

		copies := make(chan testbed.Response, 4)
		for range cap(copies) {
			go func() { copies <- call("/slow").send(t, g) }()
		}
		app.WaitCount(len(want) + 1)
		time.Sleep(100 * time.Millisecond) // for the others to wait
		close(slow)
		for range cap(copies) {
			if resp := <-copies; got(resp) != "200 text/xml; charset=utf-8 "+say("slow") {
				t.Errorf("a copy that came meanwhile: %s %q", resp.Guard, got(resp))
			}
		}
		wantCalls(t, app, len(want)+1)
	})
}

// A sender to whom the answer says nothing gets the status only, and nothing is kept.
func TestReportedAnswersOfOthersAreNotRemembered(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, func(testbed.Delivery) testbed.Answer {
		return testbed.Answer{Status: 202, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte("said")}
	})
	g := site{store: "memory", routes: route("", "shopify", proxy(app), "secret "+reportSecret)}.start(t)
	event := reported{"/webhooks/shopify", "{}", []string{"X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(sum256("{}")),
		"X-Shopify-Event-Id", "s1", "X-Shopify-Topic", "orders/create"}}
	for _, result := range []string{"forwarded", "duplicate"} {
		resp := event.send(t, g)
		if resp.Guard != result || resp.Status != 202 || (len(resp.Body) == 0) != (result == "duplicate") {
			t.Errorf("%s: %d %s %q", result, resp.Status, resp.Guard, resp.Body)
		}
	}
}
