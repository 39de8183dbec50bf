//go:build full

package programs

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// alertmanager notifies at once. Alerts with the label repeat=yes are repeated after
// seconds; the others are not within a test.
const alertmanagerConfig = `
route:
  receiver: guard
  group_by: [alertname]
  group_wait: 0s
  group_interval: 2s
  repeat_interval: 1h
  routes:
  - matchers: [repeat="yes"]
    repeat_interval: 2s
receivers:
- name: guard
  webhook_configs:
  - url: %[1]s/hook
    http_config: {authorization: {credentials: %[2]s}}
  - url: %[1]s/wrong
    http_config: {authorization: {credentials: %[2]s}}
`

func startAlertmanager(t *testing.T, r *rig) (*testbed.Process, api) {
	t.Helper()
	dir := t.TempDir()
	port := testbed.FreePort(t)
	p := testbed.StartProcess(t, dir, nil, installed(t, "prometheus-alertmanager"),
		"--config.file="+write(t, dir, "alertmanager.yml", fmt.Sprintf(alertmanagerConfig, r.url, secret)),
		"--storage.path="+dir, "--cluster.listen-address=", "--log.level=debug",
		"--web.listen-address=127.0.0.1:"+strconv.Itoa(port))
	return p, newAPI(t, p, port, "/-/ready")
}

func TestAlertmanager(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alertmanager")
	p, api := startAlertmanager(t, r)
	fire := func(name, repeat string, ends time.Time) {
		t.Helper()
		api.call(http.MethodPost, "/api/v2/alerts", []any{map[string]any{
			"labels": map[string]string{"alertname": name, "repeat": repeat}, "endsAt": ends.Format(time.RFC3339),
		}}, nil)
	}
	later := time.Now().Add(time.Hour)

	fire("works", "no", later)
	first, got := r.wantForwarded("/hook", 1)
	r.wantEvent(got, "firing")
	r.want("/wrong", 1, http.StatusUnauthorized, "token_invalid")

	// Nothing is signed, and Alertmanager repeats alerts on purpose: a copy is an event.
	r.wantAgain(first, unchanged, http.StatusOK, "forwarded")
	r.wantAgain(first, func(req *http.Request) { req.Header.Del("Authorization") }, http.StatusUnauthorized, "token_missing")

	fire("works", "no", time.Now().Add(-time.Second))
	_, got = r.wantForwarded("/hook", 2)
	r.wantEvent(got, "resolved")

	// It retries after a 5xx, with the same bytes.
	r.then(http.StatusInternalServerError, http.StatusServiceUnavailable)
	fire("fails", "no", later)
	failed := r.want("/hook", 3, http.StatusInternalServerError, "upstream_failed")
	r.want("/hook", 4, http.StatusServiceUnavailable, "upstream_failed")
	if retried, _ := r.wantForwarded("/hook", 5); !bytes.Equal(retried.body, failed.body) {
		t.Errorf("the retry has another body:\n%s\n%s", failed.body, retried.body)
	}

	// Any other failure ends this notification. The group's next one, group_interval later,
	// has the alert again.
	r.then(http.StatusNotFound)
	fire("is-refused", "no", later)
	refused := r.want("/hook", 6, http.StatusNotFound, "upstream_failed")
	p.WaitOutput("unrecoverable error after 1 attempts")
	if next, _ := r.wantForwarded("/hook", 7); !bytes.Equal(next.body, refused.body) {
		t.Errorf("another alert than the refused one:\n%s\n%s", refused.body, next.body)
	}

	// An alert that goes on is repeated in the same bytes.
	fire("goes-on", "yes", later)
	original, _ := r.wantForwarded("/hook", 8)
	if repeated, _ := r.wantForwarded("/hook", 9); !bytes.Equal(repeated.body, original.body) {
		t.Errorf("the repeated alert has another body:\n%s\n%s", original.body, repeated.body)
	}
	for _, e := range r.all("/wrong") {
		if e.answer.Guard != "token_invalid" {
			t.Errorf("the wrong token got %v", e.answer)
		}
	}
}
