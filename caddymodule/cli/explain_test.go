package cli

import (
	"bytes"
	"errors"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What no output may ever hold: parts of the secret, the body and the path.
const (
	explainSecret = "canary-secret-5f1c7e90b2"
	explainBody   = `{"id":"evt_1","event":"paid","text":"canary-body-77","timestamp":"2025-11-24T16:00:00Z"}`
	explainPath   = "/in/canary-path-31?token=canary-query-9"
)

// triedOf is how many mistakes were tried.
var triedOf = regexp.MustCompile(`\([0-9]+ `)

var explainNow = time.Unix(1764000000, 0).UTC()

// capturedBy is a request as a provider sends it, in raw HTTP.
func capturedBy(t testing.TB, provider, secret, body string) string {
	t.Helper()
	t.Setenv("CAPTURED_SECRET", secret)
	m, err := (&signerFlags{secret: secretFlags{env: "CAPTURED_SECRET"}}).messenger(provider, nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse("http://hooks.example.com" + explainPath)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := m.sign(message{url: u, body: []byte(body), contentType: "application/json", id: "evt_1", event: "paid", at: explainNow}, m.key, "")
	if err != nil {
		t.Fatal(err)
	}
	text := "POST " + explainPath + " HTTP/1.1\r\nHost: hooks.example.com\r\n"
	for _, name := range slices.Sorted(maps.Keys(signed.Header)) {
		text += name + ": " + signed.Header[name][0] + "\r\n"
	}
	return text + "\r\n" + body
}

// runExplain runs the command as a shell would, and checks that what it prints
// holds nothing that it must not.
func runExplain(t testing.TB, capture string, args ...string) (status int, output string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "captured")
	if err := os.WriteFile(file, []byte(capture), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := explainCommand()
	cmd.SetArgs(append(args, file))
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	err := cmd.Execute()
	output = strings.ReplaceAll(out.String(), dir, "DIR")
	if status = statusOf(err); errors.Is(err, errNotVerified) != (status == exitNotWanted) {
		t.Errorf("status %d for %v", status, err)
	}
	checkNothingPrinted(t, output, capture)
	return status, output
}

func checkNothingPrinted(t testing.TB, output, capture string) {
	t.Helper()
	if strings.Contains(output, "canary") {
		t.Errorf("the output holds a part of secret, body or URL:\n%s", output)
	}
	for line := range strings.Lines(capture) {
		_, value, _ := strings.Cut(line, ": ")
		for _, word := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune("=,'\" \r\n", r) }) {
			if len(word) >= 30 && strings.Contains(output, word) {
				t.Errorf("the output holds a signature:\n%s", output)
			}
		}
	}
}

// Each golden file is what a person reads.
func TestExplainGolden(t *testing.T) {
	t.Setenv("EXPLAIN_SECRET", explainSecret)
	t.Setenv("EXPLAIN_NEWLINE", explainSecret+"\n")
	t.Setenv("EXPLAIN_OTHER", "canary-another-secret")
	env := func(name string) []string { return []string{"--secret-env", name, "--now", "1764000060"} }
	struktr := capturedBy(t, "struktr", explainSecret, explainBody)
	stripe := capturedBy(t, "stripe", explainSecret, explainBody)
	for _, c := range []struct {
		name, provider, capture string
		args                    []string
		status                  int
	}{
		{"verified", "stripe", stripe, env("EXPLAIN_SECRET"), 0},
		{"secret-newline", "stripe", stripe, env("EXPLAIN_NEWLINE"), 1},
		{"body-reserialized", "struktr", strings.Replace(struktr, explainBody, strings.ReplaceAll(explainBody, `":`, `": `), 1), env("EXPLAIN_SECRET"), 1},
		{"another-sender", "struktr", stripe, env("EXPLAIN_SECRET"), 1},
		{"looks-like", "struktr", stripe, env("EXPLAIN_OTHER"), 1},
		{"no-signature", "github", "POST /in HTTP/1.1\r\nHost: hooks.example.com\r\n\r\n" + explainBody, env("EXPLAIN_SECRET"), 1},
		{"empty-signature", "github", "POST /in HTTP/1.1\r\nHost: hooks.example.com\r\nX-Hub-Signature-256: sha256=\r\n\r\n" + explainBody, []string{"--now", "1764000060"}, 1},
		{"another-secret", "stripe", stripe, env("EXPLAIN_OTHER"), 1},
		{"stale", "stripe", stripe, []string{"--secret-env", "EXPLAIN_SECRET", "--now", "2025-11-24T17:00:00Z"}, 1},
		{"cut-body", "struktr", strings.Replace(strings.TrimSuffix(struktr, "}"), "Host:", "Content-Length: 88\r\nHost:", 1), env("EXPLAIN_SECRET"), 1},
		{"token", "okrapdf", strings.Replace(struktr, "token=canary-query-9", "token="+explainSecret, 1), env("EXPLAIN_SECRET"), 0},
		{"handshake", "twitter-x", "GET /in?crc_token=abc HTTP/1.1\r\nHost: hooks.example.com\r\n\r\n", env("EXPLAIN_SECRET"), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, got := runExplain(t, c.capture, append(c.args, c.provider)...)
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			file := filepath.Join("testdata", "explain", c.name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// How much was tried grows with the catalogue.
			if triedOf.ReplaceAllString(got, "(many ") != triedOf.ReplaceAllString(string(want), "(many ") {
				t.Errorf("got\n%s\nwant\n%s\n(go test ./caddymodule -run TestExplainGolden -update writes it anew)", got, want)
			}
		})
	}
}

