package cli

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// gateway is a server that keeps what it was sent.
type gateway struct {
	*httptest.Server
	mu   sync.Mutex
	got  []*http.Request
	sent [][]byte // their bodies
}

func newGateway(t *testing.T, handle http.HandlerFunc) *gateway {
	g := new(gateway)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		g.mu.Lock()
		g.got, g.sent = append(g.got, r), append(g.sent, body)
		g.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		handle(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func takes(result webhook.Result, status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if result != "" {
			w.Header().Set(webhook.ResultHeader, string(result))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// send runs the command against the gateway, for the provider's own secret.
func (g *gateway) send(t *testing.T, provider string, flags ...string) string {
	t.Helper()
	t.Setenv("GUARD_SECRET", secretOf(provider))
	args := append([]string{provider, g.URL + "/in?key=opens&x=1", "--secret-env", "GUARD_SECRET"}, flags...)
	for key, value := range paramsOf(provider) {
		args = append(args, "--param", key+"="+value)
	}
	out, err := run(sendCommand(), strings.NewReader(""), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// taken answers as a guard does to a first copy, and to a repetition.
func taken(repeat int) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		result := webhook.Forwarded
		if n%repeat > 0 {
			result = webhook.Duplicate
		}
		n++
		takes(result, http.StatusOK, "")(w, r)
	}
}

// verify judges one of the requests as a guard of the provider would.
func (g *gateway) verify(t *testing.T, provider string, i int, now time.Time) error {
	t.Helper()
	_, err := verifies(t, provider, secretOf(provider), g.URL+g.got[i].RequestURI, g.got[i].Header, g.sent[i], now)
	return err
}

func TestSendSendsWhatVerifies(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, takes(webhook.Forwarded, 200, ""))
			g.send(t, name)
			if len(g.got) != 1 {
				t.Fatalf("sent %d requests", len(g.got))
			}
			if !resolved(t, name).Scheme.Signed() {
				return
			}
			if err := g.verify(t, name, 0, time.Now()); err != nil {
				t.Errorf("%v\n%v\n%s", err, g.got[0].Header, g.sent[0])
			}
		})
	}
}

func TestSendRepeatsToTheByteAndCountsAnew(t *testing.T) {
	for _, name := range []string{"struktr", "stripe", "standard-webhooks", "twilio", "okrapdf", "shopify"} {
		g := newGateway(t, taken(2))
		out := g.send(t, name, "--count", "3", "--repeat", "2")
		if len(g.got) != 6 || strings.Count(out, "\n") != 7 || !strings.Contains(out, "\n6 requests: 3 duplicate, 3 forwarded; median ") {
			t.Fatalf("%s: sent %d requests, printed\n%s", name, len(g.got), out)
		}
		events := make(map[string]bool)
		for i := 0; i < 6; i += 2 {
			a, b := g.got[i], g.got[i+1]
			if !reflect.DeepEqual(a.Header, b.Header) || !bytes.Equal(g.sent[i], g.sent[i+1]) || a.RequestURI != b.RequestURI {
				t.Errorf("%s: the repetition differs:\n%v\n%v", name, a.Header, b.Header)
			}
			events[fmt.Sprint(a.Header, string(g.sent[i]))] = true
		}
		if len(events) != 3 {
			t.Errorf("%s: %d of 3 events are different", name, len(events))
		}
	}
}

func TestForgeDoesNotVerify(t *testing.T) {
	for _, name := range []string{"struktr", "stripe", "standard-webhooks", "hubspot-v3", "twilio"} {
		g := newGateway(t, takes(webhook.SignatureInvalid, 401, ""))
		g.send(t, name, "--forge")
		err := g.verify(t, name, 0, time.Now())
		wantText(t, err, "signature_invalid")
	}
	g := newGateway(t, takes(webhook.TokenInvalid, 401, ""))
	g.send(t, "okrapdf", "--forge")
	if query := g.got[0].URL.Query(); !strings.HasPrefix(query.Get("key"), "forged-") {
		t.Errorf("the token is %q", query.Get("key"))
	}
}

