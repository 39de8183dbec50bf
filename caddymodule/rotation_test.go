package caddymodule

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// rotated is a guard whose clock and files a test changes.
type rotated struct {
	t     *testing.T
	guard *Guard
	now   time.Time
	dir   string
	logs  *observer.ObservedLogs
}

func newRotated(t *testing.T, edit func(*rotated)) *rotated {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	r := &rotated{t: t, guard: newGuard(), now: time.Now().Add(time.Hour), dir: t.TempDir(), logs: logs}
	r.guard.logger = zap.New(core)
	r.guard.now = func() time.Time { return r.now }
	r.guard.ProviderName = "struktr"
	edit(r)
	if err := r.guard.provision(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rotated) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rotated) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// pass lets time go by and has the guard look, as a request does.
func (r *rotated) pass(d time.Duration) {
	r.now = r.now.Add(d)
	r.guard.files.look(r.now)
}

// want fails unless exactly these secrets are in force.
func (r *rotated) want(texts ...string) {
	r.t.Helper()
	secrets := r.guard.secrets.fixed.secrets()
	if len(secrets) != len(texts) {
		r.t.Fatalf("%d secrets, want %d", len(secrets), len(texts))
	}
	for i, text := range texts {
		if !secrets[i].Key.EqualText(text) {
			r.t.Errorf("secret %d is not %q", i, text)
		}
	}
}

func (r *rotated) errors() int { return r.logs.FilterLevelExact(zapcore.ErrorLevel).Len() }

func TestASecretFollowsItsFile(t *testing.T) {
	r := newRotated(t, func(r *rotated) {
		r.write("a", "the-first-secret-of-all\n")
		r.guard.Secret = []Secret{{Value: "a-secret-that-stays-as-it-is"}, {Value: "{file." + r.path("a") + "}"}}
	})
	r.want("a-secret-that-stays-as-it-is", "the-first-secret-of-all")
	r.pass(0)
	r.write("a", "the-second-one-of-them\n")
	r.pass(999 * time.Millisecond) // not yet
	r.want("a-secret-that-stays-as-it-is", "the-first-secret-of-all")
	r.pass(time.Millisecond)
	r.want("a-secret-that-stays-as-it-is", "the-second-one-of-them")
	// A new file in the place of the old one, and a clock that was set back.
	r.write("new", "the-third-secret-of-all\n")
	if err := os.Rename(r.path("new"), r.path("a")); err != nil {
		t.Fatal(err)
	}
	r.pass(-30 * time.Minute)
	r.want("a-secret-that-stays-as-it-is", "the-third-secret-of-all")
	if n := r.errors(); n != 0 {
		t.Errorf("%d errors are logged", n)
	}
	for _, entry := range r.logs.All() {
		if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), "secret-of-all") {
			t.Errorf("a secret is in the log: %s", entry.Message)
		}
	}
}

func TestAFileThatIsUnusableChangesNothing(t *testing.T) {
	for name, spoil := range map[string]func(*rotated){
		"empty":           func(r *rotated) { r.write("a", "") },
		"a line break":    func(r *rotated) { r.write("a", "\n") },
		"white space":     func(r *rotated) { r.write("a", "  \t\n") },
		"a slip":          func(r *rotated) { r.write("a", "$STRIPE_SECRET") },
		"not base64":      func(r *rotated) { r.write("a", "whsec_!!!") },
		"gone":            func(r *rotated) { _ = os.Remove(r.path("a")) },
		"a directory":     func(r *rotated) { _ = os.Remove(r.path("a")); _ = os.Mkdir(r.path("a"), 0o700) },
		"a dangling link": func(r *rotated) { _ = os.Remove(r.path("a")); _ = os.Symlink("nowhere", r.path("a")) },
	} {
		t.Run(name, func(t *testing.T) {
			const first, second = "Zmlyc3QtZmlyc3QtZmlyc3Q=", "c2Vjb25kLXNlY29uZC1zZWNvbmQ="
			r := newRotated(t, func(r *rotated) {
				r.write("a", "whsec_"+first)
				r.guard.ProviderName = "standard-webhooks"
				r.guard.Secret = []Secret{{Value: "{file." + r.path("a") + "}"}}
			})
			spoil(r)
			for range 5 {
				r.pass(time.Second)
			}
			r.want("first-first-first")
			if n := r.errors(); n != 1 {
				t.Errorf("logged %d times, want once", n)
			}
			_ = os.Remove(r.path("a"))
			r.write("a", "whsec_"+second)
			r.pass(time.Second)
			r.want("second-second-second")
		})
	}
}

