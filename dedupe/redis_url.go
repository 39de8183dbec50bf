package dedupe

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// What is wrong with a URL is told in fixed words. A password with a stray '/', '#' or
// '%' in it turns up as a port, a path or an escape, so no part of it is safe to print.
var (
	errURLSyntax = errors.New("redis url cannot be parsed: write redis://[user:password@]host[:port][/db]" +
		" and percent-encode what is special in the password")
	errURLScheme = errors.New("redis url has an unknown scheme: use redis://, rediss:// or unix://")
	errURLQuery  = errors.New("redis url has a query other than db, or a fragment: " +
		"set options beside the url, and percent-encode '?' and '#' in the password")
	errURLDB     = errors.New("redis url has no database number where one belongs: write redis://host/0 or unix:///path?db=0")
	errURLSocket = errors.New("redis url names no socket: write unix:///run/redis.sock")
	errSocketTLS = errors.New("redis over a unix socket takes no tls: use rediss:// or leave tls out")
)

// parseURL turns a redis://, rediss:// or unix:// URL into connection options. Unlike
// redis.ParseURL it takes no tuning from the query, which could undo the one deadline,
// and its errors never quote the URL.
func parseURL(raw string) (*redis.Options, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return nil, errURLSyntax
	}
	o := &redis.Options{Username: u.User.Username()}
	o.Password, _ = u.User.Password()
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
		o.Network, o.Addr = "tcp", net.JoinHostPort(host, port)
		if u.Scheme == "rediss" {
			o.TLSConfig = &tls.Config{ServerName: host}
		}
		db = strings.Trim(u.Path, "/")
	case "unix":
		// unix://run/redis.sock would silently lose its first folder to the host.
		if u.Host != "" || u.Path == "" {
			return nil, errURLSocket
		}
		o.Network, o.Addr = "unix", u.Path
	default:
		return nil, errURLScheme
	}

	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || u.Fragment != "" || len(query) > 1 || len(query) == 1 && !query.Has("db") {
		return nil, errURLQuery
	}
	if db == "" {
		db = query.Get("db")
	}
	if db != "" {
		if o.DB, err = strconv.Atoi(db); err != nil || o.DB < 0 {
			return nil, errURLDB
		}
	}
	return o, nil
}
