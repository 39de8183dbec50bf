//go:build linux

package compare

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/bench/load"
	"github.com/webhookguard/caddy-webhook-guard/bench/peers"
	"github.com/webhookguard/caddy-webhook-guard/bench/report"
	"github.com/webhookguard/caddy-webhook-guard/bench/traffic"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// kind is the kind of a variant's requests.
type kind int

const (
	unique kind = iota
	duplicates
	forgeries
)

// Variant is one measured configuration.
type Variant struct {
	report.Variant
	kind   kind
	want   load.Want
	sender string // where it takes no other's events; else the cell's
	// forwards: every request that is answered as wanted has reached the app.
	forwards bool
	store    string // "", memory, disk or redis
	// tuned is for the main table only.
	tuned bool
	// inbox is for the tables of inboxes only.
	inbox inboxKind
	start func(tb testing.TB, e *env) target
	// missing is the reason why this machine or build cannot run it, or "".
	missing func(tb testing.TB) string
}

// common reports whether it is measured wherever traffic or load vary: with events that
// are all new, and a proxy as it comes.
func (v Variant) common() bool { return v.kind == unique && !v.tuned && v.inbox == noInbox }

// peer reports whether it is a peer and not a Caddy.
func (v Variant) peer() bool { return v.sender != "" }

// env holds what the runs share.
type env struct {
	redis *redisServer
	app   *appProcess
	// extra variables of the environment of gateways, as GOMAXPROCS=1
	gatewayEnv []string
}

// target is a variant that runs.
type target struct {
	addr    string
	pid     int
	gateway *testbed.Gateway // nil where it is none of ours
	dir     string           // of the store disk
}

// Floor is the variant that all others are compared with.
const Floor = "floor"

// Variants returns all variants, in the tables' order.
func Variants() []Variant {
	forwarded := load.Want{Status: http.StatusOK, Guard: "forwarded"}
	duplicate := load.Want{Status: http.StatusOK, Guard: "duplicate"}
	all := []Variant{
		{Variant: report.Variant{Name: Floor, Title: "plain `reverse_proxy`: the floor"}, want: load.Want{Status: http.StatusOK}, forwards: true, start: caddy("memory", plain, stock)},
		{Variant: report.Variant{Name: "verify", Title: "guard, verifying only"}, want: forwarded, forwards: true, start: caddy("memory", verifying, own)},
	}
	for _, store := range []string{"memory", "disk", "redis"} {
		all = append(all, Variant{Variant: report.Variant{Name: store, Title: "guard, `" + store + "`"}, want: forwarded, forwards: true, store: store})
	}
	for _, store := range []string{"memory", "disk", "redis"} {
		all = append(all, Variant{Variant: report.Variant{Name: "duplicates-" + store, Title: "guard, duplicates only, `" + store + "`"}, kind: duplicates, want: duplicate, store: store})
	}
	all = append(all, Variant{
		Variant: report.Variant{Name: "forgeries", Title: "guard, forgeries only"}, kind: forgeries, store: "memory",
		want: load.Want{Status: http.StatusUnauthorized, Guard: "signature_invalid"},
	})
	// What each half of the two, guard and transport, costs by itself.
	all = append(all,
		Variant{Variant: report.Variant{Name: "floor-webhook", Title: "plain `reverse_proxy`, with `transport webhook`"}, want: load.Want{Status: http.StatusOK}, forwards: true, tuned: true, start: caddy("memory", plain, own)},
		Variant{Variant: report.Variant{Name: "verify-http", Title: "guard, verifying only, with `transport http`"}, want: forwarded, forwards: true, tuned: true, start: caddy("memory", verifying, stock)},
		Variant{Variant: report.Variant{Name: "redis-http", Title: "guard, `redis`, with `transport http`"}, want: forwarded, forwards: true, tuned: true, store: "redis", start: caddy("redis", guarding, stock)},
	)
	// What it costs to have the page remember what was seen.
	all = append(all,
		Variant{Variant: report.Variant{Name: "memory-page", Title: "guard, `memory`, with the page"}, want: forwarded, forwards: true, tuned: true, store: "memory", start: caddy("memory", guarding, own, page)},
		Variant{
			Variant: report.Variant{Name: "forgeries-page", Title: "guard, forgeries only, with the page"}, kind: forgeries, store: "memory",
			want: load.Want{Status: http.StatusUnauthorized, Guard: "signature_invalid"}, start: caddy("memory", guarding, own, page),
		},
	)
	all = append(all, inboxVariants()...)
	for i, v := range all {
		if v.start == nil {
			all[i].start = caddy(v.store, guarding, own)
		}
		if v.store == "disk" {
			all[i].missing = withoutDisk
		}
	}
	return append(all, peerVariants()...)
}

func peerVariants() []Variant {
	var all []Variant
	for _, p := range peers.All() {
		v := Variant{
			Variant: report.Variant{Name: p.Name, Title: titles[p.Name]}, want: load.Want{Status: http.StatusOK}, sender: p.Sender.Name, forwards: p.Forwards,
			start: func(tb testing.TB, e *env) target {
				tb.Helper()
				server := p.Start(tb, e.redis.Addr(), e.app.addr)
				return target{addr: server.Addr, pid: server.Pid()}
			},
		}
		if !p.VerifiesOnly {
			v.store = "redis"
		}
		all = append(all, v)
		if p.VerifiesOnly {
			v.Name, v.Title = v.Name+"-forgeries", "webhook, forgeries only"
			v.kind, v.want = forgeries, load.Want{Status: http.StatusUnauthorized}
			all = append(all, v)
		}
	}
	for i := range all {
		all[i].missing = withoutPrograms
	}
	return all
}

