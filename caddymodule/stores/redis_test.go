package stores

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// redisStore is what a Caddyfile's lines make, provisioned.
func redisStore(t *testing.T, text string) (*Redis, error) {
	t.Helper()
	s := new(Redis)
	if err := s.UnmarshalCaddyfile(caddyfile.NewTestDispenser("redis " + text)); err != nil {
		t.Fatal(err)
	}
	return s, s.Provision(caddy.Context{})
}

// file writes a file of the test's own.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantText checks that there is an error and that it holds the text.
func wantText(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v does not hold %q", err, text)
	}
}

// certificate writes a self-signed certificate and its key into files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return file(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return encode("CERTIFICATE", der), encode("PRIVATE KEY", pkcs8)
}

func TestRedisPlaceholdersAreResolvedAndNotWrittenBack(t *testing.T) {
	t.Setenv("GUARD_REDIS_URL", "redis://10.0.0.1:6379/2")
	t.Setenv("GUARD_REDIS_PASSWORD", "c4n4ry")
	s, err := redisStore(t, "{env.GUARD_REDIS_URL} {\npassword {env.GUARD_REDIS_PASSWORD}\n}")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.options.URLs, []string{"redis://10.0.0.1:6379/2"}) || s.options.Password != "c4n4ry" {
		t.Errorf("resolved to %s", s.options.URLs)
	}
	if s.URLs[0] != "{env.GUARD_REDIS_URL}" || s.Password != "{env.GUARD_REDIS_PASSWORD}" {
		t.Errorf("written back: %s, %s", s.URLs, s.Password)
	}
	if strings.Contains(s.PoolKey(), "c4n4ry") {
		t.Error("the password is in the key of the pool")
	}
	if s.options.DB != nil {
		t.Errorf("database %d takes the place of the URL's", *s.options.DB)
	}
}

func TestRedisPoolKeysTellServersApart(t *testing.T) {
	const url = "redis://127.0.0.1:6379"
	cert, key := certificate(t)
	seen := make(map[string]string)
	for _, text := range []string{
		url, url + " {\ncluster\n}", url + " redis://127.0.0.1:6380", url + " {\nsentinel a\n}", url + " {\nsentinel b\n}",
		url + "/1", "redis://127.0.0.1:6380", "rediss://127.0.0.1:6379",
		url + " {\nusername a\npassword b\n}", url + " {\nusername b\npassword a\n}", url + " {\npassword b\n}", url + " {\ndb 0\n}", url + " {\ndb 1\n}",
		url + " {\npool_size 5\n}", url + " {\ntimeout 1s\n}", url + " {\nkey_prefix a:\n}",
		url + " {\ntls {\n}\n}", url + " {\ntls {\nca " + cert + "\n}\n}", url + " {\ntls {\ncert " + cert + "\nkey " + key + "\n}\n}",
	} {
		s, err := redisStore(t, text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if other, taken := seen[s.PoolKey()]; taken {
			t.Errorf("%q and %q share a store", text, other)
		}
		seen[s.PoolKey()] = text
		if again, _ := redisStore(t, text); again.PoolKey() != s.PoolKey() {
			t.Errorf("%q: a reload would not find its store", text)
		}
	}
}

func TestRedisTLSReadsItsFiles(t *testing.T) {
	cert, key := certificate(t)
	tls := func(lines string) string { return "redis://127.0.0.1:6379 {\ntls {\n" + lines + "\n}\n}" }
	s, err := redisStore(t, tls("ca "+cert+"\ncert "+cert+"\nkey "+key))
	if err != nil {
		t.Fatal(err)
	}
	if c := s.options.TLS; c == nil || c.RootCAs == nil || len(c.Certificates) != 1 || c.InsecureSkipVerify {
		t.Errorf("TLS %+v", c)
	}
	for lines, want := range map[string]string{
		"ca /nowhere/ca.pem":              "redis: tls: ca: open",
		"ca " + file(t, "no PEM"):         "holds no PEM certificate",
		"cert " + cert:                    "cert and key go together",
		"key " + key:                      "cert and key go together",
		"cert " + cert + "\nkey /nowhere": "redis: tls: cert: open",
		"cert " + key + "\nkey " + cert:   "redis: tls: cert:",
	} {
		_, err := redisStore(t, tls(lines))
		wantText(t, err, want)
	}
}

func TestRedisErrorsHoldNoPassword(t *testing.T) {
	t.Setenv("GUARD_REDIS_URL", "redis://user:c4n4ry@127.0.0.1:6379/x")
	for _, text := range []string{
		"{env.GUARD_REDIS_URL}", "http://user:c4n4ry@127.0.0.1", "redis://user:c4n4ry@:bad:port", "redis://user:c4n4ry@%zz",
		"redis://127.0.0.1 {\npassword \"{c4n4ry}\"\n}", "redis://user:c4n4ry@127.0.0.1/{env.GUARD_UNSET}",
	} {
		_, err := redisStore(t, text)
		if err == nil {
			t.Errorf("%s was taken", text)
		} else if strings.Contains(err.Error(), "c4n4ry") {
			t.Errorf("%s: the password is in %q", text, err)
		}
	}
}

func TestRedisRefusesWhatJSONCanSayAndLinesCannot(t *testing.T) {
	for want, s := range map[string]*Redis{
		"name the server":  {},
		"must be positive": {URLs: []string{"redis://127.0.0.1"}, Timeout: -1},
		"pool_size must":   {URLs: []string{"redis://127.0.0.1"}, PoolSize: -1},
	} {
		wantText(t, s.Provision(caddy.Context{}), want)
	}
}
