package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// Whatever keeps a request from a guard, the error says where it was sent, and what to do.
func TestSendSaysWhatToDoWhereNoGuardAnswers(t *testing.T) {
	t.Setenv("GUARD_SECRET", secretOf("github"))
	nothing := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	plain := httptest.NewServer(nothing)
	t.Cleanup(plain.Close)
	encrypted := httptest.NewUnstartedServer(nothing)
	encrypted.Config.ErrorLog = silent()
	encrypted.StartTLS()
	t.Cleanup(encrypted.Close)
	elsewhere := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://example.com/", http.StatusPermanentRedirect)
	})
	broken := newGateway(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	nameless := httptest.NewUnstartedServer(nothing)
	nameless.Config.ErrorLog = silent()
	nameless.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no certificate for it") }}
	nameless.StartTLS()
	t.Cleanup(nameless.Close)
	cut := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "a part")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	tokenless := newGateway(t, takes(webhook.TokenMissing, http.StatusUnauthorized, ""))
	swap := func(url, from, to string) string { return to + strings.TrimPrefix(url, from) }
	for name, c := range map[string]struct{ url, says string }{
		"nobody listens":        {fmt.Sprintf("http://127.0.0.1:%d/in", testbed.FreePort(t)), "is the gateway running"},
		"no such host":          {"http://no..host/in", "--resolve no..host:<address>"},
		"http, where TLS is":    {swap(encrypted.URL, "https:", "http:"), "has to begin with https://"},
		"TLS, where http is":    {swap(plain.URL, "http:", "https:"), "has to begin with http://"},
		"another's certificate": {encrypted.URL, "--insecure"},
		"a redirect":            {elsewhere.URL, "leads to another URL"},
		"no route":              {plain.URL, "does a route with webhook_guard match"},
		"no token":              {tokenless.URL, "put the token into the URL"},
		"no certificate":        {nameless.URL, "the gateway may have no certificate for that name"},
		"a broken connection":   {broken.URL, "closed before there was a whole answer"},
		"a broken answer":       {cut.URL, "closed before there was a whole answer"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(sendCommand(), strings.NewReader(""), "github", c.url, "--secret-env", "GUARD_SECRET")
			wantText(t, err, c.says)
			if got := statusOf(err); got != exitNotWanted {
				t.Errorf("exit status %d, want %d", got, exitNotWanted)
			}
		})
	}
	if _, err := run(sendCommand(), strings.NewReader(""), "github", encrypted.URL, "--secret-env", "GUARD_SECRET", "--insecure"); err == nil || strings.Contains(err.Error(), "certificate") {
		t.Errorf("with --insecure: %v", err)
	}
}

// A gateway that answers nothing is not sent thousands of events; one that answers again is.
func TestSendEndsWhereNobodyAnswers(t *testing.T) {
	t.Setenv("GUARD_SECRET", secretOf("github"))
	flags := []string{"--secret-env", "GUARD_SECRET", "--count", "1000"}
	out, err := run(sendCommand(), strings.NewReader(""), append([]string{"github", fmt.Sprintf("http://127.0.0.1:%d/in", testbed.FreePort(t))}, flags...)...)
	wantText(t, err, "3 of 1000 requests were sent; 3 of 3 answers are not as they should be; the first: sending to ")
	if !strings.Contains(out, "3 requests: 3 no answer\n") {
		t.Errorf("the summary is %q", out)
	}
	var sent atomic.Int64 // each connection has its own goroutine
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if n := sent.Add(1); n > 1 && n < 20 {
			panic(http.ErrAbortHandler)
		}
		takes(webhook.Forwarded, 200, "")(w, r)
	})
	_, err = run(sendCommand(), strings.NewReader(""), "github", g.URL, "--secret-env", "GUARD_SECRET", "--count", "30")
	wantText(t, err, "18 of 30 answers are not as they should be")
	if n := sent.Load(); n != 30 {
		t.Errorf("%d requests were sent to a gateway that was away for a while, want 30", n)
	}
}

