package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/dedupe"
	"github.com/webhookguard/caddy-webhook-guard/signature"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// judging answers as a guard of the provider does, and remembers events by their keys.
type judging struct {
	t      *testing.T
	sender *webhook.Sender
	secret []signature.Secret
	seen   map[dedupe.Key]bool
	events []webhook.Event
}

func newJudging(t *testing.T, provider string) *judging {
	t.Helper()
	p := config.Provider{Param: paramsOf(provider)}.Over(config.Builtin()[provider]).WithoutOpenAllows()
	sender, err := webhook.New(provider, p)
	if err != nil {
		t.Fatal(err)
	}
	newKey := sender.NewKey
	if sender.Rules.Scheme.Asymmetric() {
		newKey = signature.NewPrivateKey // holds the public one too
	}
	j := &judging{t: t, sender: sender, seen: make(map[dedupe.Key]bool)}
	if sender.Authenticates() {
		key, err := newKey(secretOf(provider))
		if err != nil {
			t.Fatal(err)
		}
		j.secret = []signature.Secret{{Key: key}}
	}
	return j
}

func (j *judging) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		j.t.Error(err)
	}
	facts := signature.Request{Method: r.Method, Scheme: "http", Host: r.Host, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header}
	event, refused := j.sender.Judge(facts, body, webhook.Fixed{Keys: j.secret, Namespace: "scope"}, time.Now())
	if refused != nil {
		takes(refused.Result, refused.Result.Status(), refused.Error())(w, r)
		return
	}
	j.events = append(j.events, event)
	result := webhook.Forwarded
	for key := range event.Keys.Keys() {
		if j.seen[key] {
			result = webhook.Duplicate
		}
		j.seen[key] = true
	}
	takes(result, http.StatusOK, "")(w, r)
}

// sendTo runs the command against a guard and returns what Caddy would exit with.
func sendTo(t *testing.T, provider string, flags ...string) (j *judging, out string, err error) {
	t.Helper()
	j = newJudging(t, provider)
	g := newGateway(t, j.ServeHTTP)
	t.Setenv("GUARD_SECRET", secretOf(provider))
	args := append([]string{provider, g.URL + "/in?key=opens&x=1", "--secret-env", "GUARD_SECRET"}, flags...)
	for key, value := range paramsOf(provider) {
		args = append(args, "--param", key+"="+value)
	}
	out, err = run(sendCommand(), strings.NewReader(""), args...)
	return j, out, err
}

// unnamed are the senders whose events nothing tells apart, with what their bodies say. Who
// has a token can write any body, so that without an ID it says nothing.
var unnamed = map[string]string{
	"acuity":                   "an action and an appointment",
	"alertmanager":             "alerts, which are repeated on purpose",
	"bitwarden":                "a token and no ID",
	"buildkite-token":          "a token and no ID",
	"bunny-stream":             "a video and a status",
	"clickup":                  "an event and a task",
	"cloudflare-notifications": "a token and no ID",
	"datadog":                  "a token and no ID",
	"dropbox":                  "accounts",
	"ethoca":                   "a token and no ID",
	"grafana":                  "alerts, which are repeated on purpose",
	"grafana-oncall":           "a token and no ID",
	"harbor":                   "a token and no ID",
	"huggingface":              "a token and no ID",
	"lidarr":                   "a token and no ID",
	"microsoft-graph":          "what changed",
	"microsoft-sharepoint":     "the list that changed",
	"mollie-classic":           "a payment",
	"n8n":                      "a token and no ID",
	"new-relic":                "a token and no ID",
	"node-red":                 "a token and no ID",
	"nuvemshop":                "a store, an event and an object",
	"opsgenie":                 "a token and no ID",
	"radarr":                   "a token and no ID",
	"shipstation-v1":           "where to fetch what changed",
	"sonarr":                   "a token and no ID",
	"strapi":                   "a token and no ID",
	"uptime-kuma":              "a token and no ID",
	"zuora":                    "a token and no ID",
}

