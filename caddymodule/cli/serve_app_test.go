package cli

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// forward passes a request on to the app, as a guard does.
func forward(t *testing.T, port int, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	body = append(body, "\x1b[2J"...)
	req, err := http.NewRequest(r.Method, "http://127.0.0.1:"+strconv.Itoa(port)+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Webhook-Guard", "verified")
	req.Header.Set("X-Echo", r.URL.Query().Get("key"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Errorf("the app answers %d", resp.StatusCode)
	}
}

// --serve prints what the app receives, without the token of the URL and without what a
// terminal takes for a command.
func TestServePrintsWhatTheAppReceives(t *testing.T) {
	port := testbed.FreePort(t)
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		forward(t, port, r)
		takes(webhook.Forwarded, http.StatusNoContent, "")(w, r)
	})
	out := g.send(t, "github", "--serve", strconv.Itoa(port), "--event", "push")
	for _, want := range []string{"the app receives POST /in\n", "  Webhook-Guard: verified\n", "  X-Echo: …\n", `  {`, "204 forwarded\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "opens") || strings.Contains(out, "\x1b") {
		t.Errorf("a token, or a command, in\n%q", out)
	}
}

// A guard with a success line takes no other status for success, so the app answers with one
// of those.
func TestServeAnswersWithSuccess(t *testing.T) {
	port := testbed.FreePort(t)
	g := newGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		resp, err := http.Post("http://127.0.0.1:"+strconv.Itoa(port), "text/plain", nil)
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
		takes(webhook.Forwarded, resp.StatusCode, "")(w, nil)
	})
	for provider, want := range map[string]string{"github": "204 forwarded", "worldpay": "200 forwarded"} {
		if out := g.send(t, provider, "--serve", strconv.Itoa(port)); !strings.Contains(out, want) {
			t.Errorf("%s: no %q in\n%s", provider, want, out)
		}
	}
	providers := maps.Clone(config.Builtin())
	providers["a guard's own"] = config.Provider{Success: []string{"404", "300-302"}}
	for name, provider := range providers {
		success, err := config.ParseStatuses(append([]string{"2xx"}, provider.Success...)[min(1, len(provider.Success)):])
		if err != nil {
			t.Fatal(err)
		}
		if status := successOf(success); !success.Has(status) {
			t.Errorf("%s: the app answers %d, which is not in %v", name, status, provider.Success)
		}
	}
}

// With an inbox the app gets the event after the sender has its answer.
func TestServeWaitsForAnInbox(t *testing.T) {
	port := testbed.FreePort(t)
	answered := make(chan *http.Request, 1)
	go func() {
		for r := range answered {
			forward(t, port, r)
		}
	}()
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request) {
		takes("accepted", http.StatusOK, "")(w, r)
		answered <- r
	})
	defer close(answered)
	if out := g.send(t, "github", "--serve", "127.0.0.1:"+strconv.Itoa(port)); !strings.Contains(out, "200 accepted") || !strings.Contains(out, "the app receives") {
		t.Errorf("printed\n%s", out)
	}
}

// What the app has received is answered before the app goes, or the guard takes it for an
// event that failed.
func TestServeEndsAfterItsAnswers(t *testing.T) {
	address := "127.0.0.1:" + strconv.Itoa(testbed.FreePort(t))
	printed, goOn := make(chan struct{}), make(chan struct{})
	app, err := serveApp(address, http.StatusNoContent, func(string) {
		close(printed)
		<-goOn
	})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Post("http://"+address+"/", "text/plain", nil)
		if err == nil {
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	<-printed
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		app.close()
	}()
	testbed.Eventually(t, time.Minute, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	}, "the app still listens")
	close(goOn)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	<-closed
}

func TestServeSaysThatTheAppGotNothing(t *testing.T) {
	app, err := serveApp(strconv.Itoa(testbed.FreePort(t)), http.StatusNoContent, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	defer app.close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = app.wait(ctx, 2)
	wantText(t, err, "received 0 of the 2 events")
	for _, address := range []string{"", "x", "127.0.0.1:port", "127.0.0.1:70000", "0"} {
		_, err := serveApp(address, http.StatusNoContent, func(string) {})
		wantText(t, err, "--serve 5000")
	}
}
