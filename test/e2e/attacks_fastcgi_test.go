package e2e

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// fcgiRequest is what a FastCGI responder got: its variables and its body.
type fcgiRequest struct {
	params map[string]string
	body   string
}

// The types of FastCGI records that matter here.
const (
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
)

// startResponder starts a FastCGI responder by the letter of the protocol. answer returns
// the bytes of the answer, and whether the responder lives to end the request.
func startResponder(t *testing.T, answer func(fcgiRequest) (text []byte, ends bool)) string {
	t.Helper()
	return serveConns(t, func(conn net.Conn) { respondOnce(conn, answer) })
}

func respondOnce(conn net.Conn, answer func(fcgiRequest) ([]byte, bool)) {
	defer func() { _ = conn.Close() }()
	var params, body []byte
	for {
		var head [8]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		length := int(binary.BigEndian.Uint16(head[4:]))
		content := make([]byte, length+int(head[6]))
		if _, err := io.ReadFull(conn, content); err != nil {
			return
		}
		switch content = content[:length]; {
		case head[1] == fcgiParams:
			params = append(params, content...)
		case head[1] == fcgiStdin && length > 0:
			body = append(body, content...)
		case head[1] == fcgiStdin:
			text, ends := answer(fcgiRequest{readParams(params), string(body)})
			_, _ = conn.Write(fcgiRecord(fcgiStdout, text))
			if ends {
				_, _ = conn.Write(fcgiRecord(fcgiStdout, nil))
				_, _ = conn.Write(fcgiRecord(fcgiEnd, make([]byte, 8)))
			}
			return
		}
	}
}

func fcgiRecord(kind byte, content []byte) []byte {
	record := []byte{1, kind, 0, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(record[4:], uint16(len(content)))
	return append(record, content...)
}

func readParams(data []byte) map[string]string {
	params := make(map[string]string)
	length := func() int {
		n := int(data[0])
		if n < 128 {
			data = data[1:]
			return n
		}
		n = int(binary.BigEndian.Uint32(data) &^ (1 << 31))
		data = data[4:]
		return n
	}
	for len(data) > 0 {
		name, value := length(), length()
		params[string(data[:name])] = string(data[name : name+value])
		data = data[name+value:]
	}
	return params
}

// A token in the query reaches a FastCGI app in none of its variables, and an HTTP app in
// none of its headers.
func TestAttackTokenInFastCGIVariables(t *testing.T) {
	t.Parallel()
	got := make(chan fcgiRequest, 1)
	fast := startResponder(t, func(r fcgiRequest) ([]byte, bool) {
		got <- r
		return []byte("Status: 204 No Content\r\n\r\n"), true
	})
	app := testbed.StartApp(t, nil)
	s := testbed.OkraPDF()
	guard := func(path, behind string) string {
		return "handle_path /" + path + "* {\nroute {\nwebhook_guard okrapdf {\ntoken query token\nsecret " + s.Secret + "\nscope " + path + "\n}\n" + behind + "\n}\n}\n"
	}
	g := site{store: "memory", routes: guard("fast", "reverse_proxy "+fast+" {\ntransport fastcgi\n}") +
		guard("php", "php_fastcgi "+fast+" {\ntry_files index.php\n}") +
		guard("moved", "rewrite * /index.php?{query}&was={path}\nreverse_proxy "+fast+" {\ntransport fastcgi\n}") +
		guard("http", "reverse_proxy "+app.Addr()+" {\nheader_up X-Uri {http.request.orig_uri}\nheader_up X-Query {http.request.orig_uri.query}\nheader_up X-Q {http.request.orig_uri.prefixed_query}\n}"),
	}.start(t)
	for _, path := range []string{"/fast", "/php/x", "/moved", "/http"} {
		for _, query := range []string{
			"token=" + s.Secret, "a=1&token=" + s.Secret + "&b=2", "t%6Fken=" + s.Secret + "&a=1", "a=%20&%74oken=" + strings.ReplaceAll(s.Secret, "-", "%2D"),
		} {
			req := s.Request(t, g.URL(""), testbed.Event{}.Fill())
			req.URL.Path, req.URL.RawQuery = path, query
			resp := testbed.Do(t, req)
			if resp.Guard != "forwarded" {
				t.Fatalf("%s?%s: %s", path, query, resp)
			}
			seen := make(map[string]string)
			if path == "/http" {
				for name, values := range last(t, app).Header {
					seen[name] = strings.Join(values, ", ")
				}
				seen["the URL"] = last(t, app).URL
			} else {
				seen = (<-got).params
				if uri := seen["REQUEST_URI"]; !strings.HasPrefix(uri, path) {
					t.Errorf("%s: REQUEST_URI is %s", path, uri)
				}
			}
			for name, value := range seen {
				if folded := strings.ReplaceAll(value, "%2D", "-"); strings.Contains(folded, s.Secret) {
					t.Errorf("%s?%s: the app got the token in %s: %s", path, query, name, value)
				}
			}
		}
	}
}

// A worker that dies in its answer has not answered, as far as that can be told: before
// its answer's body, or within a length that it has announced.
func TestAttackFastCGIWorkerDies(t *testing.T) {
	t.Parallel()
	for what, part := range map[string]string{
		"before its answer":     "",
		"in its headers":        "Status: 200 OK\r\nContent-Ty",
		"within its length":     "Status: 200 OK\r\nContent-Length: 1000\r\n\r\nthe beginning",
		"before all its length": "Status: 200 OK\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			calls := make(chan int, 2)
			calls <- 0
			app := startResponder(t, func(fcgiRequest) ([]byte, bool) {
				n := <-calls
				calls <- n + 1
				if n == 0 {
					return []byte(part), false
				}
				return []byte("Status: 200 OK\r\nContent-Length: 2\r\n\r\nok"), true
			})
			s, e := testbed.DocRouter(), testbed.Event{}.Fill()
			g := site{store: "memory", routes: route("", s.Name, "reverse_proxy "+app+" {\ntransport fastcgi\n}", secretOf(s))}.start(t)
			want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), http.StatusBadGateway, "upstream_failed")
			want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), http.StatusOK, "forwarded")
			want(t, testbed.Do(t, s.Request(t, g.URL(""), e)), http.StatusOK, "duplicate")
		})
	}
}
