package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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

// Configurations that resemble refused ones and are valid.
func TestGoodConfigurationsLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("canary-from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const key = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5IQ=="
	cases := map[string]string{
		"no global option":         guarded("struktr", secret),
		"a variable":               guarded("struktr", "secret {env.SECRET}"),
		"a file":                   guarded("struktr", "secret {file."+file+"}"),
		"an escaped brace":         guarded("struktr", `secret a\{b\}c`),
		"several secrets":          guarded("struktr", secret, "secret {env.SECRET}", "secret old until 2020-01-01T00:00:00Z"),
		"until in the future":      guarded("struktr", secret+" until 2120-01-01T00:00:00Z"),
		"whsec_ and base64":        guarded("standard-webhooks", "secret "+key),
		"base64 without whsec_":    guarded("standard-webhooks", "secret "+strings.TrimPrefix(key, "whsec_")),
		"whsec_ that is the key":   guarded("stripe", "secret whsec_canary!!"),
		"per_request, scope":       guarded("struktr", "secret {vars.key} per_request", "scope {vars.tenant}"),
		"token in the query":       guarded("okrapdf", secret, "token query key"),
		"insecure_unsigned":        guarded("okrapdf", "insecure_unsigned"),
		"token for a signature":    guarded("docrouter", secret, "token header X-Api-Key"),
		"bearer":                   guarded("docrouter", secret, "token bearer"),
		"basic":                    guarded("docrouter", "secret user:canary", "token basic"),
		"lease as timeout":         guarded("struktr", secret, "lease 10s", "timeout 10s"),
		"timeout under lease's":    guarded("struktr", secret, "timeout 5s"),
		"dedupe_ttl as the window": guarded("struktr", secret, "dedupe_ttl 6m"),
		"long max_age":             guarded("struktr", secret, "max_age 200h"),
		"same scope, both say so":  twoOf("struktr", secret+"\n\t\tscope a", secret+"\n\t\tscope a"),
		"same secret, other words": twoOf("struktr", "secret canary-env\n\t\tscope a", "secret {env.SECRET}\n\t\tscope a"),
		"other secret, own scope":  twoOf("struktr", secret, secret+"2\n\t\tscope b"),
		"underscore, expected":     "{\n\tservers {\n\t\texpected_underscore_headers X_id\n\t}\n}\n" + guarded("struktr", secret, "id header X_id"),
		"dot, expected":            "{\n\tservers {\n\t\texpected_dot_headers X.Sig\n\t}\n}\n" + guarded("struktr", secret, "signature X.Sig"),
		"long placeholders":        guarded("struktr", secret, "signed {http.request.method}{http.request.host}{http.request.uri}{http.request.header.X-Part}{body}"),
		"short placeholders":       guarded("struktr", secret, "signed {method}{scheme}{host}{path}{query}{uri}{url}{header.X-Part}{query.key}{body}"),
		"every line":               guarded("struktr", everyLine...),
		"own provider":             own(acme, "signed {timestamp}.{body}", "timestamp header X-Time unix", "id body event.id", "event body event.type"),
		"redis with options":       globally("store redis redis://a {", "username u", "password canary", "db 3", "pool_size 5", "timeout 1s", "key_prefix x:", "}", "max_buffered 64MiB"),
		"redis at a socket":        globally("store redis unix:///run/redis.sock"),
		"disk":                     globally("store disk"),
		"disk with a directory":    globally("store disk /var/lib/guard"),
		"disk, a variable":         globally("store disk {env.SECRET}/guard"),
		"memory with options":      globally("store memory {", "max_entries 5", "}"),
		"redis's URL, a variable":  globally("store redis {env.URL}"),
	}
	for _, provider := range []string{"docintell", "docusign", "github", "hubspot-v3", "nmi", "ocriva", "persona", "recurly", "shopify", "slack", "twilio"} {
		cases[provider] = guarded(provider, secret)
	}
	for name, text := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := validate(t, "Caddyfile", text, "SECRET=canary-env", "URL=redis://:canary@127.0.0.1")
			if err != nil {
				t.Errorf("refused: %v\n%s\n%s", err, text, out)
			}
			noCanary(t, "output", out)
		})
	}
}