var titles = map[string]string{
	"express":   "Express and ioredis (peer)",
	"flask":     "Flask, gunicorn and redis-py (peer)",
	"nginx-lua": "nginx with Lua and Redis (peer)",
	"webhook":   "webhook, verifying only, and starting a program (peer)",
}

func withoutPrograms(testing.TB) string {
	for _, program := range []string{"node", "nginx", "webhook"} {
		if _, err := exec.LookPath(program); err != nil {
			return program + " is not installed: run .ci/deps bench"
		}
	}
	return ""
}

func withoutDisk(tb testing.TB) string {
	tb.Helper()
	list, err := testbed.RunCaddy(tb, nil, "list-modules")
	if err != nil {
		tb.Fatalf("listing Caddy's modules: %v\n%s", err, list)
	}
	if !strings.Contains(list, "webhook_guard.stores.disk\n") {
		return "this build has no store disk"
	}
	return ""
}

// The transports of proxies: Caddy's, which the floor has, and the guard's, which is what
// a guard is run with.
const stock, own = "http", "webhook"

// page is the route of the page, which nobody visits.
const page = "\thandle_path /page/* {\n\t\twebhook_guard_ui\n\t}\n"

// caddy starts a Caddy whose routes are the same in every variant but for the guard, the
// proxy's transport, and the more that a variant is about.
func caddy(store string, guard func(testbed.Sender) string, transport string, more ...string) func(testing.TB, *env) target {
	return func(tb testing.TB, e *env) target {
		tb.Helper()
		line, dir := store, ""
		switch store {
		case "memory":
			line = "memory {\n\t\t\tmax_entries 10000000\n\t\t}" // a run may come to more than the default
		case "redis":
			line = testbed.RedisStore(e.redis.URL())
		case "disk":
			dir = filepath.Join(tb.TempDir(), "events")
			line = "disk " + dir
		}
		g := testbed.StartGateway(tb, caddyfile(tb, line, e.app.addr, guard, transport, more...), testbed.WithEnv(e.gatewayEnv...))
		return target{addr: strings.TrimPrefix(g.URL(""), "http://"), pid: g.Pid(), gateway: g, dir: dir}
	}
}

// caddyfile differs from a user's configuration in two points, for the floor too. The
// proxy keeps more idle connections to the app than 32, or with more senders most of
// the measured time would be spent on opening connections. The log goes to a file, so
// that no reader of it takes part in the measurement. Redis has a longer timeout than
// the default, so that a machine that stands still makes steps slow and not failures.
func caddyfile(tb testing.TB, store, app string, guard func(testbed.Sender) string, transport string, more ...string) string {
	tb.Helper()
	var providers, routes strings.Builder
	for _, s := range traffic.Senders() {
		providers.WriteString(verifyingProvider(s))
		fmt.Fprintf(&routes, `
	handle /webhooks/%s {
		%s
		reverse_proxy %s {
			transport %s {
				keepalive_idle_conns_per_host 1024
			}
		}
	}
`, s.Name, guard(s), app, transport)
	}
	return fmt.Sprintf(`{
	admin 127.0.0.1:{$ADMIN}
	log {
		output file %s
	}
	webhook_guard {
		store %s
%s	}
}
http://:{$PORT} {
%s%s	handle {
		error 404
	}
}
`, filepath.Join(tb.TempDir(), "caddy.log"), store, providers.String(), routes.String(), strings.Join(more, ""))
}

func plain(testbed.Sender) string { return "" }

func guarding(s testbed.Sender) string { return guardLines(s, s.Name) }

func verifying(s testbed.Sender) string { return guardLines(s, s.Name+"_verified") }

func guardLines(s testbed.Sender, provider string) string {
	token := ""
	if s.SignatureHeader == "" {
		token = "token query token\n\t\t\t"
	}
	return fmt.Sprintf("webhook_guard %s {\n\t\t\t%ssecret %s\n\t\t}", provider, token, s.Secret)
}

// verifyingProvider is the sender as the catalogue has it, as far as signature and
// freshness go: with nothing that identifies an event, there is no dedupe.
func verifyingProvider(s testbed.Sender) string {
	return fmt.Sprintf("\t\tprovider %s_verified {\n\t\t\t%s\n\t\t\tcontent off\n\t\t}\n",
		s.Name, strings.Join(verifyingLines[s.Name], "\n\t\t\t"))
}

var verifyingLines = map[string][]string{
	"okrapdf":   {"timestamp body timestamp rfc3339 per_event"},
	"struktr":   {"signature X-Struktr-Signature sha256 hex sha256={signature}", "timestamp header X-Struktr-Timestamp", "event_time body timestamp rfc3339"},
	"docintell": {"signature X-DocIntell-Signature sha256 hex sha256={signature}", "timestamp header X-DocIntell-Timestamp unix per_event", "event_time body timestamp rfc3339"},
	"ocriva":    {"signature X-Webhook-Signature sha256 hex sha256={signature}", "timestamp body timestamp rfc3339 per_event"},
	"docrouter": {"signature X-DocRouter-Signature sha256 hex sha256={signature}", "signed {timestamp}.{body}", "timestamp header X-DocRouter-Timestamp unix"},
	"stripe":    {`signature Stripe-Signature sha256 hex "t={timestamp},v1={signature}" split ,`, "signed {timestamp}.{body}", "timestamp signature unix"},
	"github":    {"signature X-Hub-Signature-256 sha256 hex sha256={signature}"},
}