// The signature is blamed only where it does not hold: not for an event without its ID, and
// not for a token.
func TestExplainBlamesWhatFails(t *testing.T) {
	without := 0
	for name, provider := range config.Builtin() {
		plain := slices.Equal(provider.Signed, []string{"{body}"}) || slices.Equal(provider.Signed, []string{"{timestamp}.{body}"})
		stamped := provider.Timestamp != nil && provider.Timestamp.Source.Kind == signature.SourceBody
		if testbed.PrivateKeys()[algorithmOf(provider)] != "" || !plain || stamped {
			continue // its event needs a body of its own
		}
		secret := secretOf(name)
		raw := capturedBy(t, name, secret, "{}")
		t.Setenv("EXPLAIN_SECRET", secret)
		_, out := runExplain(t, raw, "--secret-env", "EXPLAIN_SECRET", "--now", explainNow.Format(time.RFC3339), name)
		if !strings.Contains(out, "the secret matches") {
			continue // it is in the body, say
		}
		if strings.Contains(out, "explains the signature") {
			t.Errorf("%s: the signature is blamed\n%s", name, out)
		}
		if strings.Contains(out, "id_malformed") {
			without++
		}
	}
	if without == 0 {
		t.Error("no event lacks its ID")
	}
	raw := capturedBy(t, "telegram-bot", "another token", `{"update_id":1}`) + "\n"
	raw = strings.Replace(raw, "\r\nHost", "\r\nX-Telegram-Bot-Api-Secret-Token: another token\r\nHost", 1)
	t.Setenv("EXPLAIN_SECRET", "the guard's token")
	if _, out := runExplain(t, raw, "--secret-env", "EXPLAIN_SECRET", "telegram-bot"); !strings.Contains(out, "explains the token") {
		t.Errorf("another token:\n%s", out)
	}
	if _, out := runExplain(t, raw, "telegram-bot"); strings.Contains(out, "usual mistake") || !strings.Contains(out, "there is no secret") {
		t.Errorf("no secret:\n%s", out)
	}
}

// One request, in each form that it can be captured in.
func TestExplainForms(t *testing.T) {
	t.Setenv("EXPLAIN_SECRET", explainSecret)
	raw := capturedBy(t, "struktr", explainSecret, explainBody)
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	var headers, members []string
	for line := range strings.Lines(head) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			headers = append(headers, "-H '"+line[:len(name)+2]+value+"'")
			members = append(members, `"`+name+`":["`+value+`"]`)
		}
	}
	bodyFile := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(bodyFile, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	object := "{" + strings.Join(members, ",") + "}"
	for name, c := range map[string]struct {
		capture string
		args    []string
	}{
		"raw HTTP":          {raw, []string{"--now", "1764000000"}},
		"raw HTTP, with LF": {strings.ReplaceAll(raw, "\r\n", "\n"), []string{"--now", "1764000000"}},
		"curl":              {"curl -X POST \\\n " + strings.Join(headers, " \\\n ") + " --data-raw '" + body + "' http://hooks.example.com/in", []string{"--now", "1764000000"}},
		"access log": {`{"ts":1764000000.5,"request":{"method":"POST","host":"hooks.example.com","uri":"/in","headers":` + object + `}}`,
			[]string{"--body", bodyFile}},
		"access log with the body": {`{"ts":1764000000.5,"request":{"method":"POST","host":"hooks.example.com","uri":"/in","headers":` + object + `},"body":` + strconv.Quote(body) + `}`, nil},
		"headers":                  {object, []string{"--body", bodyFile, "--now", "1764000000"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, out := runExplain(t, c.capture, append(c.args, "--secret-env", "EXPLAIN_SECRET", "struktr")...)
			if status != exitWanted {
				t.Errorf("status %d:\n%s", status, out)
			}
		})
	}
}

