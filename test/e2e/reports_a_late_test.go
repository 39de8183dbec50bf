package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Late retries carry the first one's stamp, stamps have no zone, and events of one sender can
// be the same bytes.
func TestLateRetriesAndEqualEvents(t *testing.T) {
	t.Parallel()
	now := time.Now()
	hexed := func(text string) string { return hex.EncodeToString(sum256(text)) }
	linear := func(sent time.Time, id string) reported {
		body := fmt.Sprintf(`{"action":"update","type":"Issue","webhookTimestamp":%d}`, sent.UnixMilli())
		return reported{"/linear", body, []string{"Linear-Signature", hexed(body), "Linear-Delivery", id}}
	}
	orb := func(layout, id string) reported {
		body, stamp := `{"id":"`+id+`","type":"invoice.issued"}`, now.UTC().Format(layout)
		return reported{"/orb", body, []string{"X-Orb-Signature", "v1=" + hexed("v1:"+stamp+":"+body), "X-Orb-Timestamp", stamp}}
	}
	pylon := func(sent time.Time) reported {
		const body = `{"issue":"closed"}`
		stamp := fmt.Sprint(sent.Unix())
		return reported{"/pylon", body, []string{"Pylon-Webhook-Signature", "hs256=" + hexed(stamp+"."+body), "Pylon-Webhook-Timestamp", stamp}}
	}
	woo := func(id, topic string) reported {
		const body = `{"id":7,"status":"processing"}`
		return reported{"/woocommerce", body, []string{"X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(sum256(body)),
			"X-WC-Webhook-Delivery-ID", id, "X-WC-Webhook-Topic", topic}}
	}

	app := testbed.StartApp(t, nil)
	routes := ""
	for _, name := range []string{"linear", "orb", "pylon", "woocommerce"} {
		routes += fmt.Sprintf("\thandle /%s {\n\t\twebhook_guard %s {\n\t\t\tsecret %s\n\t\t}\n\t\t%s\n\t}\n", name, name, reportSecret, proxy(app))
	}
	g := site{store: "memory", routes: routes}.start(t)
	calls := 0
	for i, s := range []step{
		{linear(now.Add(-7*time.Hour-time.Minute), "l1"), "forwarded"},
		{linear(now.Add(-7*time.Hour-time.Minute), "l1"), "duplicate"},
		{linear(now.Add(-7*time.Hour-time.Minute), "l9"), "duplicate"},
		{linear(now.Add(-9*time.Hour), "l2"), "timestamp_stale"},
		{orb("2006-01-02T15:04:05.000", "o1"), "forwarded"},
		{orb("2006-01-02 15:04:05", "o2"), "forwarded"},
		{orb("2006-01-02T15:04:05.000", "o1"), "duplicate"},
		{pylon(now), "forwarded"},
		{pylon(now.Add(-3 * time.Second)), "forwarded"},
		{pylon(now), "duplicate"},
		{woo("d1", "order.created"), "forwarded"},
		{woo("d2", "order.updated"), "forwarded"},
		{woo("d9", "order.updated"), "duplicate"},
	} {
		resp := s.request.send(t, g)
		if ok := resp.Status == http.StatusOK; resp.Guard != s.result || ok == (s.result == "timestamp_stale") {
			t.Errorf("request %d, to %s: %d %s, want %s", i, s.request.path, resp.Status, resp.Guard, s.result)
		}
		if s.result == "forwarded" {
			calls++
		}
	}
	wantCalls(t, app, calls)
}
