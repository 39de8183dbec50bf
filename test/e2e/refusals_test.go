package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// Every secret of these configurations has the word canary in it: no message may
// repeat one.

// guarded is a site with one guard; secret is a valid secret line.
func guarded(provider string, lines ...string) string {
	return "http://:9999 {\n" + guardBlock(provider, lines...) + "}\n"
}

func guardBlock(provider string, lines ...string) string {
	return fmt.Sprintf("\twebhook_guard %s {\n\t\t%s\n\t}\n\treverse_proxy 127.0.0.1:1\n", provider, strings.Join(lines, "\n\t\t"))
}

func globally(lines ...string) string {
	return "{\n\twebhook_guard {\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}\n}\n" + guarded("struktr", secret)
}

// own is a provider of the user's own, and a guard that uses it.
func own(lines ...string) string {
	return "{\n\twebhook_guard {\n\t\tprovider acme {\n\t\t\t" + strings.Join(lines, "\n\t\t\t") + "\n\t\t}\n\t}\n}\n" + guarded("acme", secret)
}

func twoOf(provider, first, second string) string {
	return "http://:9999 {\n\thandle /a {\n" + guardBlock(provider, first) + "\t}\n\thandle /b {\n" + guardBlock(provider, second) + "\t}\n}\n"
}

const (
	secret = "secret canary-secret"
	acme   = "signature X-Acme sha256 hex"
)

// validate runs `caddy validate` over a configuration.
func validate(t *testing.T, name, text string, env ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"validate", "--config", file}
	if strings.HasSuffix(name, "Caddyfile") {
		args = append(args, "--adapter", "caddyfile")
	}
	return testbed.RunCaddy(t, env, args...)
}

type refusal struct {
	config string
	words  []string // that the message must have: whose it is, what is wrong, the fix
}

func wantConfigRefused(t *testing.T, file string, cases map[string]refusal) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := validate(t, file, c.config, "EMPTY=")
			if err == nil {
				t.Fatalf("accepted:\n%s", c.config)
			}
			// As people read it: the log has it as a JSON string.
			plain := strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(out)
			for _, word := range c.words {
				if !strings.Contains(plain, word) {
					t.Errorf("the message lacks %q:\n%s", word, plain)
				}
			}
			noCanary(t, "message", out)
		})
	}
}

// inFile puts a text into a file, and returns the placeholder that reads it.
func inFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "{file." + path + "}"
}

func TestGuardRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string { return "secret " + inFile(t, dir, name, text) }
	struktr := []string{`provider "struktr", scope "struktr"`}
	of := func(words ...string) []string { return append(struktr[:1:1], words...) }
	line := func(words ...string) []string { return append([]string{"Caddyfile:3"}, words...) }

	wantConfigRefused(t, "Caddyfile", map[string]refusal{
		"unknown provider":         {guarded("strukt", secret), []string{`unknown provider "strukt"`, "struktr", "provider strukt { … }"}},
		"no provider":              {"http:// {\n\twebhook_guard {\n\t\t" + secret + "\n\t}\n}\n", []string{"webhook_guard <provider>"}},
		"unknown line":             {guarded("struktr", "sekret x"), line(`unknown line "sekret"`)},
		"line without its value":   {guarded("struktr", secret, "max_age"), []string{"max_age", "max_age <duration>", "Caddyfile:4"}},
		"line set twice":           {guarded("struktr", secret, "max_age 5m", "max_age 6m"), []string{"max_age is set twice", "Caddyfile:5"}},
		"scope set twice":          {guarded("struktr", secret, "scope a", "scope b"), []string{"scope is set twice", "Caddyfile:5"}},
		"line with a block":        {guarded("struktr", secret, "max_age 5m {\n\t\t\tx\n\t\t}"), []string{"max_age", "takes no block"}},
		"secret with a block":      {guarded("struktr", secret+" {\n\t\t\tx\n\t\t}"), []string{"secret: takes no block", "Caddyfile:4"}},
		"unknown mode":             {guarded("struktr", secret, "mode watch"), []string{"mode", "enforce nor shadow"}},
		"resign, not base64":       {guarded("struktr", secret, "resign canary-resign"), []string{"resign", "whsec_ and base64"}},
		"unknown handshake":        {guarded("struktr", secret, "handshake shake"), []string{"handshake", "shake"}},
		"public key and secret":    {guarded("struktr", secret, "public_key canary"), of("public_key", "shared secret", "secret <value>")},
		"secret, not public key":   {guarded("discord", secret), []string{`provider "discord"`, "secret", "private key of its own", "public_key <value>"}},
		"no public key":            {guarded("discord"), []string{`provider "discord"`, "public_key", "none is set", "add public_key"}},
		"malformed public key":     {guarded("discord", "public_key canary!"), []string{`provider "discord"`, "public_key 1", "neither PEM nor hex nor base64"}},
		"no secret":                {guarded("struktr"), of("secret", "none is set", "add secret {env.NAME}")},
		"empty secret":             {guarded("struktr", `secret ""`), of("secret 1", "empty")},
		"unset variable":           {guarded("struktr", "secret {env.UNSET}"), of("secret 1", "{env.UNSET}", "set it before Caddy starts")},
		"empty variable":           {guarded("struktr", "secret {env.EMPTY}"), of("secret 1", "{env.EMPTY}", "set it before Caddy starts")},
		"second secret unset":      {guarded("struktr", secret, "secret {env.UNSET}"), of("secret 2", "{env.UNSET}")},
		"part of a secret unset":   {guarded("struktr", "secret canary{env.UNSET}"), of("secret 1", "{env.UNSET}")},
		"literal brace":            {guarded("struktr", "secret a{b}c"), of("secret 1", `\{`)},
		"missing file":             {guarded("struktr", "secret {file./missing}"), of("secret 1", "{file./missing}")},
		"empty file":               {guarded("struktr", file("empty", "")), of("secret 1", "empty")},
		"file of a newline":        {guarded("struktr", file("newline", "\n")), of("secret 1", "empty")},
		"relative file":            {guarded("struktr", "secret {file.secret}"), of("secret 1", "{file./absolute/path}")},
		"secret with spaces":       {guarded("struktr", "secret canary with spaces"), line("secret", "quote a value that holds spaces")},
		"until is no time":         {guarded("struktr", secret+" until tomorrow"), line("secret", "2026-12-31T00:00:00Z")},
		"all secrets are past":     {guarded("struktr", secret+" until 2020-01-01T00:00:00Z", "secret canary2 until 2021-01-01T00:00:00Z"), of("every secret is past its until", "add the one in force")},
		"whsec_ and not base64":    {guarded("standard-webhooks", "secret whsec_canary!!"), []string{`provider "standard-webhooks"`, "secret 1", "malformed", "base64"}},
		"whsec_ and nothing":       {guarded("standard-webhooks", "secret whsec_"), []string{`provider "standard-webhooks"`, "secret 1", "empty"}},
		"not hex":                  {guarded("struktr", secret, "secret_encoding hex"), of("secret 1", "malformed", "hex")},
		"unknown secret encoding":  {guarded("struktr", secret, "secret_encoding base32"), of("secret_encoding", "base32", "raw, base64, hex")},
		"sender chooses key":       {guarded("struktr", "secret {http.request.header.X} per_request", "scope {vars.tenant}"), []string{`provider "struktr"`, "secret 1", "{http.request.", "chosen by the sender", "map"}},
		"sender chooses, short":    {guarded("struktr", "secret {header.X} per_request", "scope {vars.tenant}"), []string{"secret 1", "chosen by the sender"}},
		"sender chooses, query":    {guarded("struktr", "secret {query.key} per_request", "scope {vars.tenant}"), []string{"secret 1", "chosen by the sender"}},
		"request's, not per one":   {guarded("struktr", "secret {http.request.header.X}"), of("secret 1", "no placeholder that is known when the configuration loads", "write {env.NAME}")},
		"per_request, fixed scope": {guarded("struktr", "secret {vars.key} per_request"), of("secret 1", "per_request needs a scope with a placeholder", "scope {tenant}")},
		"per_request, named scope": {guarded("struktr", "secret {vars.key} per_request", "scope same"), []string{`scope "same"`, "secret 1", "per_request needs a scope"}},
		"per_request, no variable": {guarded("struktr", secret+" per_request", "scope {vars.tenant}"), []string{"secret 1", "per_request without a placeholder"}},
		"file of a tenant's name":  {guarded("struktr", "secret {file./run/secrets/{vars.tenant}} per_request", "scope {vars.tenant}"), []string{"secret 1", "a placeholder within a placeholder", "outputs of a map"}},
		"file of a variable":       {guarded("struktr", "secret {file./run/secrets/{env.NAME}}"), of("secret 1", "a placeholder within a placeholder")},
		"scope is the secret":      {guarded("struktr", "secret {vars.key} per_request", "scope t-{vars.key}"), []string{"scope: {http.vars.key} is the secret", "give each tenant a name"}},
		"unsigned without token":   {guarded("okrapdf", secret), []string{`provider "okrapdf"`, "does not sign", "token query <key>", "insecure_unsigned"}},
		"unsigned, nothing at all": {guarded("okrapdf"), []string{`provider "okrapdf"`, "does not sign", "token query <key>", "insecure_unsigned"}},
		"insecure with a token":    {guarded("okrapdf", secret, "token query key", "insecure_unsigned"), []string{`provider "okrapdf"`, "insecure_unsigned", "leave the line out"}},
		"insecure though signed":   {guarded("struktr", secret, "insecure_unsigned"), of("insecure_unsigned", "leave the line out")},
		"insecure with a secret":   {guarded("okrapdf", secret, "insecure_unsigned"), []string{`provider "okrapdf"`, "secret", "token <source>"}},
		"token without a secret":   {guarded("okrapdf", "token query key"), []string{`provider "okrapdf"`, "secret", "none is set"}},
		"token from nowhere":       {guarded("okrapdf", secret, "token cookie x"), []string{"token", "bearer", "Caddyfile:4"}},
		"token from a signature":   {guarded("okrapdf", secret, "token signature"), []string{"token", "Caddyfile:4"}},
		"on_store_error":           {guarded("struktr", secret, "on_store_error ignore"), of("on_store_error", `"ignore"`, "reject", "forward")},
		"in_flight":                {guarded("struktr", secret, "in_flight later"), []string{"in_flight", "in_flight wait <duration>", "reject", "Caddyfile:4"}},
		"success":                  {guarded("struktr", secret, "success 2xy"), []string{"success", `"2xy"`, "2xx, 202 or 200-204"}},
		"answer":                   {guarded("struktr", secret, "answer 99"), []string{"answer", "answer <status> [<body>]"}},
		"lease over timeout":       {guarded("struktr", secret, "lease 20s", "timeout 10s"), of("lease", "20s", "timeout, 10s", "lower lease or raise timeout")},
		"dedupe_ttl too short":     {guarded("struktr", secret, "dedupe_ttl 5m30s"), of("dedupe_ttl", "5m30s", "max_age + max_skew, 6m", "raise dedupe_ttl or lower max_age")},
		"dedupe_ttl, long retries": {guarded("okrapdf", secret, "token query key", "dedupe_ttl 7m"), []string{`provider "okrapdf"`, "dedupe_ttl", "raise dedupe_ttl"}},
		"max_age over dedupe_ttl":  {guarded("struktr", secret, "max_age 80h", "dedupe_ttl 72h"), of("dedupe_ttl", "72h", "80h1m")},
		"unsigned event_time":      {guarded("struktr", secret, "event_time header X-Time unix"), of("event_time", "not under the signature")},
		"no such placeholder":      {guarded("struktr", secret, "signed {bodi}"), of("signed", "{bodi}")},
		"no such in content":       {guarded("struktr", secret, "content {bodi}"), of("content", "{bodi}")},
		"signed holds nothing":     {guarded("struktr", secret, "signed constant"), of("signed", "nothing of the request")},
		"no such param":            {guarded("struktr", secret, "signed {param.key}{body}"), of("signed", "{param.key}", "param")},
		"unknown algorithm":        {guarded("struktr", secret, "signature X-Sig md5"), of("signature", "md5")},
		"unknown encoding":         {guarded("struktr", secret, "signature X-Sig sha256 base32"), of("signature", "base32")},
		"format without signature": {guarded("struktr", secret, "signature X-Sig sha256 hex constant"), of("signature", "{signature}")},
		"public_url":               {guarded("struktr", secret, "public_url hooks.example.com"), of("public_url", "https://host/path")},
		"two guards, one secret":   {twoOf("struktr", secret, secret), of("share the scope struktr", "scope <name>", "/a", "/b")},
		"two guards, two secrets":  {twoOf("struktr", secret, secret+"2"), of("share the scope struktr", "scope <name>")},
		"default of another":       {twoOf("struktr", secret, secret+"\n\t\tscope struktr"), of("share the scope struktr", "both")},
		"same scope, other secret": {twoOf("struktr", secret+"\n\t\tscope a", secret+"2\n\t\tscope a"), []string{"other secrets", "scope <name>"}},
		"same scope, other signed": {twoOf("struktr", secret+"\n\t\tscope a", secret+"\n\t\tscope a\n\t\tsigned {body}x"), []string{"signed bytes", "scope <name>"}},
		"same scope, other id":     {twoOf("struktr", secret+"\n\t\tscope a", secret+"\n\t\tscope a\n\t\tid body x"), []string{"id", "scope <name>"}},
		"scope of the sender's":    {guarded("struktr", secret, "scope {header.X-Tenant}"), []string{"scope: {http.request.header.X-Tenant} is chosen by the sender", "per_request"}},
		"header with underscore":   {guarded("struktr", secret, "id header X_id"), []string{`provider "struktr"`, "X_id", "servers { expected_underscore_headers X_id }"}},
		"header with dot":          {guarded("struktr", secret, "signature X.Sig"), []string{`provider "struktr"`, "X.Sig", "servers { expected_dot_headers X.Sig }"}},
		"token's header":           {guarded("okrapdf", secret, "token header Api_key"), []string{`provider "okrapdf"`, "Api_key", "expected_underscore_headers"}},
		"stamp's header":           {guarded("struktr", secret, "timestamp header X_time"), []string{"X_time", "expected_underscore_headers"}},
		"header in a template":     {guarded("struktr", secret, "signed {header.X_part}{body}"), []string{"X_part", "expected_underscore_headers"}},
		"walmart-marketplace":      {guarded("walmart-marketplace", secret), []string{`provider "walmart-marketplace"`, "WM_SEC.SIGNATURE", "expected_dot_headers"}},
	})
}