// Who interrupts gets the summary of what was sent.
func TestSendSumsUpWhereItIsInterrupted(t *testing.T) {
	t.Setenv("GUARD_SECRET", secretOf("github"))
	ctx, interrupt := context.WithCancel(t.Context())
	var sent atomic.Int64
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		if sent.Add(1) == 6 {
			interrupt()
			<-r.Context().Done()
			return
		}
		takes(webhook.Forwarded, 200, "")(w, r)
	})
	var out bytes.Buffer
	cmd := sendCommand()
	cmd.SetArgs([]string{"github", g.URL, "--secret-env", "GUARD_SECRET", "--count", "1000"})
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(ctx)
	wantText(t, err, "interrupted: 5 of 1000 requests were sent")
	if got := statusOf(err); got != exitNotWanted || !strings.Contains(out.String(), "5 requests: 5 forwarded; ") {
		t.Errorf("exit status %d, and the output\n%s", got, out.String())
	}
}

// The admin API is not where it was looked for: the error says where, and what says otherwise.
func TestTheAdminAPIIsNamedWhereItDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	for name, cmd := range map[string][]string{"lookup": {"docrouter", "ev-1"}, "forget": {"docrouter", "ev-1"}} {
		_, err := run(verbs[name](), strings.NewReader(""), append(cmd, "--address", address)...)
		wantText(t, err, "asking the gateway at "+address)
		wantText(t, err, "--address, or the configuration with --config")
		if got := statusOf(err); got != exitNotWanted {
			t.Errorf("%s: exit status %d, want %d", name, got, exitNotWanted)
		}
	}
}

// A flag that is nearly right is suggested, for each flag of each command; and a command with
// the wrong arguments says which it takes.
func TestWrongUsageSaysWhatIsRight(t *testing.T) {
	for name, newVerb := range verbs {
		for _, flag := range flagsOf(newVerb()) {
			wrong := flag[:1] + "q" + flag[1:]
			_, err := run(newVerb(), strings.NewReader(""), "--"+wrong)
			wantText(t, err, "unknown flag: --"+wrong+": did you mean --")
			wantText(t, err, flag)
			if got := statusOf(err); got != exitUsage {
				t.Errorf("%s --%s: exit status %d, want %d", name, wrong, got, exitUsage)
			}
		}
		_, err := run(newVerb(), strings.NewReader(""), "--no-flag-at-all")
		wantText(t, err, "unknown flag: --no-flag-at-all")
		if name == "providers" {
			continue // it takes none
		}
		_, err = run(newVerb(), strings.NewReader(""))
		wantText(t, err, "Usage: "+newVerb().UseLine())
		if got := statusOf(err); got != exitUsage {
			t.Errorf("%s without arguments: exit status %d, want %d", name, got, exitUsage)
		}
	}
}

// An ID, or a key of the list, may look like a flag: the error says how it is given, and there
// it is taken.
func TestIDsThatLookLikeFlags(t *testing.T) {
	const key = "-91nuuMD70J8dlr3gOPcgg"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(r.URL.RawQuery+string(body), key) {
			t.Errorf("the gateway is asked for %s %s", r.URL.RawQuery, body)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	address := strings.TrimPrefix(server.URL, "http://")
	for name, args := range map[string][]string{"show": nil, "replay": {"--reason", "a test"}, "delete": {"--reason", "a test"}, "lookup": nil, "forget": nil} {
		args = append(args, "--address", address, "payments")
		newVerb := verbs[name]
		if newVerb == nil {
			newVerb, args = inboxCommand, append([]string{name}, args...)
		}
		for _, id := range []string{key, "-" + key} {
			_, err := run(newVerb(), strings.NewReader(""), append(slices.Clone(args), id)...)
			wantText(t, err, "after --")
			if _, err := run(newVerb(), strings.NewReader(""), append(slices.Clone(args), "--", id)...); err != nil {
				t.Errorf("%s -- %s: %v", name, id, err)
			}
		}
	}
}

// What the gateway says of a request that it refuses is printed as it says it, without JSON
// around it.
func TestTheGatewaysRefusalIsPrinted(t *testing.T) {
	for want, answer := range map[string]struct {
		status int
		body   string
	}{
		"HTTP 503: the store does not answer":  {503, `{"error":"the store does not answer"}`},
		"built with this module?":              {404, ""},
		"is that the address of the admin API": {200, "an app's answer"},
		"HTTP 502: <html>":                     {502, "<html>"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, answer.body)
		}))
		_, err := run(lookupCommand(), strings.NewReader(""), "docrouter", "ev-1", "--address", strings.TrimPrefix(server.URL, "http://"))
		server.Close()
		wantText(t, err, want)
		if strings.Contains(err.Error(), "{") {
			t.Errorf("JSON in %q", err)
		}
	}
}