// Every event that is made is a new one to a guard, whatever the sample, and a repetition
// is the same event.
func TestEveryEventIsNewAndARepetitionIsNot(t *testing.T) {
	var without []string
	for _, name := range config.Builtin().Names() {
		for _, event := range append([]string{""}, config.SampleEvents(name)...) {
			t.Run(name+"/"+event, func(t *testing.T) {
				flags := []string{"--count", "3", "--repeat", "2"}
				if event != "" {
					flags = append(flags, "--event", event)
				}
				j, out, err := sendTo(t, name, flags...)
				if err != nil || len(j.events) != 6 {
					t.Fatalf("%d events, exit status %d: %v\n%s", len(j.events), statusOf(err), err, out)
				}
				if j.events[0].Keys == (dedupe.Event{}) && event == "" {
					without = append(without, name)
				}
			})
		}
	}
	if want := slices.Sorted(maps.Keys(unnamed)); !slices.Equal(without, want) {
		t.Errorf("nothing tells the events of these apart:\n%q, want\n%q", without, want)
	}
}

func TestASentForgeryIsRefused(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		if config.Builtin()[name].Unsigned() {
			continue // a guard without a token line takes anything
		}
		j, out, err := sendTo(t, name, "--forge", "--repeat", "2")
		if err != nil || len(j.events) > 0 || strings.Count(out, "\n") != 2 {
			t.Errorf("%s: %d were taken, %v\n%s", name, len(j.events), err, out)
		}
	}
}

// An old request is refused where the sender's stamp or event time tells its age.
func TestAnOldEventIsRefused(t *testing.T) {
	for name, want := range map[string]string{"stripe": "403 timestamp_stale", "struktr": "403 timestamp_stale", "github": "200 forwarded"} {
		if _, out, err := sendTo(t, name, "--age", "100h"); err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("%s: %v, printed %q, want %q", name, err, out, want)
		}
	}
}

// The exit status says whether every answer was as it should be.
func TestSendExitsByTheAnswers(t *testing.T) {
	given := file(t, `{"x":1}`)
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		flags  []string
		want   int
	}{
		"forwarded":             {takes(webhook.Forwarded, 202, ""), nil, 0},
		"a handshake":           {takes(webhook.HandshakeAnswered, 200, ""), nil, 0},
		"taken into an inbox":   {takes("accepted", 200, ""), nil, 0},
		"taken out of the dead": {takes("revived", 200, ""), []string{"--body", given}, 0},
		"not the secret":        {takes(webhook.SignatureInvalid, 401, ""), nil, 1},
		"the app failed":        {takes(webhook.UpstreamFailed, 500, ""), nil, 1},
		"no upstream":           {takes(webhook.Misconfigured, 503, ""), nil, 1},
		"a duplicate at once":   {takes(webhook.Duplicate, 200, ""), nil, 1},
		"a body sent before":    {takes(webhook.Duplicate, 200, ""), []string{"--body", given}, 0},
		"no guard":              {takes("", 200, ""), nil, 1},
		"no guard, 404":         {takes("", 404, ""), nil, 1},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, nil, 1},
		"forgery let through":    {takes(webhook.Forwarded, 200, ""), []string{"--forge"}, 1},
		"forgery, no guard":      {takes("", 401, ""), []string{"--forge"}, 1},
		"forgery refused":        {takes(webhook.SignatureInvalid, 401, ""), []string{"--forge"}, 0},
		"old, let through":       {takes(webhook.Forwarded, 200, ""), []string{"--age", "1h"}, 1},
		"a second one forwarded": {takes(webhook.Forwarded, 200, ""), []string{"--repeat", "2"}, 1},
		"the connection torn":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GUARD_SECRET", "x")
			g := newGateway(t, c.handle)
			args := append([]string{"stripe", g.URL + "/in?token=canary1", "--secret-env", "GUARD_SECRET"}, c.flags...)
			out, err := run(sendCommand(), strings.NewReader(""), args...)
			if got := statusOf(err); got != c.want {
				t.Errorf("status %d, want %d: %v\n%s", got, c.want, err, out)
			}
		})
	}
}

