package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/spf13/cobra"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// secretOf is a secret that a provider can have: a private key, where the sender
// signs with one.
func secretOf(name string) string {
	provider, _ := config.Builtin().Get(name)
	if key, ok := testbed.PrivateKeys()[algorithmOf(provider)]; ok {
		return key
	}
	switch {
	case provider.SecretEncoding == "hex":
		return "44782def547aaa06c910c43932b1eb0c"
	case provider.SecretEncoding == "base64" && provider.SecretPrefix == "":
		return "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	case provider.SecretEncoding == "base64":
		return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	}
	return "a shared secret"
}

// algorithmOf is the first word of the algorithm of a provider's first signature.
func algorithmOf(p config.Provider) string {
	if len(p.Signature) == 0 {
		return ""
	}
	first, _, _ := strings.Cut(p.Signature[0].Algorithm, "-")
	return first
}

// verifies judges headers and body as a guard of the provider would.
func verifies(t *testing.T, provider, secret, target string, header http.Header, body []byte, now time.Time) (signature.Verdict, error) {
	t.Helper()
	rules := resolved(t, provider)
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	newKey := rules.Scheme.NewKey
	if rules.Scheme.Asymmetric() {
		newKey = signature.NewPrivateKey // holds the public one too
	}
	key, err := newKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := signature.Request{Method: "POST", Scheme: u.Scheme, Host: u.Host, Path: u.EscapedPath(), Query: u.RawQuery, Header: header, Body: body}
	return rules.Scheme.Verify(&r, []signature.Secret{{Key: key}}, rules.Window, now)
}

