package redis

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// The errors about a URL have fixed texts. A password with a stray '/', '#' or '%' in it
// is parsed as a port, a path or an escape, so no part of the URL is safe to print.
var (
	errURLSyntax = errors.New("redis url cannot be parsed: write redis://[user:password@]host[:port][/db]" +
		" and percent-encode what is special in the password")
	errURLScheme = errors.New("redis url has an unknown scheme: use redis://, rediss:// or unix://")
	errURLQuery  = errors.New("redis url has a query other than db, or a fragment: " +
		"set options beside the url, and percent-encode '?' and '#' in the password")
	errURLDB     = errors.New("redis url has no database number where one belongs: write redis://host/0 or unix:///path?db=0")
	errURLSocket = errors.New("redis url names no socket: write unix:///run/redis.sock")
	errSocketTLS = errors.New("redis over a unix socket takes no tls: use rediss:// or leave tls out")

	errNoURL       = errors.New("redis has no url: name a server, redis://host:6379")
	errURLMixed    = errors.New("redis urls have different schemes: use redis:// for all, or rediss:// for all")
	errURLUsers    = errors.New("redis urls have different users or passwords: a cluster has one for all nodes, set username and password beside the urls")
	errBoth        = errors.New("redis is either a cluster or watched by sentinels: leave out cluster or sentinel")
	errSocketAlone = errors.New("redis over a unix socket is a single server: use redis:// or rediss:// for a cluster or sentinels")
	errClusterDB   = errors.New("redis cluster has database 0 only: leave out db, and keep gateways apart by key_prefix")
	errSentinelDB  = errors.New("redis url of a sentinel has a database number: set db beside the urls")
	errNegativeDB  = errors.New("redis db is negative: use 0 or more")
)

// targets is where to connect and as whom, by the URLs and the options beside them.
type targets struct {
	network string // tcp or unix
	addrs   []string
	users   []*url.Userinfo // of each URL, nil where it has none
	tls     *tls.Config     // nil without TLS

	// Of the servers that hold the data.
	username, password string
	db                 int
}

// cluster reports whether the options are for a Redis Cluster.
func (o Options) cluster() bool {
	return o.Cluster || len(o.URLs) > 1 && o.Sentinel == ""
}

// parseURLs reads all URLs. The options beside them take precedence.
func parseURLs(o Options) (targets, error) {
	var t targets
	if len(o.URLs) == 0 {
		return t, errNoURL
	}
	if o.Cluster && o.Sentinel != "" {
		return t, errBoth
	}
	several := o.cluster() || o.Sentinel != ""
	for i, raw := range o.URLs {
		u, err := parseURL(raw)
		switch {
		case err != nil:
			return t, err
		case i > 0 && (u.network != t.network || u.tls != (t.tls != nil)):
			return t, errURLMixed
		case several && u.network == "unix":
			return t, errSocketAlone
		case o.Sentinel != "" && u.hasDB:
			return t, errSentinelDB
		case o.cluster() && u.db != 0:
			return t, errClusterDB
		}
		t.network, t.db = u.network, u.db
		if u.tls {
			t.tls = &tls.Config{}
		}
		t.addrs, t.users = append(t.addrs, u.addr), append(t.users, u.user)
	}
	if o.TLS != nil {
		if t.network == "unix" {
			return t, errSocketTLS
		}
		t.tls = o.TLS.Clone()
	}
	if t.tls != nil && t.tls.MinVersion == 0 {
		t.tls.MinVersion = tls.VersionTLS12
	}
	return t, t.ofTheData(o)
}

// ofTheData sets the user and the database of the servers that hold the data.
func (t *targets) ofTheData(o Options) error {
	t.username, t.password = o.Username, o.Password
	if o.Sentinel == "" {
		for _, u := range t.users {
			same := u.Username() == t.users[0].Username() && password(u) == password(t.users[0])
			if !same && o.Password == "" {
				return errURLUsers
			}
		}
		if t.username == "" {
			t.username = t.users[0].Username()
		}
		if t.password == "" {
			t.password = password(t.users[0])
		}
	}
	if o.DB != nil {
		t.db = *o.DB
	}
	switch {
	case t.db < 0:
		return errNegativeDB
	case o.cluster() && t.db != 0:
		return errClusterDB
	}
	return nil
}

func password(u *url.Userinfo) string {
	p, _ := u.Password()
	return p
}

// target is one URL, parsed.
type target struct {
	network, addr string
	tls           bool
	user          *url.Userinfo
	db            int
	hasDB         bool
}

// parseURL reads a redis://, rediss:// or unix:// URL. Unlike redis.ParseURL it accepts no
// tuning in the query, which could defeat the one deadline. Its errors never quote the URL.
func parseURL(raw string) (target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return target{}, errURLSyntax
	}
	t := target{user: u.User}
	db := ""

	switch u.Scheme {
	case "redis", "rediss":
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = "localhost"
		}
		if port == "" {
			port = "6379"
		}
		t.network, t.addr = "tcp", net.JoinHostPort(host, port)
		t.tls = u.Scheme == "rediss"
		db = strings.Trim(u.Path, "/")
	case "unix":
		// unix://run/redis.sock would silently lose its first folder to the host.
		if u.Host != "" || u.Path == "" {
			return target{}, errURLSocket
		}
		t.network, t.addr = "unix", u.Path
	default:
		return target{}, errURLScheme
	}

	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" || len(query) > 1 || len(query) == 1 && !query.Has("db") {
		return target{}, errURLQuery
	}
	if db == "" {
		db = query.Get("db")
	}
	if db != "" {
		t.hasDB = true
		if t.db, err = strconv.Atoi(db); err != nil || t.db < 0 {
			return target{}, errURLDB
		}
	}
	return t, nil
}