// A change of an inbox that says too little is wrong usage, and the gateway is not asked.
func TestChangesOfInboxesAreCheckedFirst(t *testing.T) {
	s := &adminServer{}
	address := s.start(t)
	for want, args := range map[string][]string{
		"--reason: say why":                           {"replay", "payments", "evt_1"},
		"a filter such as --state dead":               {"delete", "payments", "--reason", "x"},
		"not both":                                    {"replay", "payments", "evt_1", "--state", "dead", "--reason", "x"},
		`"daed" is not a state: did you mean dead?`:   {"replay", "payments", "--state", "daed", "--reason", "x"},
		"--reason: say why, for the log; or see what": {"pause", "payments"},
	} {
		_, err := run(inboxCommand(), strings.NewReader(""), append(args, "--address", address)...)
		wantText(t, err, want)
		if got := statusOf(err); got != exitUsage {
			t.Errorf("%q: exit status %d, want %d", args, got, exitUsage)
		}
	}
	if len(s.changes) > 0 {
		t.Errorf("the gateway was asked for %v", s.changes)
	}
}

// What is wrong whoever is asked is wrong usage, and the gateway is not asked.
func TestArgumentsAreCheckedBeforeTheGatewayIsAsked(t *testing.T) {
	t.Setenv("GUARD_SECRET", secretOf("github"))
	for want, cases := range map[string][][]string{
		"an argument is empty": {
			{"lookup", "", "ev-1"}, {"lookup", "docrouter", ""}, {"forget", "docrouter", "a", ""}, {"show", "payments", ""}, {"show", "", "evt_1"}, {"list", ""},
			{"delete", "payments", "", "--reason", "x"}, {"replay", "payments", "a", "", "--reason", "x"}, {"pause", "", "--reason", "x"}, {"export", ""},
			{"explain", "stripe", ""}, {"sign", ""}, {"send", "stripe", ""}, {"providers", ""},
		},
		"without a scheme":              {{"lookup", "docrouter", "ev-1", "--address", "http://127.0.0.1:2019"}, {"list", "--address", "http://127.0.0.1:2019"}},
		"that no header can have":       {{"sign", "github", "--header", "X A: b"}, {"sign", "github", "--event", "a\nX-B: c"}, {"sign", "github", "--id", "a\r\nb"}},
		"--header: \"X-A: b\\nX-C: d\"": {{"send", "github", "http://127.0.0.1:1/in", "--header", "X-A: b\nX-C: d"}},
	} {
		for _, args := range cases {
			newVerb, given := verbs[args[0]], args[1:]
			if newVerb == nil {
				newVerb, given = inboxCommand, args
			}
			if args[0] == "sign" || args[0] == "send" || args[0] == "explain" {
				given = append(slices.Clone(given), "--secret-env", "GUARD_SECRET")
			}
			_, err := run(newVerb(), strings.NewReader(""), given...)
			wantText(t, err, want)
			if got := statusOf(err); got != exitUsage {
				t.Errorf("%q: exit status %d, want %d: %v", args, got, exitUsage, err)
			}
		}
	}
}

// The configuration says where the admin API is, and nothing is logged about reading it.
func TestTheConfigurationNamesTheAdminAPI(t *testing.T) {
	t.Setenv("GUARD_ADMIN", "127.0.0.1:2345")
	with := func(text string) adminFlags {
		path := filepath.Join(t.TempDir(), "caddy.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return adminFlags{config: configFlags{file: path}}
	}
	for text, want := range map[string]string{
		`{}`:                                    "localhost:2019",
		`{"admin":{"listen":"127.0.0.1:2222"}}`: "127.0.0.1:2222",
		`{"admin":{"listen":"{env.GUARD_ADMIN}"}}`: "127.0.0.1:2345",
	} {
		f := with(text)
		if got, err := f.find(); err != nil || got != want {
			t.Errorf("%s: the address is %s, %v, want %s", text, got, err, want)
		}
		f.address = "127.0.0.1:1"
		if got, err := f.find(); err != nil || got != f.address {
			t.Errorf("%s: the address is %s, %v, want that of --address", text, got, err)
		}
	}
	for text, want := range map[string]string{`{"admin":{"disabled":true}}`: "admin off", `{"admin":{"listen":"{env.GUARD_UNSET}"}}`: "--address"} {
		f := with(text)
		_, err := f.find()
		wantText(t, err, want)
	}
}
