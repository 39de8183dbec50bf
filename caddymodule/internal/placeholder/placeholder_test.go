package placeholder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestWhatIsResolvedIsNotResolvedAgain(t *testing.T) {
	values := map[string]any{"a": "{b}", "b": "no", "c": `x{y`, "d": `\{e\}`, "e": 7, "empty": ""}
	lookup := func(name string) (any, bool) { v, ok := values[name]; return v, ok }
	for text, want := range map[string]string{
		"{a}": "{b}", "1{c}2": "1x{y2", "{d}": `\{e\}`, "{e}": "7", `\{a\}`: "{a}", "a{b": "a{b", "a}b": "a}b", `{a}{b}`: "{b}no", `\n`: `\n`,
	} {
		if got, err := Parse(text).Resolve(lookup); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	if _, err := Parse("x{unknown}").Resolve(lookup); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if _, err := Parse("x{empty}").Resolve(lookup); err == nil {
		t.Error("a part of a secret is empty")
	}
	if got, err := Parse("x{empty}").Fill(lookup); err != nil || got != "x" {
		t.Error(got, err)
	}
}

// Caddy's own replacer is what users know.
func FuzzParseAsCaddyDoes(f *testing.F) {
	for _, text := range []string{"", "a", "{x}", `\{x\}`, "{x", "x}", `{x\}y}`, "{{x}}", `\\{x}`, "a{x}b{y}c", "{}", `{\}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file.") || strings.Contains(text, `\`) || strings.Count(text, "{") > 50 {
			return // the file is read otherwise here, and Caddy escapes twice in places
		}
		repl := caddy.NewEmptyReplacer()
		repl.Map(func(name string) (any, bool) { return "<" + name + ">", true })
		want, err := repl.ReplaceOrErr(text, false, false)
		if err != nil {
			return
		}
		if got, err := Parse(text).Fill(repl.Get); err != nil || got != want {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	})
}

func TestAFileThatCannotBeUsedIsNamed(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"): "cannot be read",
		dir:                           "cannot be read",
		empty:                         "is empty: write",
		large:                         "larger than",
	} {
		_, err := Resolve("{file." + path + "}")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "before Caddy starts") {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}

func TestSlips(t *testing.T) {
	t.Setenv("GUARDTESTNAME", "set")
	for _, text := range []string{
		"$NAME", "$name", "$stripeSecret", "${NAME}", "${NAME:-x}", "${NAME", "$$NAME", "$(NAME)", "$(cat /run/secrets/x)", "$env:Name", "%NAME%", "%github_secret%",
		"env.NAME", "env.NAME}", "{env.NAME", "{env.NAME}", "{{env.NAME}}", "{{ env.NAME }}", "${{ secrets.NAME }}", "${env.NAME}", "{{.Values.secret}}", "{$NAME}", "{$NAME", "{%NAME%}",
		"{file./run/secrets/x", "{file./run/secrets/x}", "file./run/secrets/x", "file:///run/secrets/x", "@/run/secrets/x", "/run/secrets/x", "{vars.key}", "{http.vars.key}", "{tenant_secret}", "{NAME",
		"process.env.NAME", "os.environ['NAME']", `getenv("NAME")`, "ENV[NAME]", "env:NAME", "op://vault/item/field", "arn:aws:secretsmanager:eu-west-1:1:secret:x", "ENC[AES256_GCM,data:x]",
		"<your-secret>", "STRIPE_WEBHOOK_SECRET", "GITHUB_TOKEN", "GUARDTESTNAME", " $NAME ", `"$NAME"`, "'env.NAME'", "$NAME\n", "`$NAME`",
	} {
		if Slip(text) == nil {
			t.Errorf("%q passes", text)
		} else if strings.Contains(Slip(text).Error(), text) && len(text) > 8 && !strings.Contains(text, "env.NAME") {
			t.Errorf("%q is in the error", text)
		}
	}
	for _, text := range []string{
		"s3cr$NAMEt", "a%NAME%b", "pa$$word", "xenv.NAME", "sk_{env", "s3cr{e}t", "s3cr{et", "}x{", "$2b$10$abcdefghijklmnopqrstuv", "$aB3dE5gH7jK9", "%aB3dE5gH7jK9%", "{aB3dE5gH7jK9",
		"{123e4567-e89b-12d3-a456-426614174000}", "{a1b2c3d4-e89b-12d3-a456-426614174000}", "100%", "$", "%%", "{", "{}", "$100", "$!x", "<", "a<b>c", "/8kd83Jd+dk2==", "env", "environment.x", "whsec_abc/def+g==", "user:pa$word",
		"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "key", "TOKEN", "token-0123456789abcdef", "report-secret-0123456789", "AKIA_1234_abcd", "{\"a\":1}", "sk_{env}", "a{env.b c}", "{\"file.a\":1}",
	} {
		if err := Slip(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSlipsAsConfigured(t *testing.T) {
	for text, slip := range map[string]bool{
		"{env.NAME}": false, "{file./a/b}": false, "{tenant_secret}": false, "a{env.NAME}b": false, `\{literal`: false, "lit{eral": false, `{env.A}{env.B}`: false,
		"{file./a/{env.B}}": true, "x{env.A_{tenant}}": true, "{env.A}{file./b}": false,
		"{env.NAME": true, "whsec_{env.NAME": true, "{{env.NAME}}": true, "${env.NAME}": true, "$NAME": true, "{$NAME}": true, "%NAME%": true, "env.NAME": true, "${NAME}": true, "{env.A}{env.B": true,
	} {
		if err := ConfiguredSlip(text); (err != nil) != slip {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What a map has left of a placeholder is told from a secret that holds braces.
func TestUnreplaced(t *testing.T) {
	for text, unreplaced := range map[string]bool{
		"{env.NAME}": true, "key-{env.NAME}": true, "{file./a/b}-x": true, "{http.vars.x}": true,
		"s3cr{e}t": false, "sk_{env}": false, "a{env.b c}": false, `{"file.a":1}`: false, "{env.": false, "env.NAME}": false, "": false,
	} {
		if Unreplaced(text) != unreplaced {
			t.Errorf("%q: %t", text, !unreplaced)
		}
	}
}

// A text in which others were put is taken apart as it is printed.
func TestPut(t *testing.T) {
	for _, c := range []struct{ text, inner, want string }{
		{"a{k}b{x}", "-{y}-", "a-{y}-b{x}"},
		{"{k}{k}", "", ""},
		{`\{k}{k}`, `\{`, `\{k\}\{`},
	} {
		put := Parse(c.text).Put(func(name string) (Text, bool) { return Parse(c.inner), name == "k" })
		if got := put.String(); got != c.want || !slices.Equal(Parse(got).Names(), put.Names()) {
			t.Errorf("%q in %q is %q, want %q", c.inner, c.text, got, c.want)
		}
	}
}