// Neither the token of the URL nor the secret is printed, whatever comes back.
func TestSendPrintsNoToken(t *testing.T) {
	const token = "canary/töken+1"
	t.Setenv("GUARD_SECRET", "canary-secret")
	var text bytes.Buffer
	echo := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		takes(webhook.Forwarded, 200, fmt.Sprintf("canary-secret: you sent %s \x1b]0;title\a %s %s", r.URL.RawQuery, r.URL.Query().Get("token"), r.Header.Get("Authorization")))(w, r)
	})
	torn := newGateway(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, target := range []string{
		echo.URL, torn.URL, "http://127.0.0.1:1", "http://canary.invalid:99999", "http://user:canary-password@127.0.0.1:1", "http://%zz", "ftp://127.0.0.1", "http://127.0.0.1:1/canary-path",
	} {
		target = strings.TrimSuffix(target, "/") + "?token=" + strings.NewReplacer("/", "%2F", "+", "%2B").Replace(token)
		for _, flags := range [][]string{nil, {"--forge"}, {"--header", "Authorization: Bearer canary-in-a-header"}, {"--insecure", "--resolve", "127.0.0.1:127.0.0.1:1"}, {"--resolve", "canary"}} {
			for _, provider := range []string{"okrapdf", "gitlab-secret-token", "github"} {
				cmd := sendCommand()
				cmd.SetErr(&text)
				cmd.SetArgs(append([]string{provider, target, "--secret-env", "GUARD_SECRET"}, flags...))
				cmd.SetOut(&text)
				if err := cmd.Execute(); err != nil {
					text.WriteString(err.Error())
				}
			}
		}
	}
	shown := strings.ReplaceAll(text.String(), "canary.invalid", "")
	if strings.Contains(shown, "canary") || strings.Contains(shown, "töken") || strings.ContainsAny(shown, "\x1b\a") {
		t.Errorf("printed\n%q", shown)
	}
}

func TestSendReachesAnotherAddress(t *testing.T) {
	t.Setenv("GUARD_SECRET", "x")
	g := newGateway(t, takes(webhook.Forwarded, 200, ""))
	port := g.URL[strings.LastIndex(g.URL, ":")+1:]
	for target, resolve := range map[string]string{
		"http://hooks.example.com:" + port + "/in": "hooks.example.com:127.0.0.1",
		"http://hooks.example.com/in":              "hooks.example.com:127.0.0.1:" + port,
		"http://HOOKS.example.com:" + port + "/in": "hooks.example.com:" + port + ":127.0.0.1",
	} {
		if out, err := run(sendCommand(), strings.NewReader(""), "stripe", target, "--secret-env", "GUARD_SECRET", "--resolve", resolve); err != nil {
			t.Errorf("%s: %v\n%s", resolve, err, out)
		}
	}
	for i, r := range g.got {
		if !strings.HasPrefix(strings.ToLower(r.Host), "hooks.example.com") {
			t.Errorf("request %d has the host %s", i, r.Host)
		}
	}
	for _, wrong := range []string{"hooks.example.com", "hooks.example.com:", ":127.0.0.1", "other.example.com:127.0.0.1", "hooks.example.com:http://x", "hooks.example.com:127.0.0.1:0"} {
		_, err := run(sendCommand(), strings.NewReader(""), "stripe", "http://hooks.example.com/", "--secret-env", "GUARD_SECRET", "--resolve", wrong)
		if statusOf(err) != exitUsage {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// Whoever mistypes a command is told what it is called, or how to find out.
func TestAWrongCommandIsToldTheRightOne(t *testing.T) {
	for name, says := range map[string]string{"lst": "did you mean list?", "zzz": "`inbox --help` lists them"} {
		_, err := run(inboxCommand(), strings.NewReader(""), name)
		wantText(t, err, says)
		if statusOf(err) != exitUsage {
			t.Errorf("%s: status %d", name, statusOf(err))
		}
	}
}

func TestWrongUsageExitsWithTwo(t *testing.T) {
	for _, verb := range slices.Sorted(maps.Keys(verbs)) {
		for _, args := range [][]string{{"--no-such-flag"}, {"nobody", "a", "b", "c", "d", "--scope", "x", "--count", "y"}} {
			if _, err := run(verbs[verb](), strings.NewReader(""), args...); statusOf(err) != exitUsage {
				t.Errorf("%s %q: status %d, %v", verb, args, statusOf(err), err)
			}
		}
	}
}