// Times and sizes that are not positive.
func TestNotPositiveIsRefused(t *testing.T) {
	t.Parallel()
	cases := make(map[string]refusal)
	for _, name := range []string{"max_age", "max_skew", "dedupe_ttl", "body_timeout", "lease", "timeout", "in_flight wait", "retry_span", "answer_within"} {
		line, _, _ := strings.Cut(name, " ")
		for _, value := range []string{"0s", "-5m", "soon"} {
			cases[name+" "+value] = refusal{guarded("struktr", secret, name+" "+value), []string{line, value, "Caddyfile:4"}}
		}
	}
	for _, value := range []string{"0", "0MB", "-1MB", "much"} {
		cases["max_body "+value] = refusal{guarded("struktr", secret, "max_body "+value), []string{"max_body", value, "Caddyfile:4"}}
		cases["max_buffered "+value] = refusal{globally("max_buffered " + value), []string{"max_buffered", value, "Caddyfile:3"}}
	}
	for _, value := range []string{"0", "-1", "many"} {
		cases["max_entries "+value] = refusal{globally("store memory {", "max_entries "+value, "}"), []string{"max_entries: ", value, "Caddyfile:4"}}
		cases["pool_size "+value] = refusal{globally("store redis redis://127.0.0.1 {", "pool_size "+value, "}"), []string{"pool_size: ", value, "Caddyfile:4"}}
	}
	for _, value := range []string{"0s", "-1s", "soon"} {
		cases["redis timeout "+value] = refusal{globally("store redis redis://127.0.0.1 {", "timeout "+value, "}"), []string{"timeout: ", value, "Caddyfile:4"}}
	}
	wantConfigRefused(t, "Caddyfile", cases)
}