// The user of a URL is sent as every HTTP client sends it, unless a header says otherwise, and
// a forged request has another one.
func TestSendSendsTheUserOfTheURL(t *testing.T) {
	for _, c := range []struct {
		provider string
		flags    []string
		want     string // "" for one that is forged
	}{
		{"chargebee", nil, "me:pass"},
		{"okrapdf", nil, "me:pass"},
		{"okrapdf", []string{"--header", "Authorization: Basic YTpi"}, "a:b"},
		{"chargebee", []string{"--forge"}, ""},
		{"okrapdf", []string{"--forge"}, ""},
	} {
		g := newGateway(t, takes(webhook.Forwarded, 200, ""))
		args := append([]string{c.provider, strings.Replace(g.URL, "//", "//me:pass@", 1)}, c.flags...)
		_, _ = run(sendCommand(), strings.NewReader(""), args...) // its judgement is not the matter
		if len(g.got) != 1 {
			t.Fatalf("%s %q: sent %d requests", c.provider, c.flags, len(g.got))
		}
		name, password, _ := g.got[0].BasicAuth()
		if got := name + ":" + password; c.want != "" && got != c.want || c.want == "" && strings.Contains(g.got[0].Header.Get("Authorization")+got, "pass") {
			t.Errorf("%s %q: sent the user %q", c.provider, c.flags, got)
		}
	}
	_, err := run(sendCommand(), strings.NewReader(""), "okrapdf", "http://127.0.0.1:1/", "--header", "host: hooks.example.com")
	wantText(t, err, "--resolve")
}

func TestAgeMovesStampAndEventTime(t *testing.T) {
	then := time.Now().Add(-time.Hour)
	for name, places := range map[string]struct{ header, body string }{
		"struktr":   {"X-Struktr-Timestamp", "timestamp"},
		"docintell": {"X-DocIntell-Timestamp", "timestamp"},
		"docrouter": {"X-DocRouter-Timestamp", ""},
		"okrapdf":   {"", "timestamp"},
	} {
		result := map[bool]webhook.Result{true: webhook.TimestampStale, false: webhook.Forwarded}[newJudging(t, name).sender.Rules.Window.MaxAge < time.Hour]
		g := newGateway(t, takes(result, cmp.Or(result.Status(), 200), ""))
		g.send(t, name, "--age", "1h")
		check := func(text string) {
			t.Helper()
			at, err := parseTime("--time", text)
			if off := at.Sub(then); err != nil || off < -time.Second || off > 10*time.Second {
				t.Errorf("%s: %q is %s off, %v", name, text, off, err)
			}
		}
		if places.header != "" {
			check(g.got[0].Header.Get(places.header))
		}
		if places.body != "" {
			check(gjson.GetBytes(g.sent[0], places.body).String())
		}
		if !resolved(t, name).Scheme.Signed() {
			continue
		}
		if err := g.verify(t, name, 0, then); err != nil {
			t.Errorf("%s, at its time: %v", name, err)
		}
		if name == "docrouter" {
			wantText(t, g.verify(t, name, 0, time.Now()), "timestamp_stale")
		}
	}
}

func TestSendSendsTheEventAsked(t *testing.T) {
	g := newGateway(t, taken(1))
	g.send(t, "struktr", "--event", "document.failed")
	if got := gjson.GetBytes(g.sent[0], "event").String(); got != "document.failed" {
		t.Errorf("sent %q: %s", got, g.sent[0])
	}
	t.Setenv("GUARD_SECRET", "x")
	_, err := run(sendCommand(), strings.NewReader(""), "struktr", g.URL, "--secret-env", "GUARD_SECRET", "--event", "nothing.of.theirs")
	wantText(t, err, `no sample of event "nothing.of.theirs": there are `)
	wantText(t, err, "document.failed")
	if len(g.got) != 1 {
		t.Error("something was sent all the same")
	}
}

