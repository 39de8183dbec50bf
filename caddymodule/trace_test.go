package caddymodule

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed/counted"
	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// A refusal says who sent it and where to, without the query, in which tokens travel.
func TestRefusedLineSaysWhereItCameFrom(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.logs.TakeAll()
	r := b.request(event("1"))
	r.Header.Set("X-Token", "wrong")
	r.URL.RawQuery = "token=canary"
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, "192.0.2.7")
	if _, err := b.serve(r, says(http.StatusOK, "")); err == nil {
		t.Fatal("a wrong token was let through")
	}
	lines := b.logs.FilterMessage("refused").TakeAll()
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	got := lines[0].ContextMap()
	for name, want := range map[string]any{
		"result": "token_invalid", "provider": "docrouter", "scope": "docrouter",
		"client_ip": "192.0.2.7", "host": "hooks.example.com", "path": "/in",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if strings.Contains(lines[0].Message+lines[0].Entry.Message, "canary") || strings.Contains(got["path"].(string), "canary") {
		t.Errorf("the query is in the line: %v", got)
	}
}

// An event that the app did not take is a warning, with the app's status and how long it
// took.
func TestAppFailedLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	b.logs.TakeAll()
	if _, err := b.serve(b.request(event("1")), says(http.StatusInternalServerError, "broken")); err != nil {
		t.Fatal(err)
	}
	lines := b.logs.FilterMessage("app failed").TakeAll()
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	got := lines[0].ContextMap()
	if _, timed := got["duration"].(time.Duration); !timed || got["status"] != int64(500) || got["result"] != "upstream_failed" || got["id"] != "1" {
		t.Errorf("the line has %v", got)
	}
}

// A proxy's own failure has a status, too: what Caddy answers for it.
func TestAppFailedLineOfAProxy(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	_, err := b.serve(b.request(event("1")), func(http.ResponseWriter, *http.Request) error {
		return caddyhttp.Error(http.StatusBadGateway, errors.New("dial tcp: connection refused"))
	})
	lines := b.logs.FilterMessage("app failed").TakeAll()
	if err == nil || len(lines) != 1 || lines[0].ContextMap()["status"] != int64(502) {
		t.Errorf("%v, lines %v", err, lines)
	}
}

// Each result that the guard can have is counted from 0 on, and a guard that has verified nothing says 0.
func TestMetricsBeginAtZero(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(g *Guard) { g.Scope = "begins-at-zero" })
	families := make(chan prometheus.Metric)
	go func() { // there are as many as all tests of the package have made
		defer close(families)
		b.guard.metrics.requests.Collect(families)
	}()
	zeros := 0
	for series := range families {
		var m dto.Metric
		if err := series.Write(&m); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == "begins-at-zero" }) && m.GetCounter().GetValue() == 0 {
			zeros++
		}
	}
	if zeros != len(possible(false)) {
		t.Errorf("%d series of the guard are at 0 before the first request, want %d", zeros, len(possible(false)))
	}
	last := b.guard.counts.lastVerified
	if got := counted.Sum(t, last); got != 0 {
		t.Errorf("last verified at %v before the first request", got)
	}
	before := float64(time.Now().Unix())
	if w, err := b.serve(b.request(event("1")), says(http.StatusOK, "")); err != nil || w.Header().Get(webhook.ResultHeader) != "forwarded" {
		t.Fatalf("%v, %v", w.Header(), err)
	}
	if got := counted.Sum(t, last); got < before {
		t.Errorf("last verified at %v, which is before %v", got, before)
	}
}
