package interop

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the list of SDKs anew")

// listed is the page that names the rows.
const listed = "../../docs/interop.md"

// The page names each row, with the version that is installed.
func TestThePageListsTheRows(t *testing.T) {
	page, err := os.ReadFile(listed)
	if err != nil {
		t.Fatal(err)
	}
	const begin = "\n| sender |"
	head, _, found := strings.Cut(string(page), begin)
	if !found {
		t.Fatalf("%s has no table", listed)
	}
	want := head + "\n" + table(t)
	if *update {
		if err := os.WriteFile(listed, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s is not what the rows say: go test ./test/interop -run List -update", listed)
	}
}

func table(t *testing.T) string {
	t.Helper()
	versions := installed(t)
	var b strings.Builder
	b.WriteString("| sender | official code | version | it |\n|---|---|---|---|\n")
	all := slices.Concat(smallRows, fullRows)
	slices.SortStableFunc(all, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.sdk, b.sdk))
	})
	used := make(map[string]bool)
	for _, r := range all {
		name, _, _ := strings.Cut(r.sdk, " ")
		version := versions[name]
		if version == "" {
			t.Errorf("%s is not installed", name)
		}
		used[name] = true
		does := "verifies"
		if r.ways == both {
			does = "signs and verifies"
		}
		fmt.Fprintf(&b, "| [%s](providers.md#%s) | `%s` | %s | %s |\n", r.provider, r.provider, name, version, does)
	}
	for name := range versions {
		if !used[name] {
			t.Errorf("%s is installed, and there is no row for it", name)
		}
	}
	return b.String()
}

var goRequirement = regexp.MustCompile(`\t(github\.com/\S+?)(?:/v\d+)? (v\S+)\n`)

// installed are the versions of the SDKs.
func installed(t *testing.T) map[string]string {
	t.Helper()
	versions := make(map[string]string)
	for _, file := range []string{"sdk/package.json", "sdk/full/package.json"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var manifest struct{ Dependencies map[string]string }
		if err := json.Unmarshal(text, &manifest); err != nil {
			t.Fatal(err)
		}
		maps.Copy(versions, manifest.Dependencies)
	}
	text, err := os.ReadFile("sdk/golang/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range goRequirement.FindAllStringSubmatch(string(text), -1) {
		versions[match[1]] = match[2]
	}
	return versions
}

// What the senders' own code was run against by hand once has a row, so that it stays so.
func TestCodeThatWasRunHasARow(t *testing.T) {
	rows := make(map[string][]string)
	for _, r := range slices.Concat(smallRows, fullRows) {
		name, _, _ := strings.Cut(r.sdk, " ")
		rows[r.provider] = append(rows[r.provider], name)
	}
	for provider, sdk := range map[string]string{
		"clerk": "svix", "anthropic": "@anthropic-ai/sdk", "elevenlabs": "@elevenlabs/elevenlabs-js", "box": "box-node-sdk",
		"pagerduty": "github.com/PagerDuty/go-pagerduty", "buildkite": "github.com/buildkite/go-buildkite", "telnyx": "telnyx", "smartcar": "smartcar",
		"retell": "retell-sdk", "webflow": "webflow-api", "hookdeck": "@hookdeck/sdk", "sinch-conversation": "@sinch/sdk-core", "vonage": "@vonage/jwt",
		"orb": "orb-billing", "crisp": "crisp-api", "wix": "@wix/sdk", "mollie-next-gen": "mollie-api-typescript",
		"aws-sns": "sns-validator", "google-pubsub": "google-auth-library", "apple-app-store": "@apple/app-store-server-library", "kinde": "@kinde/webhooks",
		"ebay": "event-notification-nodejs-sdk", "paypal": "buffer-crc32", "plaid": "jose", "circle": "jose", "fal": "jose", "fireblocks-v2": "jose",
		"fusionauth": "jose", "github-secret-scanning": "jose", "azure-event-grid-entra": "jose", "google-gemini-dynamic": "jose", "neon-auth": "jose",
		"google-gemini-static": "standardwebhooks",
	} {
		if !slices.Contains(rows[provider], sdk) {
			t.Errorf("%s has no row for %s, but %q", provider, sdk, rows[provider])
		}
	}
}