func TestSendSendsABodyAsGiven(t *testing.T) {
	const given = "{ \"event\" :\t\"x\" }\r\n\n"
	for name, send := range map[string]func(g *gateway) (string, error){
		"file": func(g *gateway) (string, error) {
			return run(sendCommand(), strings.NewReader(""), "github", g.URL, "--secret-env", "GUARD_SECRET", "--body", file(t, given))
		},
		"standard input": func(g *gateway) (string, error) {
			return run(sendCommand(), strings.NewReader(given), "github", g.URL, "--secret-env", "GUARD_SECRET", "--body", "-", "--count", "2")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GUARD_SECRET", secretOf("github"))
			g := newGateway(t, taken(1))
			if _, err := send(g); err != nil {
				t.Fatal(err)
			}
			for i, sent := range g.sent {
				if string(sent) != given {
					t.Errorf("sent %q", sent)
				}
				if err := g.verify(t, "github", i, time.Now()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Twilio signs a form's fields, and of any other body a digest in the URL.
func TestAFormIsSignedAndSentAsOne(t *testing.T) {
	t.Setenv("GUARD_SECRET", secretOf("twilio"))
	g := newGateway(t, taken(1))
	if _, err := run(sendCommand(), strings.NewReader("b=2&a=1"), "twilio", g.URL, "--secret-env", "GUARD_SECRET", "--body", "-"); err != nil {
		t.Fatal(err)
	}
	if err := g.verify(t, "twilio", 0, time.Now()); err != nil {
		t.Error(err)
	}
	for body, want := range map[string]string{
		"a=1": "application/x-www-form-urlencoded", "": "application/json", "{": "application/json", "\r\n [1]": "application/json",
	} {
		if got := contentType([]byte(body)); got != want {
			t.Errorf("%q is sent as %s", body, got)
		}
	}
}

func TestSendPrintsStatusResultAndTheFirstLine(t *testing.T) {
	for want, handle := range map[string]http.HandlerFunc{
		"200 forwarded  received it\n":                      takes(webhook.Forwarded, 200, "received it\nand more\n"),
		"204 duplicate\n":                                   takes(webhook.Duplicate, 204, ""),
		"404 (no guard answered)  not here\n":               takes("", 404, "\n  not here  \n"),
		"200 (no result of a guard's)  red txt\n":           takes("forwarded\u009b31m\u202e", 200, "\u009bred\u202e t\u200bxt\x1b"),
		"200 forwarded  " + strings.Repeat("x", 256) + "\n": takes(webhook.Forwarded, 200, strings.Repeat("x", 5000)),
	} {
		g := newGateway(t, handle)
		t.Setenv("GUARD_SECRET", secretOf("github"))
		if got, _ := run(sendCommand(), strings.NewReader(""), "github", g.URL, "--secret-env", "GUARD_SECRET"); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
}

func TestSendRefuses(t *testing.T) {
	t.Setenv("GUARD_SECRET", "x")
	secret := []string{"--secret-env", "GUARD_SECRET"}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"both from standard input": {[]string{"github", "http://127.0.0.1:1", "--secret-file", "-", "--body", "-"}, "cannot both come from standard input"},
		"no URL":                   {append([]string{"github"}, secret...), "accepts 2 arg"},
		"half a URL":               {append([]string{"github", "localhost:8080/in"}, secret...), "the whole URL"},
		"a path":                   {append([]string{"github", "/in"}, secret...), "the whole URL"},
		"a space in a token":       {append([]string{"github", "http://127.0.0.1:1/in?token=a b"}, secret...), "write %20"},
		"no secret":                {[]string{"github", "http://127.0.0.1:1"}, "name the secret"},
		"a count of none":          {append([]string{"github", "http://127.0.0.1:1", "--count", "0"}, secret...), "1 or more"},
		"a negative repeat":        {append([]string{"github", "http://127.0.0.1:1", "--repeat", "-1"}, secret...), "1 or more"},
		"an unknown provider":      {append([]string{"nobody", "http://127.0.0.1:1"}, secret...), "unknown provider"},
		"no body":                  {append([]string{"github", "http://127.0.0.1:1", "--body", "/nowhere"}, secret...), "--body: open"},
		"nobody there":             {append([]string{"github", "http://127.0.0.1:1"}, secret...), "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(sendCommand(), strings.NewReader(""), tc.args...)
			wantText(t, err, tc.want)
		})
	}
}
