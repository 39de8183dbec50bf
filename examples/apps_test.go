package examples_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Each app gets each event of the five senders once, and nothing else.
func TestEachAppHandlesTheFiveSenders(t *testing.T) {
	for _, app := range []struct {
		name  string
		start func(testing.TB, ...string) *testbed.Example
	}{
		{"flask", testbed.StartFlask},
		{"express", testbed.StartExpress},
	} {
		t.Run(app.name, func(t *testing.T) {
			behind := app.start(t)
			gateway := startGateway(t, app.name, behind.Port())
			var want []string
			for _, sender := range testbed.Senders() {
				want = append(want, deliver(t, gateway.URL(""), sender)...)
			}
			behind.WaitHandled(len(want))
			got := behind.Handled()
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("the app handled\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// Each app takes a body as large as GitHub's largest, which the guard lets through.
func TestEachAppTakesTheLargestEvents(t *testing.T) {
	const largest = 25 << 20
	body := `{"x":"` + strings.Repeat("x", largest-len(`{"x":""}`)) + `"}`
	for name, start := range map[string]func(testing.TB, ...string) *testbed.Example{"flask": testbed.StartFlask, "express": testbed.StartExpress} {
		t.Run(name, func(t *testing.T) {
			resp, err := http.Post("http://127.0.0.1:"+strconv.Itoa(start(t).Port())+"/webhooks/github", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusNoContent {
				t.Errorf("it answers %s", resp.Status)
			}
		})
	}
}

// startGateway runs the gateway of an example as it is shipped.
func startGateway(t *testing.T, name string, appPort int) *testbed.Gateway {
	t.Helper()
	caddyfile, err := os.ReadFile(filepath.Join(testbed.ExampleDir(t, name), "Caddyfile"))
	if err != nil {
		t.Fatal(err)
	}
	port := testbed.FreePort(t)
	env := append(testbed.SecretEnv(),
		"SITE_ADDRESS=http://127.0.0.1:"+strconv.Itoa(port),
		"APP_PORT="+strconv.Itoa(appPort),
		"REDIS_URL="+testbed.StartRedis(t).URL())
	return testbed.StartGateway(t, string(caddyfile), testbed.WithPort(port), testbed.WithEnv(env...))
}

// deliver sends one event with its copies and forgeries, and returns what the
// app is to print of it.
func deliver(t *testing.T, base string, sender testbed.Sender) []string {
	t.Helper()
	event := testbed.Event{}.Fill()
	genuine := onceStoreAnswers(t, func() *http.Request { return sender.Request(t, base, event) })
	if genuine.Guard != "forwarded" || genuine.Status/100 != 2 {
		t.Errorf("%s: a genuine event got %s", sender.Name, genuine)
	}
	again := onceStoreAnswers(t, func() *http.Request { return sender.Request(t, base, event) })
	if again.Guard != "duplicate" || again.Status != genuine.Status {
		t.Errorf("%s: its copy got %s, want the first one's status, %d", sender.Name, again, genuine.Status)
	}
	forger := sender
	forger.Secret = "not-" + sender.Secret
	if got := testbed.Do(t, forger.Request(t, base, testbed.Event{})); got.Status != http.StatusUnauthorized {
		t.Errorf("%s: a forgery got %s", sender.Name, got)
	}
	return []string{fmt.Sprintf("handled %s %s", sender.Name, handledAs(sender, event))}
}

// onceStoreAnswers sends a request as senders do, until the answer is no 503. The examples have
// the default timeout and lease, which a busy machine may exceed.
func onceStoreAnswers(t *testing.T, request func() *http.Request) (resp testbed.Response) {
	t.Helper()
	testbed.Eventually(t, 2*time.Minute, func() bool {
		resp = testbed.Do(t, request())
		return resp.Status != http.StatusServiceUnavailable
	}, "an answer that is no 503")
	return resp
}

// handledAs is how the apps print an event: its type and its ID.
func handledAs(sender testbed.Sender, e testbed.Event) string {
	switch sender.Name {
	case "okrapdf":
		return "document.completed document.completed:doc-" + e.ID + ":" + e.Time.UTC().Format("2006-01-02T15:04:05Z")
	case "struktr":
		return "document.completed dlv_" + e.ID
	case "docintell":
		return "document.processing.completed document.processing.completed:d-" + e.ID + ":j-" + e.ID
	case "ocriva":
		return "document.processed evt_" + e.ID
	}
	return "llm.completed ev-" + e.ID
}