// Kubernetes mounts a secret as a link to a link to a directory, and swaps the second.
func TestASwappedLinkIsSeen(t *testing.T) {
	swap := func(r *rotated, version string) {
		if err := os.Mkdir(r.path(version), 0o700); err != nil {
			t.Fatal(err)
		}
		r.write(version+"/key", "a-secret-of-version-"+version)
		_ = os.Chtimes(r.path(version+"/key"), time.Unix(1e9, 0), time.Unix(1e9, 0)) // size and time are equal
		_ = os.Symlink(version, r.path("..tmp"))
		if err := os.Rename(r.path("..tmp"), r.path("..data")); err != nil {
			t.Fatal(err)
		}
	}
	r := newRotated(t, func(r *rotated) {
		swap(r, "1")
		_ = os.Symlink("..data/key", r.path("key"))
		r.guard.Secret = []Secret{{Value: "{file." + r.path("key") + "}"}}
	})
	r.want("a-secret-of-version-1")
	swap(r, "2")
	r.pass(time.Second)
	r.want("a-secret-of-version-2")
}

// File systems count time in steps: two writes within one leave the same time.
func TestAChangeWithinOneTickIsSeen(t *testing.T) {
	r := newRotated(t, func(r *rotated) {
		r.now = time.Now()
		r.write("a", "the-first-secret-of-all")
		r.guard.Secret = []Secret{{Value: "{file." + r.path("a") + "}"}}
	})
	info, err := os.Stat(r.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	r.write("a", "the-other-secret-of-all")
	_ = os.Chtimes(r.path("a"), info.ModTime(), info.ModTime())
	r.pass(time.Hour)
	r.want("the-other-secret-of-all")
}

func TestUntilOutlivesAChangeOfTheFile(t *testing.T) {
	r := newRotated(t, func(r *rotated) {
		r.write("a", "the-first-secret-of-all")
		until := r.now.Add(time.Minute)
		r.guard.Secret = []Secret{{Value: "{file." + r.path("a") + "}", Until: &until}}
	})
	r.write("a", "the-second-one-of-them")
	r.pass(2 * time.Second)
	if secret := r.guard.secrets.fixed.secrets()[0]; !secret.InForce(r.now) || secret.InForce(r.now.Add(time.Minute)) {
		t.Errorf("until is %v", secret.Until)
	}
}

func TestAHandshakeFollowsTheFileOfItsArgument(t *testing.T) {
	r := newRotated(t, func(r *rotated) {
		r.write("verify", "first")
		r.guard.ProviderName, r.guard.Secret = "meta-facebook-whatsapp-instagram", []Secret{{Value: "a-secret-that-stays-as-it-is"}}
		r.guard.Handshake = []string{"meta", "{file." + r.path("verify") + "}"}
	})
	before := r.guard.handshake.Load()
	r.write("verify", "second")
	r.pass(time.Second)
	if r.guard.handshake.Load() == before {
		t.Error("the handshake is as it was")
	}
}

func TestAHandshakeTakesItsArgumentAsItIs(t *testing.T) {
	for value, refused := range map[string]bool{"ver{ify}-me": false, "{ver": true, "a{env.HOME}": false, "$VERIFY_TOKEN": true, "{env.VERIFY}": true} {
		t.Setenv("GUARD_TEST_VERIFY", value)
		g := newGuard()
		g.ProviderName, g.Secret = "meta-facebook-whatsapp-instagram", []Secret{{Value: "a-secret-that-stays-as-it-is"}}
		g.Handshake = []string{"meta", "{env.GUARD_TEST_VERIFY}"}
		err := g.provision()
		if (err != nil) != refused {
			t.Errorf("%s: %v", value, err)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "handshake: it ") || strings.Contains(err.Error(), value)) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestOddSecretsAreWarnedOfWithoutShowingThem(t *testing.T) {
	for text, want := range map[string]string{
		"a-secret-of-sixteen-bytes-and-more": "",
		"sixteen-bytes-it":                   "",
		"c4n4ry":                             "shorter than 16 bytes",
		" c4n4ry-c4n4ry-c4n4ry":              "white space",
		"c4n4ry-c4n4ry-c4n4ry\n":             "white space",
		"\ufeffc4n4ry-c4n4ry-c4n4ry":         "byte order mark",
		`"c4n4ry-c4n4ry-c4n4ry"`:             "quotes",
	} {
		r := newRotated(t, func(r *rotated) { r.guard.Secret = []Secret{{Value: text}} })
		warned := r.logs.FilterLevelExact(zapcore.WarnLevel).All()
		switch {
		case want == "" && len(warned) > 0:
			t.Errorf("%q: %s", text, warned[0].Message)
		case want != "" && (len(warned) != 1 || !strings.Contains(warned[0].Message, want)):
			t.Errorf("%q: %d warnings, want one of %s", text, len(warned), want)
		}
		for _, entry := range r.logs.All() {
			if strings.Contains(fmt.Sprint(entry.Message, entry.ContextMap()), "c4n4ry") {
				t.Errorf("the secret is in the log: %s", entry.Message)
			}
		}
	}
}

func BenchmarkLookBetweenTwoLooks(b *testing.B) {
	f := follower{texts: []*followed{{}}}
	now := time.Now()
	f.next.Store(now.Add(lookEvery).UnixNano())
	b.ReportAllocs()
	for b.Loop() {
		f.look(now)
	}
}
