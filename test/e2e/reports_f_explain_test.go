package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// What the guide says to do where requests are refused: the entry of the access log
// holds what `explain` needs.
func TestALoggedRequestIsExplained(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join(root, "docs", "guides", "debug-signature.md"))
	if err != nil || !strings.Contains(string(doc), "\tlog_append <body {http.request.body}\n") {
		t.Fatalf("the guide does not have the recipe: %v", err)
	}
	app := testbed.StartApp(t, nil)
	log := filepath.Join(t.TempDir(), "captured.log")
	capturing := func(path, placeholder string) string {
		return fmt.Sprintf("\troute %s {\n\t\trequest_body {\n\t\t\tmax_size 1MB\n\t\t}\n\t\tlog_append <body %s\n\t\twebhook_guard github {\n\t\t\tsecret %s\n\t\t\tscope x%s\n\t\t}\n\t\t%s\n\t}\n",
			path, placeholder, reportSecret, path, proxy(app))
	}
	g := site{store: "memory", routes: fmt.Sprintf("\tlog {\n\t\toutput file %s {\n\t\t\tmode 0600\n\t\t}\n\t}\n", log) +
		capturing("/text", "{http.request.body}") + capturing("/base64", "{http.request.body_base64}")}.start(t)

	binary := []byte("{\"a\":\"caf\xe9 \x00\"}")
	entries := 0
	for _, tc := range []struct {
		name, path     string
		signed, sent   []byte
		secret, says   string
		status, result int
	}{
		{"a good one", "/text", []byte(`{"a": "é <&>\n"}`), []byte(`{"a": "é <&>\n"}`), reportSecret, "The request verifies.", 0, 200},
		{"a body written anew", "/text", []byte(`{"a":1}`), []byte(`{"a": 1}`), reportSecret, "body_reserialized:", 1, 401},
		{"another secret", "/text", []byte(`{"b":1}`), []byte(`{"b":1}`), reportSecret + "\n", "secret_space:", 1, 200},
		{"an empty body", "/text", []byte(`{"c":1}`), nil, reportSecret, "The request does not verify.", 1, 401},
		{"bytes in base64", "/base64", binary, binary, reportSecret, "The request verifies.", 0, 200},
		{"bytes as text", "/text", binary, binary, reportSecret, "{http.request.body_base64}", 1, 200},
	} {
		req, err := http.NewRequest(http.MethodPost, g.URL(tc.path), bytes.NewReader(tc.sent))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sum256(string(tc.signed))))
		req.Header.Set("X-GitHub-Delivery", fmt.Sprint("d", entries))
		req.Header.Set("X-GitHub-Event", "push")
		if resp := testbed.Do(t, req); resp.Status != tc.result {
			t.Errorf("%s: %d %s", tc.name, resp.Status, resp.Guard)
		}
		entries++
		var lines []string
		testbed.Eventually(t, soon, func() bool {
			text, _ := os.ReadFile(log)
			lines = strings.Split(strings.TrimSpace(string(text)), "\n")
			return len(lines) == entries && lines[0] != ""
		}, "the access log has no entry for "+tc.name)
		out := cli{env: []string{"REPORT_SECRET=" + tc.secret}, stdin: lines[entries-1]}.
			wantRun(t, tc.status, tc.says, "explain", "github", "--secret-env", "REPORT_SECRET", "-")
		if strings.Contains(out, base64.StdEncoding.EncodeToString(tc.sent)) && len(tc.sent) > 0 || strings.Contains(out, reportSecret) {
			t.Errorf("%s: the output holds body or secret:\n%s", tc.name, out)
		}
	}
}

// What people meet first: no signature, and another sender's.
func TestExplainSaysFirstWhatTheRequestIs(t *testing.T) {
	t.Parallel()
	const body = `{"action":"opened"}`
	signature := "sha256=" + hex.EncodeToString(sum256(body))
	request := func(headers ...string) string {
		return "POST /in HTTP/1.1\nHost: hooks.example.com\n" + strings.Join(headers, "\n") + "\n\n" + body
	}
	for _, tc := range []struct{ name, provider, capture, says string }{
		{"no signature", "github", request("X-GitHub-Event: ping"), "no_signature:"},
		{"an empty signature", "github", request("X-GitHub-Event: ping", "X-Hub-Signature-256: sha256="), "signature_empty:"},
		{"GitHub as Stripe", "stripe", request("X-GitHub-Event: issues", "X-GitHub-Delivery: d1", "X-Hub-Signature-256: "+signature), "webhook_guard github"},
		{"GitHub as Stripe, with another secret", "stripe", request("X-GitHub-Event: issues", "X-GitHub-Delivery: d1", "X-Hub-Signature-256: sha256="+strings.Repeat("0", 64)), "the headers of github"},
		{"Svix as Stripe, with another secret", "stripe", request("svix-id: m1", "svix-timestamp: 1764000000", "svix-signature: v1,"+strings.Repeat("A", 43)+"="), "the headers of svix"},
	} {
		cli{env: []string{"REPORT_SECRET=" + reportSecret}, stdin: tc.capture}.wantRun(t, 1, tc.says, "explain", tc.provider, "--secret-env", "REPORT_SECRET", "-")
	}
}
