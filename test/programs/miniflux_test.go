//go:build full

package programs

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// miniflux is a running Miniflux, and a feed that it reads.
type miniflux struct {
	api
	db    postgres
	items atomic.Int32 // of the feed
	feed  int64        // its ID
}

const minifluxUser, minifluxPassword = "owner", "password-of-the-owner"

func startMiniflux(t *testing.T, r *rig) *miniflux {
	t.Helper()
	m := &miniflux{db: startPostgres(t)}
	m.db.do("postgres", "CREATE DATABASE miniflux")
	port := testbed.FreePort(t)
	p := testbed.StartProcess(t, t.TempDir(), []string{
		"DATABASE_URL=" + m.db.url("miniflux"), "RUN_MIGRATIONS=1", "DISABLE_SCHEDULER_SERVICE=1",
		"CREATE_ADMIN=1", "ADMIN_USERNAME=" + minifluxUser, "ADMIN_PASSWORD=" + minifluxPassword,
		fmt.Sprintf("LISTEN_ADDR=127.0.0.1:%d", port),
		// It refuses to call the loopback interface otherwise.
		"FETCHER_ALLOW_PRIVATE_NETWORKS=1", "INTEGRATION_ALLOW_PRIVATE_NETWORKS=1",
	}, built(t, "miniflux", "miniflux.app/v2"))
	m.api = newAPI(t, p, port, "/healthcheck")
	m.sign = func(req *http.Request) { req.SetBasicAuth(minifluxUser, minifluxPassword) }

	m.items.Store(1)
	feed := testbed.StartApp(t, m.serveFeed)
	var created struct {
		FeedID int64 `json:"feed_id"`
	}
	m.call(http.MethodPost, "/v1/feeds", map[string]any{"feed_url": feed.URL() + "/feed", "category_id": 1}, &created)
	m.feed = created.FeedID
	m.sendTo(r.url + "/hook")
	return m
}

func (m *miniflux) serveFeed(testbed.Delivery) testbed.Answer {
	var feed strings.Builder
	feed.WriteString(`<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>http://127.0.0.1/</link>`)
	for i := range m.items.Load() {
		fmt.Fprintf(&feed, "<item><title>News %[1]d</title><link>http://127.0.0.1/%[1]d</link></item>", i)
	}
	feed.WriteString("</channel></rss>")
	return testbed.Answer{Header: http.Header{"Content-Type": {"application/rss+xml"}}, Body: []byte(feed.String())}
}

// sendTo sets the webhook, as the settings page does.
func (m *miniflux) sendTo(url string) {
	m.t.Helper()
	m.db.do("miniflux", fmt.Sprintf("UPDATE integrations SET webhook_enabled = true, webhook_url = '%s', webhook_secret = '%s'", url, secret))
}

// publish adds an item to the feed and has Miniflux read it, which makes the event
// new_entries.
func (m *miniflux) publish() {
	m.t.Helper()
	m.items.Add(1)
	m.call(http.MethodPut, fmt.Sprintf("/v1/feeds/%d/refresh", m.feed), nil, nil)
}

// save saves an entry, which makes the event save_entry.
func (m *miniflux) save(entry int64) {
	m.t.Helper()
	m.call(http.MethodPost, fmt.Sprintf("/v1/entries/%d/save", entry), nil, nil)
}

func TestMiniflux(t *testing.T) {
	t.Parallel()
	r := newRig(t, "miniflux")
	miniflux := startMiniflux(t, r)

	miniflux.publish()
	first, got := r.wantForwarded("/hook", 1)
	r.wantEvent(got, "new_entries")
	r.wantAgain(first, unchanged, http.StatusOK, "duplicate")
	r.wantAgain(first, anotherBody(first), http.StatusUnauthorized, "signature_invalid")

	wantNeverRetries(t, "miniflux")
	// It does not retry: the next request is the next event. A person can save the entry
	// again. The event says when the feed was read last, so only then it is another one.
	r.then(http.StatusInternalServerError)
	miniflux.save(1)
	failed := r.want("/hook", 2, http.StatusInternalServerError, "upstream_failed")
	miniflux.publish()
	_, got = r.wantForwarded("/hook", 3)
	r.wantEvent(got, "new_entries")
	miniflux.save(1)
	saved, got := r.wantForwarded("/hook", 4)
	r.wantEvent(got, "save_entry")
	miniflux.save(1)
	again := r.want("/hook", 5, http.StatusOK, "duplicate")
	if bytes.Equal(saved.body, failed.body) || !bytes.Equal(again.body, saved.body) {
		t.Errorf("the event of an entry that is saved again:\n%s\n%s\n%s", failed.body, saved.body, again.body)
	}

	miniflux.sendTo(r.url + "/wrong")
	miniflux.publish()
	r.want("/wrong", 1, http.StatusUnauthorized, "signature_invalid")
	if r.app.Count() != 4 {
		t.Errorf("the app was called %d times, want 4", r.app.Count())
	}
	if n := len(r.all("/hook")); n != 5 {
		t.Errorf("Miniflux sent %d requests, want 5", n)
	}
}