func resolved(t *testing.T, provider string) *config.Resolved {
	t.Helper()
	p, err := config.Builtin().Get(provider)
	if err != nil {
		t.Fatal(err)
	}
	p = config.Provider{Param: paramsOf(provider)}.Over(p).WithoutOpenAllows()
	rules, err := p.Resolve()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// printed reads the headers that sign has printed.
func printed(t *testing.T, text string) http.Header {
	t.Helper()
	header := make(http.Header)
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok {
			t.Fatalf("%q is no header", line)
		}
		header.Add(name, value)
	}
	return header
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs one of the commands with its arguments, as Caddy's main would.
func run(cmd *cobra.Command, stdin io.Reader, args ...string) (string, error) {
	var out bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

// paramsOf are constants that only a provider's user knows.
func paramsOf(provider string) map[string]string {
	switch provider {
	case "tiktok-shop":
		return map[string]string{"app_key": "k1"}
	case "paypal":
		return map[string]string{"webhook_id": "4JH86294D6297924G"}
	case "google-pubsub":
		return map[string]string{"audience": "https://hooks.example.com/push", "service_account": "pusher@project.iam.gserviceaccount.com"}
	case "google-gemini-dynamic":
		return map[string]string{"audience": "my-project"}
	case "azure-event-grid-entra":
		return map[string]string{"tenant": "72f988bf", "audience": "api://hooks.example.com", "application": "4962773b"}
	case "apple-app-store":
		return map[string]string{"bundle_id": "com.example", "app_apple_id": "41234"}
	case "apple-app-store-sandbox":
		return map[string]string{"bundle_id": "com.example"}
	}
	return nil
}

func TestSignPrintsHeadersThatVerify(t *testing.T) {
	const target = "https://hooks.example.com/in?x=1"
	at := time.Now().Truncate(time.Second)
	for _, name := range config.Builtin().Names() {
		if !resolved(t, name).Scheme.Signed() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			provider, _ := config.Builtin().Get(name)
			sample, err := config.NewSample(name, provider, "", "one", at)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("GUARD_SECRET", secretOf(name))
			args := []string{name, "--secret-env", "GUARD_SECRET",
				"--id", "one", "--event", "some.event", "--time", strconv.FormatInt(at.Unix(), 10), "--url", target}
			for key, value := range paramsOf(name) {
				args = append(args, "--param", key+"="+value)
			}
			for key, values := range sample.Header {
				args = append(args, "--header", key+": "+values[0])
			}
			out, err := run(signCommand(), bytes.NewReader(sample.Body), args...)
			if place := provider.Signature[0]; place.Header == "" && place.Source.Kind != signature.SourceHeaderJSON {
				if err == nil || !strings.Contains(err.Error(), "use send") {
					t.Fatalf("signed outside the headers: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			header := printed(t, out)
			if header.Get("Content-Type") != "" {
				t.Error("the content type is printed, which nobody asked for")
			}
			header.Set("Content-Type", sample.ContentType)
			verdict, err := verifies(t, name, secretOf(name), target, header, sample.Body, at)
			if err != nil {
				t.Fatalf("%v of\n%s", err, out)
			}
			if provider.Timestamp != nil && !verdict.Time.Equal(at) {
				t.Errorf("signed for %s, want %s", verdict.Time, at)
			}
			if _, err := verifies(t, name, secretOf(name), target, header, append(sample.Body, ' '), at); err == nil && resolved(t, name).Scheme.CoversBody() {
				t.Error("other bytes verify too")
			}
		})
	}
}

func TestSignSetsTheHeadersOfIDAndEvent(t *testing.T) {
	t.Setenv("GUARD_SECRET", "x")
	for name, want := range map[string][]string{
		"struktr": {"X-Struktr-Delivery: my-id\n", "X-Struktr-Timestamp: 1700000000\n"},
		"github":  {"X-Github-Delivery: my-id\n", "X-Github-Event: push\n"},
		"shopify": {"X-Shopify-Event-Id: my-id\n", "X-Shopify-Topic: push\n"},
		"slack":   {"X-Slack-Request-Timestamp: 1700000000\n"},
	} {
		for _, at := range []string{"1700000000", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00"} {
			out, err := run(signCommand(), strings.NewReader("{}"), name, "--secret-env", "GUARD_SECRET", "--id", "my-id", "--event", "push", "--time", at)
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range want {
				if !strings.Contains(out, line) {
					t.Errorf("%s: no %q in\n%s", name, line, out)
				}
			}
		}
	}
}

func TestSignMakesANewIDEachTime(t *testing.T) {
	t.Setenv("GUARD_SECRET", "x")
	seen := make(map[string]bool)
	for range 3 {
		out, err := run(signCommand(), strings.NewReader("{}"), "github", "--secret-env", "GUARD_SECRET")
		if err != nil {
			t.Fatal(err)
		}
		seen[printed(t, out).Get("X-GitHub-Delivery")] = true
	}
	if len(seen) != 3 || seen[""] {
		t.Errorf("IDs %v", seen)
	}
}

// However a secret gets in, it is the same secret, without its last newline.
func TestTheSecretIsReadFromWhereItIs(t *testing.T) {
	t.Setenv("GUARD_SECRET", "a shared secret")
	body := file(t, "{}")
	for name, tc := range map[string]struct {
		flags []string
		stdin string
	}{
		"environment":             {[]string{"--secret-env", "GUARD_SECRET"}, ""},
		"file":                    {[]string{"--secret-file", file(t, "a shared secret")}, ""},
		"file, a newline":         {[]string{"--secret-file", file(t, "a shared secret\n")}, ""},
		"file, a Windows newline": {[]string{"--secret-file", file(t, "a shared secret\r\n")}, ""},
		"standard input":          {[]string{"--secret-file", "-"}, "a shared secret\n"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(signCommand(), strings.NewReader(tc.stdin), append(tc.flags, "github", "--body", body)...)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verifies(t, "github", "a shared secret", "https://localhost/", printed(t, out), []byte("{}"), time.Now()); err != nil {
				t.Error(err)
			}
		})
	}
	// Only one newline: more of them are a part of the secret.
	out, err := run(signCommand(), strings.NewReader("x\n\n"), "github", "--secret-file", "-", "--body", body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verifies(t, "github", "x\n", "https://localhost/", printed(t, out), []byte("{}"), time.Now()); err != nil {
		t.Errorf("two newlines: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	t.Setenv("GUARD_SECRET", "c4n4ry!")
	t.Setenv("GUARD_EMPTY", "")
	secret := []string{"--secret-env", "GUARD_SECRET"}
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"both from standard input":    {[]string{"github", "--secret-file", "-"}, "cannot both come from standard input"},
		"no secret":                   {[]string{"github"}, "--secret-env <variable> or --secret-file <file>"},
		"an unset variable":           {[]string{"github", "--secret-env", "GUARD_UNSET"}, "no variable of this name"},
		"an empty variable":           {[]string{"github", "--secret-env", "GUARD_EMPTY"}, "it is empty"},
		"a file that is not there":    {[]string{"github", "--secret-file", "/nowhere/secret"}, "--secret-file: open"},
		"an empty file":               {[]string{"github", "--secret-file", file(t, "\n")}, "--secret-file: it is empty"},
		"a secret for a variable":     {[]string{"github", "--secret-env", "c4n4ry!"}, "write NAME, not $NAME"},
		"a secret for a file":         {[]string{"github", "--secret-file", "c4n4ry!"}, "--secret-file: open"},
		"a file of PowerShell's":      {[]string{"github", "--secret-file", file(t, "\xff\xfec\x004\x00")}, "it is in UTF-16"},
		"a token in a wrong URL":      {append([]string{"github", "--url", "http://%zz/?token=c4n4ry!"}, secret...), "--url:"},
		"two secrets":                 {append([]string{"github", "--secret-file", "x"}, secret...), "none of the others can be"},
		"not the secret's form":       {append([]string{"standard-webhooks"}, secret...), "it is not base64"},
		"a body that is not there":    {append([]string{"github", "--body", "/nowhere/body"}, secret...), "--body: open"},
		"an unknown provider":         {append([]string{"nobody"}, secret...), `unknown provider "nobody"`},
		"a provider without one":      {append([]string{"okrapdf"}, secret...), "okrapdf signs nothing"},
		"no provider":                 {secret, "accepts 1 arg"},
		"a time that is none":         {append([]string{"github", "--time", "now"}, secret...), "--time:"},
		"a URL that is none":          {append([]string{"github", "--url", "http://%zz"}, secret...), "--url:"},
		"a stamp that the body lacks": {append([]string{"ocriva"}, secret...), "body timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(signCommand(), strings.NewReader("{}"), tc.args...)
			wantText(t, err, tc.want)
			if strings.Contains(err.Error()+out, "c4n4ry") {
				t.Errorf("the secret is in %q", err)
			}
		})
	}
	_, err := run(signCommand(), iotest.ErrReader(errors.New("torn")), append([]string{"github"}, secret...)...)
	wantText(t, err, "torn")
}
