// Package examples_test runs the shipped configurations as their users do.
package examples_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// canary is in every secret here, and must not be in anything printed.
const canary = "canary"

func TestShippedConfigurationsPrintNoSecret(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"make run": "../Caddyfile",
		"flask":    "flask/Caddyfile",
		"express":  "express/Caddyfile",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			caddyfile, err := os.ReadFile(filepath.FromSlash(path))
			if err != nil {
				t.Fatal(err)
			}
			app := testbed.StartApp(t, nil)
			redis := testbed.StartRedis(t)
			port := testbed.FreePort(t)
			g := testbed.StartGateway(t, string(caddyfile), testbed.WithPort(port), testbed.WithEnv(
				"SITE_ADDRESS=:"+strconv.Itoa(port),
				"APP_PORT="+strconv.Itoa(app.Port()),
				"RECEIVER_PORT="+strconv.Itoa(testbed.FreePort(t)),
				"PAGE_PORT="+strconv.Itoa(testbed.FreePort(t)),
				"REDIS_URL="+redis.URL(),
				"OKRAPDF_TOKEN="+canary,
				"STRUKTR_SECRET="+canary,
				"DOCINTELL_SECRET="+canary,
				"OCRIVA_SECRET="+canary,
				"DOCROUTER_SECRET="+canary,
			))
			send(t, g.URL("/webhooks/okrapdf?token="+canary), http.StatusOK)
			send(t, g.URL("/nothing-here?token="+canary), http.StatusNotFound)
			if name != "make run" { // its receiver is part of the gateway
				app.Stop()
				send(t, g.URL("/webhooks/okrapdf?token="+canary), http.StatusBadGateway)
			}
			if err := g.Stop(); err != nil {
				t.Errorf("the gateway ended badly: %v", err)
			}
			if !strings.Contains(g.Output(), "token=REDACTED") {
				t.Errorf("no request in the log:\n%s", g.Output())
			}
			if strings.Contains(g.Output(), canary) {
				t.Errorf("a secret in the log:\n%s", g.Output())
			}
		})
	}
}

var documents atomic.Int64

// send posts an event of OkraPDF, a new one every time.
func send(t *testing.T, url string, want int) {
	t.Helper()
	body := fmt.Sprintf(`{"event":"document.completed","document_id":"doc-%d","timestamp":%q}`,
		documents.Add(1), time.Now().UTC().Format(time.RFC3339))
	resp := onceStoreAnswers(t, func() *http.Request {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		return req
	})
	if resp.Status != want {
		t.Errorf("POST %s: %v, want status %d", strings.Split(url, "?")[0], resp, want)
	}
}