// What cannot be judged is said in words, with a status of its own.
func TestExplainUsage(t *testing.T) {
	t.Setenv("EXPLAIN_SECRET", explainSecret)
	raw := capturedBy(t, "struktr", explainSecret, explainBody)
	for _, c := range []struct {
		capture string
		args    []string
		want    string
	}{
		{raw, []string{"struktr"}, "--secret-env"},
		{raw, []string{"--secret-env", "EXPLAIN_UNSET", "struktr"}, "no variable of this name"},
		{raw, []string{"--secret-env", "EXPLAIN_SECRET", "nobody"}, "unknown provider"},
		{raw, []string{"--secret-env", "EXPLAIN_SECRET", "--now", "noon", "struktr"}, "--now"},
		{raw, []string{"--secret-env", "EXPLAIN_SECRET", "--public-url", "hooks.example.com", "struktr"}, "public_url"},
		{raw, []string{"--secret-env", "EXPLAIN_SECRET", "--body", "/nonexistent", "struktr"}, "--body"},
		{raw, []string{"--secret-file", "-", "--body", "-", "struktr"}, "only one"},
		{raw, []string{"--secret-env", "EXPLAIN_SECRET", "tiktok-shop"}, "param app_key"},
		{raw, []string{"--nonsense", "struktr"}, "unknown flag"},
		{raw, []string{"struktr", "one", "two"}, "accepts 2 arg"},
		{"hello " + explainBody, []string{"--secret-env", "EXPLAIN_SECRET", "struktr"}, "no capture"},
		{"curl -d @event.json http://a", []string{"--secret-env", "EXPLAIN_SECRET", "struktr"}, "--body"},
	} {
		status, out := runExplain(t, c.capture, c.args...)
		if status != exitUsage || !strings.Contains(out, c.want) {
			t.Errorf("%q: status %d, want something of %q:\n%s", c.args, status, c.want, out)
		}
	}
}

// A public URL and constants are taken as the guard takes them.
func TestExplainPublicURLAndParams(t *testing.T) {
	t.Setenv("EXPLAIN_SECRET", explainSecret)
	raw := capturedBy(t, "hubspot-v3", explainSecret, explainBody)
	moved := strings.Replace(raw, "POST /in/canary-path-31", "POST /internal", 1)
	for publicURL, want := range map[string]int{"http://hooks.example.com" + explainPath: 0, "https://hooks.example.com" + explainPath: 1, "": 1} {
		args := []string{"--secret-env", "EXPLAIN_SECRET", "--now", "1764000000", "hubspot-v3"}
		if publicURL != "" {
			args = append([]string{"--public-url", publicURL}, args...)
		}
		if status, out := runExplain(t, moved, args...); status != want {
			t.Errorf("%q: status %d\n%s", publicURL, status, out)
		}
	}
	p := config.Builtin()["tiktok-shop"]
	p.Param = map[string]string{"app_key": "k1"}
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	key, err := rules.Scheme.NewKey(explainSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := signature.Request{Method: "POST", Body: []byte(`{"a":1}`)}
	if err := rules.Scheme.Sign(&r, key, explainNow, ""); err != nil {
		t.Fatal(err)
	}
	capture := "POST / HTTP/1.1\nHost: a\nAuthorization: " + r.Header["Authorization"][0] + "\n\n" + `{"a":1}`
	for value, want := range map[string]int{"app_key=k1": 0, "app_key=k2": 1} {
		if status, out := runExplain(t, capture, "--param", value, "--secret-env", "EXPLAIN_SECRET", "tiktok-shop"); status != want {
			t.Errorf("%s: status %d\n%s", value, status, out)
		}
	}
}
