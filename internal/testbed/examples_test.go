package testbed

import (
	"net/http"
	"slices"
	"testing"
)

func TestExamples(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB, ...string) *Example{
		"flask":   StartFlask,
		"express": StartExpress,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app := start(t)
			req := post(t, app.URL("/webhooks/struktr"), `{"event":"document.completed"}`)
			req.Header.Set("Content-Type", "text/plain") // the app does not mind
			req.Header.Set("Webhook-Guard-Event", "document.completed")
			req.Header.Set("Webhook-Guard-Id", "dlv_1")
			if resp := Do(t, req); resp.Status != http.StatusNoContent {
				t.Fatalf("answer %v; the app printed:\n%s", resp, app.Output())
			}
			app.WaitHandled(1)
			if resp := Do(t, post(t, app.URL("/webhooks/struktr"), `{"event":`)); resp.Status != http.StatusBadRequest {
				t.Errorf("half an event got %v", resp)
			}
			if resp := Do(t, post(t, app.URL("/"), `{}`)); resp.Status != http.StatusNotFound {
				t.Errorf("another path got %v", resp)
			}
			if got, want := app.Handled(), []string{"handled struktr document.completed dlv_1"}; !slices.Equal(got, want) {
				t.Errorf("handled %q, want %q", got, want)
			}
		})
	}
}