var everyLine = []string{
	secret, "scope mine", "on_store_error forward", "signature X-Sig sha512 base64 v1={signature}", "signed {body}{param.key}",
	"secret_encoding raw", "public_url https://hooks.example.com", "param key value", "timestamp header X-Time unix_ms per_event",
	"event_time body at rfc3339", "id body id header X-Part", "event body type", "content {body}", "max_age 1h", "max_skew 2m",
	"dedupe_ttl 100h", "methods POST PUT", "max_body 1MiB", "body_timeout 5s", "lease 5s", "timeout 1m", "in_flight wait 3s",
	"success 2xx 409", `answer 200 "got it"`, "docs https://example.com", "retries 0s 5s", "answer_within 5s", "final 4xx",
}

// inJSON is a site with one guard, and the app's configuration.
func inJSON(app, guard string) string {
	return `{"apps":{"webhook_guard":{` + app + `},"http":{"servers":{"s":{"listen":[":9999"],"automatic_https":{"disable":true},"routes":[{"handle":[
{"handler":"webhook_guard",` + guard + `},{"handler":"static_response","status_code":204}]}]}}}}}`
}

const jsonSecret = `"provider":"struktr","secret":[{"value":"canary-secret"}]`

func TestJSONHasTheSameFields(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"smallest": inJSON("", jsonSecret),
		"every field": inJSON(`"store":{"kind":"redis","urls":["redis://a"],"username":"u","password":"canary","db":1,"tls":{},"pool_size":3,
"timeout":"1s","key_prefix":"x:"},"max_buffered":1000000,"providers":{"acme":{"signature":[{"header":"X-Acme"}],"signed":["{body}"]}}`,
			`"provider":"acme","secret":[{"value":"canary","until":"2120-01-01T00:00:00Z"},{"value":"{http.vars.key}","per_request":true}],
"scope":"{http.vars.tenant}","on_store_error":"forward","docs":"https://example.com",
"signature":[{"header":"X-Sig","algorithm":"sha512","encoding":"base64","format":"v1={signature}","split":[","]}],"signed":["{timestamp}{body}{param.k}"],
"secret_encoding":"raw","secret_prefix":"p_","public_url":"https://example.com","param":{"k":"v"},
"timestamp":{"source":"header X-Time","format":"unix","per_event":true},"event_time":{"source":"body at"},"id":["body id"],"event":"body type",
"content":"off","max_age":"5m","max_skew":60000000000,"dedupe_ttl":"72h","methods":["POST"],"max_body":1048576,"body_timeout":"5s","lease":"5s",
"timeout":"1m","in_flight":{"wait":"3s"},"success":["2xx"],"answer":{"status":202,"body":"ok"},"retries":["5s"],"answer_within":"5s","final":["4xx"]`),
		"token":            inJSON("", `"provider":"okrapdf","token":"query key","secret":[{"value":"canary"}],"in_flight":{"reject":true},"retry_span":"1h"`),
		"insecure":         inJSON("", `"provider":"okrapdf","insecure_unsigned":true`),
		"scheme, by name":  inJSON("", `"provider":"twilio","scheme":"twilio","secret":[{"value":"canary"}]`),
		"disk":             inJSON(`"store":{"kind":"disk","dir":"/var/lib/guard"}`, jsonSecret),
		"bounded memory":   inJSON(`"store":{"kind":"memory","max_entries":10}`, jsonSecret),
		"header, expected": strings.Replace(inJSON("", jsonSecret+`,"id":["header X_id"]`), `"listen"`, `"expected_underscore_headers":["X_id"],"listen"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := validate(t, "config.json", config)
			if err != nil {
				t.Errorf("refused: %v\n%s\n%s", err, config, out)
			}
			noCanary(t, "output", out)
		})
	}
}

func TestJSONRefusals(t *testing.T) {
	t.Parallel()
	struktr := func(fields string) string { return inJSON("", jsonSecret+","+fields) }
	wantConfigRefused(t, "config.json", map[string]refusal{
		"unknown field":          {struktr(`"max_agee":"5m"`), []string{"max_agee"}},
		"camel case":             {struktr(`"maxAge":"5m"`), []string{"maxAge"}},
		"unknown in a secret":    {inJSON("", `"provider":"struktr","secret":[{"value":"canary","untill":"2120-01-01T00:00:00Z"}]`), []string{"untill"}},
		"unknown in a signature": {struktr(`"signature":[{"header":"X","algoritm":"sha1"}]`), []string{"algoritm"}},
		"unknown in a stamp":     {struktr(`"timestamp":{"source":"header X","per_attempt":true}`), []string{"per_attempt"}},
		"unknown in the app":     {inJSON(`"max_bufered":5`, jsonSecret), []string{"max_bufered"}},
		"unknown in the store":   {inJSON(`"store":{"kind":"memory","size":5}`, jsonSecret), []string{"size"}},
		"unknown in a provider":  {inJSON(`"providers":{"a":{"signatures":[]}}`, jsonSecret), []string{"signatures"}},
		"unknown store":          {inJSON(`"store":{"kind":"etcd"}`, jsonSecret), []string{"etcd"}},
		"no provider":            {inJSON("", `"secret":[{"value":"canary"}]`), []string{"name the provider"}},
		"no secret":              {inJSON("", `"provider":"struktr"`), []string{`provider "struktr"`, "none is set"}},
		"empty secret":           {inJSON("", `"provider":"struktr","secret":[{"value":""}]`), []string{"secret 1", "empty"}},
		"unset variable":         {inJSON("", `"provider":"struktr","secret":[{"value":"{env.UNSET}"}]`), []string{"secret 1", "{env.UNSET}"}},
		"sender chooses the key": {inJSON("", `"provider":"struktr","scope":"{http.vars.t}","secret":[{"value":"{http.request.header.X}","per_request":true}]`), []string{"chosen by the sender"}},
		"negative age":           {struktr(`"max_age":"-5m"`), []string{`provider "struktr"`, "max_age", "not positive"}},
		"negative lease":         {struktr(`"lease":-1`), []string{`provider "struktr"`, "lease", "not positive"}},
		"negative wait":          {struktr(`"in_flight":{"wait":"-1s"}`), []string{"in_flight", "not positive"}},
		"negative body":          {struktr(`"max_body":-1`), []string{"max_body", "not positive"}},
		"negative delay":         {struktr(`"retries":["-1s"]`), []string{"retries", "negative"}},
		"negative buffer":        {inJSON(`"max_buffered":-1`, jsonSecret), []string{"max_buffered", "not positive"}},
		"negative pool":          {inJSON(`"store":{"kind":"redis","urls":["redis://a"],"pool_size":-1}`, jsonSecret), []string{"redis", "pool_size", "positive"}},
		"negative entries":       {inJSON(`"store":{"kind":"memory","max_entries":-1}`, jsonSecret), []string{"max_entries", "positive"}},
		"status":                 {struktr(`"success":["ok"]`), []string{"success", `"ok"`}},
		"answer":                 {struktr(`"answer":{"status":0}`), []string{"answer"}},
		"source":                 {struktr(`"event":"cookie x"`), []string{"event", "cookie"}},
		"redis without URL":      {inJSON(`"store":{"kind":"redis"}`, jsonSecret), []string{"redis", "store redis redis://host:6379"}},
		"provider that is ours":  {inJSON(`"providers":{"struktr":{"signature":[{"header":"X"}]}}`, jsonSecret), []string{"provider struktr is built in"}},
		"header with a dot":      {struktr(`"id":["header X.id"]`), []string{"X.id", "expected_dot_headers"}},
	})
}

// Headers with a dot or an underscore arrive once the server lists them, as the refusal
// advises.
func TestHeadersThatCaddyDropsArriveOnceTheyAreListed(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := testbed.StartGateway(t, fmt.Sprintf(`{
	servers {
		expected_dot_headers WM_SEC.SIGNATURE WM_SEC.TIMESTAMP
		expected_underscore_headers X_Id
	}
}
http://:{$PORT} {
	webhook_guard walmart-marketplace {
		secret canary-walmart
		id header X_Id
	}
	reverse_proxy %s
}
`, app.Addr()))
	request := func(id, key string) *http.Request {
		body := []byte(`{"order":"` + id + `"}`)
		stamp := strconv.FormatInt(time.Now().Unix(), 10)
		digest := sha256.Sum256(body)
		mac := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(mac, "POST\n/orders?x=1\n%s\n%s", stamp, hex.EncodeToString(digest[:]))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL("/orders?x=1"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		// In the sender's spelling, not in Go's canonical form.
		req.Header["WM_SEC.SIGNATURE"] = []string{base64.StdEncoding.EncodeToString(mac.Sum(nil))}
		req.Header["WM_SEC.TIMESTAMP"] = []string{stamp}
		req.Header["X_ID"] = []string{id}
		return req
	}
	want(t, testbed.Do(t, request("1", "canary-walmart")), 200, "forwarded")
	want(t, testbed.Do(t, request("1", "canary-walmart")), 200, "duplicate")
	want(t, testbed.Do(t, request("2", "another key")), 401, "signature_invalid")
	wantCalls(t, app, 1)
	if got := app.Deliveries()[0].Header.Get("Webhook-Guard-Id"); got != "1" {
		t.Errorf("the ID is %q: the header with an underscore did not arrive", got)
	}
}
