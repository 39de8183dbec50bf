package redis_test

import (
	"crypto/tls"
	"net"
	"strconv"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe/internal/testkit"
	"github.com/webhookguard/caddy-webhook-guard/dedupe/redis"
	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// guardUser are the rights that the documentation asks for, for each kind.
func guardUser(more ...string) []string {
	rights := []string{"--user", "guard", "on", ">demo", "~wg:*", "+get", "+set", "+del", "+pttl", "+pexpire", "+eval", "+evalsha"}
	return append(rights, more...)
}

// clientTLS is the client's side: its own certificate, and trust in one authority.
func clientTLS(t *testing.T, trusted, issuer *testbed.Authority) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(issuer.Issue("gateway"))
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{RootCAs: trusted.Roots(), Certificates: []tls.Certificate{pair}}
}

// Own authority, certificates on both sides and a user with no more rights than it
// needs: on each kind of deployment.
func TestRedisWithClientCertificatesAndAUser(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, *testbed.Authority) redis.Options{
		"server": func(t *testing.T, a *testbed.Authority) redis.Options {
			port := strconv.Itoa(testbed.FreePort(t))
			testbed.StartRedis(t, append(a.RedisTLS(port), guardUser()...)...)
			return redis.Options{URLs: []string{"rediss://" + net.JoinHostPort("127.0.0.1", port)}}
		},
		"sentinel": func(t *testing.T, a *testbed.Authority) redis.Options {
			s := testbed.StartSentinels(t, testbed.RedisSet{TLS: a, Args: guardUser()})
			return redis.Options{URLs: s.URLs(), Sentinel: testbed.MasterName}
		},
		"cluster": func(t *testing.T, a *testbed.Authority) redis.Options {
			c := testbed.StartCluster(t, testbed.RedisSet{TLS: a, Args: guardUser("+cluster|slots", "+asking")})
			return redis.Options{URLs: c.URLs()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			authority, stranger := testbed.NewAuthority(t), testbed.NewAuthority(t)
			o := start(t, authority)
			o.Username, o.Password, o.Timeout = "guard", "demo", testkit.Patient
			for name, c := range map[string]struct {
				tls *tls.Config
				ok  bool
			}{
				"both known":                {clientTLS(t, authority, authority), true},
				"no certificate of its own": {&tls.Config{RootCAs: authority.Roots()}, false},
				"a certificate of others":   {clientTLS(t, authority, stranger), false},
				"server not trusted":        {clientTLS(t, stranger, authority), false},
			} {
				o.TLS = c.tls
				if err := settleOwn(t.Context(), newRedis(t, o)); (err == nil) != c.ok {
					t.Errorf("%s: %v", name, err)
				}
			}
			o.TLS = clientTLS(t, authority, authority)
			if warnings, err := newRedis(t, o).Warnings(t.Context()); err != nil || len(warnings) != 0 {
				t.Errorf("a user who may not look got the warnings %q, %v", warnings, err)
			}
			o.Password = "wrong"
			if err := settleOwn(t.Context(), newRedis(t, o)); err == nil {
				t.Error("a wrong password was taken")
			}
		})
	}
}
