package handbook

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

func all(t testing.TB) []Entry {
	t.Helper()
	entries, err := All(config.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func entry(t testing.TB, name string) Entry {
	t.Helper()
	e, err := Sum(name, config.Builtin()[name])
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// What goes beyond the summary.
func TestEntries(t *testing.T) {
	for name, want := range map[string]struct{ fields, params []string }{
		"struktr":     {},
		"monday":      {},
		"favro":       {fields: []string{"body payloadId"}},
		"mailgun":     {fields: []string{"body signature.timestamp", "body signature.token"}},
		"tiktok-shop": {params: []string{"app_key"}},
	} {
		e := entry(t, name)
		if !slices.Equal(e.SignedFields, want.fields) || !slices.Equal(e.Params, want.params) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func equal(a, b Entry) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// What scripts read is there for every provider, under these names.
func TestJSONMembers(t *testing.T) {
	for _, e := range all(t) {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var members map[string]any
		if err := json.Unmarshal(text, &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{
			"name", "docs", "kind", "signature_header", "algorithm", "signed", "timestamp", "timestamp_signed", "id", "id_signed", "retry", "replay", "stays_open", "never_retries",
			"retry_span_seconds", "dedupe_ttl_seconds", "max_age_seconds", "handshake", "confidence",
		} {
			if _, ok := members[name]; !ok {
				t.Errorf("%s has no %s", e.Name, name)
			}
		}
	}
}

// Each entry has the words that table and page need.
func TestEveryEntryHasItsWords(t *testing.T) {
	for _, e := range all(t) {
		if e.Retry == "" || e.Recognition.Replay == "" || e.StaysOpen == "" || retryWord(e) == "" || openWord(e) == "" || confidences[e.Confidence] == "" {
			t.Errorf("%s lacks words: %+v", e.Name, e)
		}
	}
}

// The README names those that never retry, as the catalogue has them.
func TestTheReadmeNamesThoseThatNeverRetry(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if names := NeverRetry(all(t)); !strings.Contains(strings.Join(strings.Fields(string(text)), " "), names) {
		t.Errorf("it does not name %s", names)
	}
}

// The pages for newcomers say about how many senders there are.
func TestThePagesCountTheSenders(t *testing.T) {
	count := regexp.MustCompile(`(?i)some (\d+) senders that it knows|some (\d+) senders are built in|\| in your Caddy \| some (\d+) senders`)
	found := 0
	for _, page := range []string{"README.md", "docs/guides/comparison.md"} {
		text, err := os.ReadFile("../../" + page)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range count.FindAllStringSubmatch(strings.Join(strings.Fields(string(text)), " "), -1) {
			found++
			said, err := strconv.Atoi(strings.Join(match[1:], ""))
			if have := len(all(t)); err != nil || said < have-10 || said > have+10 {
				t.Errorf("%s says %q, and there are %d", page, match[0], have)
			}
		}
	}
	if found != 3 {
		t.Errorf("%d places say it: the search for them is broken", found)
	}
}

func TestTableFits(t *testing.T) {
	for _, width := range []int{TableWidth, NarrowWidth} {
		checkTable(t, width)
	}
}

func checkTable(t *testing.T, width int) {
	t.Helper()
	var out strings.Builder
	entries := all(t)
	if err := WriteTable(&out, entries, width); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(out.String(), "\n"), "\n")
	if len(lines) != len(entries)+4 {
		t.Errorf("%d lines for %d providers", len(lines), len(entries))
	}
	for _, line := range lines {
		if utf8.RuneCountInString(line) > width || strings.TrimRight(line, " ") != line {
			t.Errorf("%q is wider than %d or ends in spaces", line, width)
		}
	}
	for _, e := range entries {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Fields(line + " ")[0] == e.Name }) {
			t.Errorf("%s is not in the table, or is cut off", e.Name)
		}
	}
}

func TestSpan(t *testing.T) {
	for seconds, want := range map[int64]string{0: "-", 15: "15s", 90: "1.5m", 600: "10m", 52740: "14.7h", 86400: "24h", 259200: "3d", 216000: "2.5d"} {
		if got := span(seconds); got != want {
			t.Errorf("%d s are %q, want %q", seconds, got, want)
		}
	}
}

// The lines of a block are those of the file, and read as the same provider.
func TestBlocks(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		block, err := Block(name)
		if err != nil {
			t.Fatal(err)
		}
		_, lines, ok := strings.Cut(block, "provider "+name+customSuffix+" {\n")
		if !ok || !strings.HasSuffix(lines, "\n}\n") {
			t.Fatalf("%s is no block:\n%s", name, block)
		}
		p, err := config.ParseLines(name, []byte(strings.TrimSuffix(lines, "}\n")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := Sum(name, p)
		if err != nil {
			t.Fatal(err)
		}
		want := entry(t, name)
		want.Params, want.Allow = nil, nil // the block has given them
		if !equal(got, want) {
			t.Errorf("the block of %s says something else:\n%s", name, block)
		}
	}
	if _, err := Block("nobody"); err == nil {
		t.Error("an unknown provider has a block")
	}
}

const page = "../../docs/providers.md"

func TestPageIsCurrent(t *testing.T) {
	want, err := Page(config.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != want {
		t.Fatalf("docs/providers.md is not what the catalogue says (%v): run\n\n\tgo generate ./internal/handbook\n", err)
	}
}

func TestHandshakesPageIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../../docs/handshakes.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Handshakes(string(got))
	if err != nil || string(got) != want {
		t.Fatalf("docs/handshakes.md is not what config/handshakes says (%v): run\n\n\tgo generate ./internal/handbook\n", err)
	}
	for _, name := range config.HandshakeKinds() {
		if line(want, "- `"+name+"`: ") == "" || !strings.Contains(want, "`"+config.Handshakes()[name].Syntax(name)+"`") {
			t.Errorf("%s is not on the page", name)
		}
		for _, check := range config.Handshakes()[name].Checks {
			if bound := check.Bound.Name; bound != "" && line(want, "  - `"+bound+"`: ") == "" {
				t.Errorf("the bound %s is not on the page", bound)
			}
		}
	}
	if _, err := Handshakes("# Handshakes\n"); err == nil {
		t.Error("a page without the marks is written over")
	}
}

var anchor = regexp.MustCompile(`(?m)^### (.+)$`)

// Every provider has a row and a section, and what is uncertain is marked.
func TestPageHasEveryProvider(t *testing.T) {
	text, err := Page(config.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for _, match := range anchor.FindAllStringSubmatch(text, -1) {
		sections = append(sections, match[1])
	}
	if !slices.Equal(sections, config.Builtin().Names()) {
		t.Errorf("the sections are not the providers: %q", sections)
	}
	for _, e := range all(t) {
		signs := e.Kind != config.KindToken && e.Kind != config.KindUnsigned
		row := line(text, "| ["+e.Name+"](#"+e.Name+") |")
		_, section, _ := strings.Cut(text, "\n### "+e.Name+"\n")
		section, _, _ = strings.Cut(section, "\n### ")
		if row == "" || e.uncertain() != strings.Contains(row, "⚠") {
			t.Errorf("%s: the row is %q", e.Name, row)
		}
		if strings.Count(strings.ReplaceAll(row, `\|`, ""), "|") != 13 {
			t.Errorf("%s: the row has not its 12 cells: %q", e.Name, row)
		}
		for what, wanted := range map[string]bool{
			"secondary source": e.Confidence == config.ConfidenceSecondary, "Not verified:": len(e.Unverified) > 0,
			"Nothing is signed.":                    e.Kind == config.KindUnsigned,
			"The body as a whole is not sig":        signs && e.BodySigned != "all",
			"webhook_guard " + e.Name:               true,
			"last checked on " + e.Checked + " aga": true,
		} {
			if wanted != strings.Contains(section, what) {
				t.Errorf("%s: the section says %q: %t, want %t", e.Name, what, !wanted, wanted)
			}
		}
	}
	for name, gap := range config.Unsupported {
		_, got, _ := strings.Cut(text, "\n- **"+escape(gap.Title)+"** (`"+name+"`):")
		got, _, _ = strings.Cut(got, "\n- **")
		if got = strings.Join(strings.Fields(got), " "); !strings.Contains(got, gap.Missing) || !strings.Contains(got, gap.Instead) {
			t.Errorf("%s is not among those that are not supported: %q", name, got)
		}
	}
}

// The page leads to each sender by its name, and by what its requests prove.
func TestPageIsGrouped(t *testing.T) {
	text, err := Page(config.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	part := func(title string) string {
		_, rest, ok := strings.Cut(text, "\n## "+title+"\n")
		if !ok {
			t.Fatalf("there is no part %q", title)
		}
		rest, _, _ = strings.Cut(rest, "\n## ")
		return rest
	}
	names := part("By name")
	for _, e := range all(t) {
		if !strings.Contains(names, "](#"+e.Name+")") {
			t.Errorf("%s is not in the index", e.Name)
		}
		for _, title := range []string{"Signed", "With a token", "Without any proof"} {
			want := title == map[string]string{config.KindToken: "With a token", config.KindUnsigned: "Without any proof"}[e.Kind] || title == "Signed" && (e.Kind == config.KindHMAC || e.Kind == config.KindAsymmetric)
			if got := strings.Contains(part(title), "\n| ["+e.Name+"]("); got != want {
				t.Errorf("%s in %q: %t", e.Name, title, got)
			}
		}
	}
	for _, gap := range config.Unsupported {
		if !strings.Contains(names, escape(gap.Title)+"](#not-supported)") {
			t.Errorf("%s is not in the index", gap.Title)
		}
	}
}

func TestSearch(t *testing.T) {
	for query, want := range map[string]struct{ first, also, gap string }{
		"stripe":      {first: "stripe"},
		"pay":         {first: "paymob", also: "paystack", gap: "alipay-antom"},
		"PAYPAL":      {first: "paypal", also: "braintree"},
		"plaid":       {first: "plaid"},
		"neon":        {first: "neon-auth"},
		"travis":      {gap: "travis-ci"},
		"forgejo":     {first: "gitea-forgejo"},
		"whatsapp":    {first: "meta-facebook-whatsapp-instagram"},
		"git":         {first: "gitea-forgejo", also: "github"},
		"adyen plat":  {first: "adyen-platform"},
		"strpe":       {first: "stripe"},
		"sns":         {first: "aws-sns"},
		"qqqqqqqqqqq": {},
		"":            {},
	} {
		result := Search(config.Builtin(), query)
		found, gaps := result.Senders, result.Unsupported
		switch {
		case want.first == "" && len(found) > 0, want.first != "" && (len(found) == 0 || found[0] != want.first):
			t.Errorf("%q finds %q", query, found)
		case want.also != "" && !slices.Contains(found, want.also):
			t.Errorf("%q finds %q", query, found)
		case want.gap != "" && !slices.Contains(gaps, want.gap), want.gap == "" && len(gaps) > 0:
			t.Errorf("%q finds %q among those that are not supported", query, gaps)
		case result.Similar != (query == "strpe" || query == "qqqqqqqqqqq"):
			t.Errorf("%q finds similar names: %t", query, result.Similar)
		}
	}
}

func line(text, start string) string {
	_, rest, ok := strings.Cut(text, "\n"+start)
	if !ok {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "\n")
	return start + rest
}

// A printed block says what stays open, and that a sender never retries.
func TestBlockSaysWhatStaysOpen(t *testing.T) {
	for _, e := range all(t) {
		block, err := Block(e.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"# Retry: " + e.Retry + ".\n", "# Replay: " + e.Recognition.Replay + ".\n", "# Stays open: " + e.StaysOpen + ".\n"} {
			if !strings.Contains(block, want) {
				t.Errorf("%s: the block has not %q", e.Name, want)
			}
		}
		if strings.Contains(block, "never retries by itself.\nprovider") != e.NeverRetries {
			t.Errorf("%s: never retries: %t", e.Name, e.NeverRetries)
		}
	}
}
