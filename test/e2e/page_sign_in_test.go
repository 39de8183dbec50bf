package e2e

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// openPage is what the gateway warns of at startup.
const openPage = "anyone who reaches webhook_guard_ui"

// documentedPage is the Caddyfile in docs/page.md that holds a text.
func documentedPage(t *testing.T, text string) string {
	t.Helper()
	for _, b := range blocks(t, filepath.Join(root, "docs", "page.md")) {
		if b.language == "caddyfile" && strings.Contains(b.text, text) {
			return b.text
		}
	}
	t.Fatalf("docs/page.md has no Caddyfile with %q", text)
	return ""
}

// The documented ways to sign in keep others out, and name the user in the log of changes.
func TestThePageIsSignedInToAsDocumented(t *testing.T) {
	t.Parallel()
	const password = "a password of a test"
	hash, err := testbed.RunCaddy(t, nil, "hash-password", "--plaintext", password)
	if err != nil {
		t.Fatalf("%v\n%s", err, hash)
	}
	authority := testbed.NewAuthority(t)
	cert, err := tls.LoadX509KeyPair(authority.Issue("alice"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := tls.LoadX509KeyPair(testbed.NewAuthority(t).Issue("alice"))
	if err != nil {
		t.Fatal(err)
	}
	identity := testbed.StartApp(t, func(d testbed.Delivery) testbed.Answer {
		if strings.Contains(d.Header.Get("Cookie"), "session=alice") {
			return testbed.Answer{Header: http.Header{"Remote-User": {"alice"}}}
		}
		return testbed.Answer{Status: http.StatusUnauthorized}
	})
	certificates := func(certs ...tls.Certificate) func(*browser) {
		return func(b *browser) { b.client.Transport.(*http.Transport).TLSClientConfig.Certificates = certs }
	}
	signed := func(sign func(*http.Request)) func(*browser) { return func(b *browser) { b.sign = sign } }
	for name, tc := range map[string]struct {
		example string // a text of it
		by      string
		user    func(*browser)
		others  map[string]func(*browser)
	}{
		"basic_auth": {"alice {env.ALICE_PASSWORD_HASH}", "alice", signed(func(r *http.Request) { r.SetBasicAuth("alice", password) }),
			map[string]func(*browser){
				"nobody":         func(*browser) {},
				"a guess":        signed(func(r *http.Request) { r.SetBasicAuth("alice", "guessed") }),
				"another's name": signed(func(r *http.Request) { r.SetBasicAuth("mallory", password) }),
			}},
		"client certificates": {"client_auth", "CN=alice", certificates(cert),
			map[string]func(*browser){"nobody": certificates(), "another authority's": certificates(stranger)}},
		"identity proxy": {"forward_auth", "alice", signed(func(r *http.Request) {
			r.Header.Set("Cookie", r.Header.Get("Cookie")+"; session=alice")
			r.Header.Set("Remote-User", "mallory")
		}),
			map[string]func(*browser){
				"nobody":        func(*browser) {},
				"a header":      signed(func(r *http.Request) { r.Header.Set("Remote-User", "alice") }),
				"another's one": signed(func(r *http.Request) { r.Header.Set("Cookie", "session=mallory") }),
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := inboxes(t, nil)
			page := strconv.Itoa(testbed.FreePort(t))
			text := strings.Replace(s.caddyfile(), "{\n", "{\n\tlocal_certs\n\tskip_install_trust\n\tauto_https disable_redirects\n", 1) +
				strings.NewReplacer("admin.example.com", "https://localhost:{$PAGE}", "127.0.0.1:9091", identity.Addr(),
					"/etc/caddy/staff-ca.pem", authority.File).Replace(documentedPage(t, tc.example))
			g := testbed.StartGateway(t, text, testbed.WithEnv("PAGE="+page, "ALICE_PASSWORD_HASH="+strings.TrimSpace(hash)))
			g.WaitOutput("certificate obtained successfully")
			if strings.Contains(g.Output(), openPage) {
				t.Error("the gateway warns that nobody has to sign in")
			}
			visitor := func(as func(*browser)) *browser {
				b := newBrowser(t, "https://localhost:"+page)
				// The certificate is the gateway's own, and no matter of this test.
				b.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
				as(b)
				return b
			}
			want(t, deliverTo(t, g, testbed.Event{}), 200, "accepted")
			for who, as := range tc.others {
				b := visitor(as)
				for _, path := range []string{"/", "/deliveries", "/static/page.css", "/change?do=pause&inbox=docrouter"} {
					r, err := http.NewRequest(http.MethodGet, b.base+path, nil)
					if err != nil {
						t.Fatal(err)
					}
					b.sign(r)
					if resp, err := b.client.Do(r); err == nil {
						_ = resp.Body.Close()
						if resp.StatusCode != http.StatusUnauthorized {
							t.Errorf("%s gets %s: %d", who, path, resp.StatusCode)
						}
					}
				}
			}
			alice := visitor(tc.user)
			alice.shows("/deliveries", "docrouter", "Signed in as "+tc.by)
			status, body := alice.fill("/change?do=pause&inbox=docrouter", url.Values{"do": {"pause"}, "inbox": {"docrouter"}, "why": {"maintenance"}})
			if status != http.StatusOK || !strings.Contains(body, "The inbox is paused") {
				t.Fatalf("%d\n%s", status, body)
			}
			g.WaitOutput(`"by":"` + tc.by + `"`)
		})
	}
}

// The page of `make run` says that it is a demo, and is there under its own names only, so
// that no other site can have its name lead there.
func TestThePageOfMakeRun(t *testing.T) {
	t.Parallel()
	caddyfile := shippedCaddyfile(t)
	page := strconv.Itoa(testbed.FreePort(t))
	port := testbed.FreePort(t)
	g := testbed.StartGateway(t, caddyfile, testbed.WithPort(port), testbed.WithEnv(append(demoSecrets(t),
		"RECEIVER_PORT="+strconv.Itoa(testbed.FreePort(t)), "PAGE_PORT="+page)...))
	g.WaitOutput(openPage)
	b := newBrowser(t, "http://127.0.0.1:"+page)
	b.shows("/", "A demo", "without a password")
	r, err := http.NewRequest(http.MethodGet, b.base+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "rebound.example:" + page
	if _, body := b.do(r); body != "" {
		t.Errorf("another name is answered with %q", body)
	}
}
