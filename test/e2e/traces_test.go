package e2e

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// collector receives spans over OTLP, as a tracing backend does.
type collector struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*tracepb.Span
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.take(r); err != nil {
			t.Errorf("the collector got %s %s: %v", r.Method, r.URL.Path, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) take(r *http.Request) error {
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		var err error
		if in, err = gzip.NewReader(r.Body); err != nil {
			return err
		}
	}
	body, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	if r.URL.Path != "/v1/traces" {
		return fmt.Errorf("no traces, with %d bytes", len(body))
	}
	// An ExportTraceServiceRequest has the same fields.
	var data tracepb.TracesData
	if err := proto.Unmarshal(body, &data); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return nil
}

// env has a gateway send its spans here.
func (c *collector) env() testbed.Option {
	return testbed.WithEnv("OTEL_EXPORTER_OTLP_ENDPOINT="+c.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
}

// named waits for this many spans of a name, and returns them in the order of their ends.
func (c *collector) named(t *testing.T, name string, n int) (found []*tracepb.Span) {
	t.Helper()
	testbed.Eventually(t, soon, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		found = nil
		for _, span := range c.spans {
			if span.GetName() == name {
				found = append(found, span)
			}
		}
		return len(found) >= n
	}, fmt.Sprintf("%d spans %s", n, name))
	return found
}

// guardAttributes are the guard's attributes of a span.
func guardAttributes(span *tracepb.Span) map[string]string {
	attributes := make(map[string]string)
	for _, kv := range span.GetAttributes() {
		if name, own := strings.CutPrefix(kv.GetKey(), "webhook_guard."); own {
			attributes[name] = kv.GetValue().GetStringValue()
		}
	}
	return attributes
}

// parent is what a traceparent header says of the span that it comes from.
func parent(trace, span []byte) string {
	return "00-" + hex.EncodeToString(trace) + "-" + hex.EncodeToString(span) + "-01"
}

// sendersTrace is a trace that the sender has begun.
const sendersTrace, sendersSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

// Each request is one span, which names its event and result. The trace that the sender has
// begun goes on to the app, by either transport.
func TestTracesNameTheEventAndGoOnToTheApp(t *testing.T) {
	t.Parallel()
	for name, transport := range map[string]string{"Caddy's transport": "", "transport webhook": " {\n\t\t\ttransport webhook\n\t\t}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, backend := testbed.StartApp(t, nil), startCollector(t)
			routes := "\ttracing {\n\t\tspan webhook\n\t}\n" + route("", "docrouter", proxy(app)+transport, "secret "+testbed.DocRouter().Secret, "scope eu")
			g := testbed.StartGateway(t, site{store: "memory", routes: routes}.caddyfile(), backend.env())
			s := testbed.DocRouter()
			e := testbed.Event{}.Fill()
			forged := s.Request(t, g.URL(""), testbed.Event{})
			forged.Header.Set(s.SignatureHeader, "sha256="+strings.Repeat("0", 64))
			for i, c := range []struct {
				req    *http.Request
				result string
				named  bool
			}{{s.Request(t, g.URL(""), e), "forwarded", true}, {s.Request(t, g.URL(""), e), "duplicate", true}, {forged, "signature_invalid", false}} {
				c.req.Header.Set("Traceparent", "00-"+sendersTrace+"-"+sendersSpan+"-01")
				if resp := testbed.Do(t, c.req); resp.Guard != c.result {
					t.Fatalf("%v, want %s", resp, c.result)
				}
				span := backend.named(t, "webhook", i+1)[i]
				expected := map[string]string{"result": c.result, "provider": "docrouter", "scope": "eu"}
				if c.named {
					expected["id"], expected["event"] = facts(s, e)["Webhook-Guard-Id"], facts(s, e)["Webhook-Guard-Event"]
				}
				if got := guardAttributes(span); fmt.Sprint(got) != fmt.Sprint(expected) {
					t.Errorf("the span has %v, want %v", got, expected)
				}
				if hex.EncodeToString(span.GetTraceId()) != sendersTrace || hex.EncodeToString(span.GetParentSpanId()) != sendersSpan {
					t.Errorf("%s: the span is in trace %x under %x, not the sender's", c.result, span.GetTraceId(), span.GetParentSpanId())
				}
			}
			wantCalls(t, app, 1)
			first := backend.named(t, "webhook", 1)[0]
			if got := last(t, app).Header.Get("Traceparent"); got != parent(first.GetTraceId(), first.GetSpanId()) {
				t.Errorf("the app got the traceparent %q, want that of the gateway's span %x", got, first.GetSpanId())
			}
		})
	}
}

// What operations.md says about traces: with an inbox, each attempt is a span under the one of
// the request that brought the event, and the app goes on from there. A sender that says not
// to sample does not decide.
func TestTheDocumentedTracesFollowAnEventThroughTheInbox(t *testing.T) {
	t.Parallel()
	app, backend := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if d.Header.Get("Webhook-Guard-Attempt") == "1" {
			return testbed.Answer{Status: 500}
		}
		return testbed.Answer{}
	}), startCollector(t)
	const section = "Trace events"
	here := strings.NewReplacer("hooks.example.com", "http://:{$PORT}", "reverse_proxy 127.0.0.1:5000", proxy(app), "deliver {", "retry 100ms\n\t\t\t\tdeliver {")
	environment := strings.Fields(sectionBlocks(t, "operations.md", section, "ini")[0])
	env := append(environment, "STRIPE_SECRET="+firstSecret)
	g := testbed.StartGateway(t, "{\n\tadmin 127.0.0.1:{$ADMIN}\n}\n"+here.Replace(sectionBlocks(t, "operations.md", section, "caddyfile")[0]),
		testbed.WithEnv(env...), backend.env())
	e := stripeEvent("/webhooks/stripe", firstSecret, "evt_traced")
	e.headers = append(e.headers, "Traceparent", "00-"+sendersTrace+"-"+sendersSpan+"-00")
	wantResult(t, "an event", e.send(t, g), 200, "accepted")
	app.WaitCount(2)

	received := backend.named(t, "webhook", 1)[0]
	if got := guardAttributes(received); got["result"] != "accepted" || got["id"] != "evt_traced" {
		t.Errorf("the request's span has %v", got)
	}
	delivered := backend.named(t, "deliver", 2)
	for i, span := range delivered {
		expected := map[string]string{"provider": "stripe", "scope": "stripe", "id": "evt_traced", "event": "invoice.paid", "attempt": fmt.Sprint(i + 1)}
		if got := guardAttributes(span); fmt.Sprint(got) != fmt.Sprint(expected) {
			t.Errorf("the span of attempt %d has %v, want %v", i+1, got, expected)
		}
		if hex.EncodeToString(span.GetTraceId()) != sendersTrace || string(span.GetParentSpanId()) != string(received.GetSpanId()) {
			t.Errorf("attempt %d is in trace %x under %x, not under the request's span %x", i+1, span.GetTraceId(), span.GetParentSpanId(), received.GetSpanId())
		}
		if got := app.Deliveries()[i].Header.Get("Traceparent"); got != parent(span.GetTraceId(), span.GetSpanId()) {
			t.Errorf("at attempt %d the app got the traceparent %q, want that of the span %x", i+1, got, span.GetSpanId())
		}
	}
}
