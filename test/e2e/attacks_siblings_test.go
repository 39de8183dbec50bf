package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// siblings is a gateway with a provider for each kind of source, behind /<provider>.
func siblings(t *testing.T) (*testbed.Gateway, *testbed.App) {
	t.Helper()
	app := testbed.StartApp(t, nil)
	var guards, routes strings.Builder
	for name, lines := range map[string]string{
		"plain":     "signature X-Sig\n\tid body id",
		"unsigned":  "signature X-Sig\n\tid header X-Id\n\tevent header X-Event",
		"queried":   "signature X-Sig\n\tid query eid\n\tevent query type",
		"stamped":   "signature X-Sig\n\tsigned {timestamp}.{body}\n\ttimestamp header X-Time\n\tid body id",
		"in-body":   "token body auth.token\n\tid body id",
		"in-a-form": "token form token\n\tid form id",
	} {
		fmt.Fprintf(&guards, "provider %s {\n\t%s\n}\n", name, lines)
		fmt.Fprintf(&routes, "\thandle /%s {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t}\n\t\t%s\n\t}\n", name, name, reportSecret, proxy(app))
	}
	return site{store: "memory", guards: guards.String(), routes: routes.String()}.start(t), app
}

// sendPairs sends a request whose headers may repeat.
func sendPairs(t *testing.T, g *testbed.Gateway, path, body string, headers ...string) testbed.Response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, g.URL(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header[headers[i]] = append(req.Header[headers[i]], headers[i+1])
	}
	return testbed.Do(t, req)
}

// Each way to write a stamp is the time that it says, or no time at all.
func TestAttackStampsInEveryFormat(t *testing.T) {
	t.Parallel()
	g, _ := siblings(t)
	now := time.Now().UTC()
	unix, iso := fmt.Sprint(now.Unix()), now.Format("2006-01-02T15:04:05")
	for stamp, want := range map[string]string{
		unix: "forwarded", "00" + unix: "forwarded", unix + ".999": "forwarded", fmt.Sprint(now.UnixMilli()): "forwarded",
		iso + "Z": "forwarded", iso + "z": "forwarded", iso + ".551": "forwarded", strings.Replace(iso, "T", " ", 1) + "Z": "forwarded",
		iso + "+0000": "forwarded", iso + ".000-0000": "forwarded", iso + "+00": "forwarded",
		now.Add(2*time.Hour).Format("2006-01-02T15:04:05") + "+0200": "forwarded", now.Add(-90*time.Minute).Format("2006-01-02T15:04:05") + "-0130": "forwarded",
		iso + "+0200": "timestamp_stale", iso + "-02": "timestamp_future", "0": "timestamp_stale", "9999-12-31T23:59:59Z": "timestamp_future",
		"-1": "timestamp_malformed", "+" + unix: "timestamp_malformed", unix + ".": "timestamp_malformed", unix + "e0": "timestamp_malformed",
		strings.Repeat("1", 20): "timestamp_malformed", "18446744073709551615": "timestamp_malformed", "0x6924": "timestamp_malformed", unix + "," + unix: "timestamp_malformed",
		iso + "+2": "timestamp_malformed", iso + "+0099": "timestamp_malformed", iso + "Z+0000": "timestamp_malformed", "2026-W48-6T20:00:00Z": "timestamp_malformed",
		now.Format(http.TimeFormat): "timestamp_malformed",
	} {
		body := `{"id":"` + testbed.NewID() + `"}`
		resp := sendPairs(t, g, "/stamped", body, "X-Time", stamp, "X-Sig", hex.EncodeToString(sum256(stamp+"."+body)))
		if resp.Guard != want {
			t.Errorf("%q: %d %s, want %s", stamp, resp.Status, resp.Guard, want)
		}
	}
}