func TestGlobalOptionRefusals(t *testing.T) {
	t.Parallel()
	wantConfigRefused(t, "Caddyfile", map[string]refusal{
		"unknown line":             {globally("stoer memory"), []string{`unknown line "stoer"`, "store, provider and max_buffered", "Caddyfile:3"}},
		"option twice":             {"{\n\twebhook_guard\n\twebhook_guard\n}\n", []string{"set twice", "one block"}},
		"store twice":              {globally("store memory", "store memory"), []string{"store is set twice", "Caddyfile:4"}},
		"no store":                 {globally("store"), []string{"name the store", "store disk", "store memory", "store redis <url>"}},
		"unknown store":            {globally("store etcd"), []string{"etcd", "Caddyfile:3"}},
		"disk's two directories":   {globally("store disk /a /b"), []string{"/b", "Caddyfile:3"}},
		"disk's unknown line":      {globally("store disk {", "dir /a", "}"), []string{`unknown line "dir"`, "store disk <dir>", "Caddyfile:4"}},
		"disk, unset directory":    {globally("store disk {env.UNSET}"), []string{"disk", "dir", "{env.UNSET}"}},
		"memory's unknown line":    {globally("store memory {", "size 5", "}"), []string{`unknown line "size"`, "max_entries"}},
		"redis without URL":        {globally("store redis"), []string{"store redis", "URL"}},
		"redis, mixed schemes":     {globally("store redis redis://a rediss://b"), []string{"different schemes", "rediss:// for all"}},
		"redis, cluster's db":      {globally("store redis redis://a {", "cluster", "db 1", "}"), []string{"database 0 only", "key_prefix"}},
		"redis, both":              {globally("store redis redis://a {", "sentinel m", "cluster", "}"), []string{"either a cluster or", "leave out"}},
		"redis, sentinel's name":   {globally("store redis redis://a {", "sentinel", "}"), []string{"sentinel"}},
		"redis, no redis URL":      {globally("store redis http://127.0.0.1"), []string{"redis", "redis://"}},
		"redis, broken URL":        {globally("store redis redis://:canary%zz@127.0.0.1"), []string{"redis"}},
		"redis, unset URL":         {globally("store redis {env.UNSET}"), []string{"redis", "url", "{env.UNSET}"}},
		"redis, unset password":    {globally("store redis redis://a {", "password {env.UNSET}", "}"), []string{"redis", "password", "{env.UNSET}"}},
		"redis, unknown line":      {globally("store redis redis://a {", "pasword canary", "}"), []string{`unknown line "pasword"`, "password", "Caddyfile:4"}},
		"redis, no CA file":        {globally("store redis redis://a {", "tls {", "ca /missing.pem", "}", "}"), []string{"tls", "ca", "/missing.pem"}},
		"redis, cert without key":  {globally("store redis redis://a {", "tls {", "cert /missing.pem", "}", "}"), []string{"cert and key go together"}},
		"provider without a name":  {globally("provider {", acme, "}"), []string{"Caddyfile:3"}},
		"provider that is ours":    {globally("provider struktr {", acme, "}"), []string{"provider struktr is built in", "give yours another name"}},
		"provider twice":           {globally("provider a {", acme, "}", "provider a {", acme, "}"), []string{"provider a is described twice"}},
		"provider's unknown line":  {own(acme, "singed {body}"), []string{`unknown line "singed"`, "Caddyfile:5"}},
		"secret in a provider":     {own(acme, secret), []string{"secret", "webhook_guard block that uses the provider"}},
		"scope in a provider":      {own(acme, "scope x"), []string{"scope", "webhook_guard block that uses the provider"}},
		"{timestamp}, but no line": {own(acme, "signed {timestamp}.{body}"), []string{"provider acme", "signed", "{timestamp} needs a timestamp line"}},
		"{id}, but no line":        {own(acme, "signed {id}.{body}"), []string{"provider acme", "signed", "{id} needs an id line"}},
		"signed, but no signature": {own("signed {body}"), []string{"provider acme", "signed", "signature"}},
		"unknown scheme":           {own("signature X-Acme sha1 base64", "scheme twillio"), []string{"provider acme", `"twillio"`, "twilio"}},
		"unknown placeholder":      {own(acme, "signed {nope}{body}"), []string{"provider acme", "signed", "{nope}"}},
		"line set twice":           {own(acme, "id body a", "id body b"), []string{"id is set twice", "Caddyfile:6"}},
		"param set twice":          {own(acme, "param a 1", "param a 2"), []string{"param", "set twice"}},
		"dedupe_ttl too short":     {own(acme, "timestamp header X-Time", "dedupe_ttl 1m"), []string{"provider acme", "dedupe_ttl", "max_age"}},
		"lease over timeout":       {own(acme, "lease 1m", "timeout 30s"), []string{"provider acme", "lease", "timeout"}},
		"retries":                  {own(acme, "retries 5s soon"), []string{"retries", `"soon"`, "Caddyfile:5"}},
	})
}