// A captured request is the same event whatever is written beside what is signed, with
// any body that can be signed: none, too, and one of white space only.
func TestAttackCapturesWithAnythingBeside(t *testing.T) {
	t.Parallel()
	g, app := siblings(t)
	calls := 0
	for _, body := range []string{`{"a":"` + testbed.NewID() + `"}`, "", "  ", "\r\n"} {
		sig := hex.EncodeToString(sum256(body))
		for path, id := range map[string][]string{"/unsigned": {"X-Id", testbed.NewID()}, "/queried?eid=" + testbed.NewID(): nil} {
			if resp := sendPairs(t, g, path, body, append(id, "X-Sig", sig)...); resp.Guard != "forwarded" {
				t.Errorf("the genuine one at %s, %q: %d %s", path, body, resp.Status, resp.Guard)
			}
			calls++
		}
		for _, headers := range [][]string{
			{"X-Id", testbed.NewID()}, {"X-Id", ""}, {}, {"X-Id", "a", "X-Id", "b"}, {"X-Id", "a", "x-id", "a"}, {"X-Id", "a", "X-Event", "x", "X-Event", "y"},
			{"X_Id", testbed.NewID()}, {"X-Id", "\xff\xfe"}, {"X-Id", testbed.NewID(), "Content-Type", "multipart/form-data; boundary=b"},
			{"X-Id", testbed.NewID(), "Content-Encoding", "gzip"}, {"X-Id", testbed.NewID(), "X-Http-Method-Override", "PUT"}, {"X-Id", testbed.NewID(), "Connection", "X-Id, X-Sig"},
		} {
			if resp := sendPairs(t, g, "/unsigned", body, append(headers, "X-Sig", sig)...); resp.Guard == "forwarded" {
				t.Errorf("%q with %q is forwarded", body, headers)
			}
		}
		for _, query := range []string{"eid=x", "eid=x&type=y", "Eid=x", "%65id=x", "eid=x;y", "eid=x&eid=y", "eid=%00", "eid=%ff", "eid=%zz", ""} {
			if resp := sendPairs(t, g, "/queried?"+query, body, "X-Sig", sig); resp.Guard == "forwarded" {
				t.Errorf("%q with ?%s is forwarded", body, query)
			}
		}
	}
	wantCalls(t, app, calls)
}

// A token is where its line says, once, and as text.
func TestAttackTokensInOtherPlaces(t *testing.T) {
	t.Parallel()
	g, app := siblings(t)
	const form = "application/x-www-form-urlencoded"
	for _, r := range []reported{
		{"/in-body", `{"id":"1","auth":{"token":"x"},"auth":{"token":"` + reportSecret + `"}}`, nil},
		{"/in-body", `{"id":"1","auth.token":"` + reportSecret + `"}`, nil},
		{"/in-body", `{"id":"1","Auth":{"Token":"` + reportSecret + `"}}`, nil},
		{"/in-body", `{"id":"1","auth":{"token":["` + reportSecret + `"]}}`, nil},
		{"/in-body", `{"id":"1","auth":{"token":null}}`, nil},
		{"/in-body?auth.token=" + reportSecret, `{"id":"1"}`, nil},
		{"/in-body", ``, []string{"Authorization", "Bearer " + reportSecret, "Token", reportSecret}},
		{"/in-a-form?token=" + reportSecret, "id=1", []string{"Content-Type", form}},
		{"/in-a-form", "id=1&token=x&token=" + reportSecret, []string{"Content-Type", form}},
		{"/in-a-form", "id=1&Token=" + reportSecret, []string{"Content-Type", form}},
		{"/in-a-form", "id=1&token=" + reportSecret + "%20", []string{"Content-Type", form}},
		{"/in-a-form", "", []string{"Content-Type", form}},
	} {
		if resp := r.send(t, g); resp.Status != http.StatusUnauthorized {
			t.Errorf("%s %q: %d %s", r.path, r.body, resp.Status, resp.Guard)
		}
	}
	wantCalls(t, app, 0)
	for _, r := range []reported{
		{"/in-body", `{"id":"1","auth":{"token":"` + reportSecret + `"}}`, nil},
		{"/in-a-form", "id=1&token=" + reportSecret, []string{"Content-Type", form}},
	} {
		wantResult(t, "the genuine one at "+r.path, r.send(t, g), http.StatusOK, "forwarded")
	}
}

// An ID is a text or a number, and different ones are different events.
func TestAttackIDsOfEveryType(t *testing.T) {
	t.Parallel()
	g, _ := siblings(t)
	long := func(n int) string { return `"` + strings.Repeat("x", n) + `"` }
	for want, ids := range map[string][]string{
		"forwarded": {
			`"a"`, `" a"`, `"a "`, `"A"`, `"a\n"`, `"a\u0000"`, `"é"`, `"e\u0301"`, `"\ud800"`, `"\udbff"`, `12345678901234567890`, `12345678901234567891`, long(1024),
		},
		"id_malformed": {`true`, `null`, `{}`, `[1]`, `""`, long(1025)},
	} {
		for _, id := range ids {
			body := `{"id":` + id + `}`
			if resp := sendPairs(t, g, "/plain", body, "X-Sig", hex.EncodeToString(sum256(body))); resp.Guard != want {
				t.Errorf("%.20s: %d %s, want %s", id, resp.Status, resp.Guard, want)
			}
		}
	}
}
