package capture

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

func parse(t testing.TB, text string, body []byte) *Capture {
	t.Helper()
	c, err := Parse([]byte(text), body)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return c
}

// want compares all of a request.
func want(t testing.TB, c *Capture, r signature.Request) {
	t.Helper()
	got := c.Request
	if got.Method != r.Method || got.Scheme != r.Scheme || got.Host != r.Host || got.Path != r.Path || got.Query != r.Query ||
		string(got.Body) != string(r.Body) || !maps.EqualFunc(got.Header, r.Header, slices.Equal) {
		t.Errorf("got  %+v\nwant %+v", got, r)
	}
}

const rawHTTP = "POST /in?a=1%2F2 HTTP/1.1\r\nHost: hooks.example.com\r\nx-signature: sha256=00\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n{\"a\":1}"

var asHTTP = signature.Request{
	Method: "POST", Scheme: "http", Host: "hooks.example.com", Path: "/in", Query: "a=1%2F2",
	Header: map[string][]string{"X-Signature": {"sha256=00"}, "X-Two": {"1", "2"}}, Body: []byte(`{"a":1}`),
}

func TestHTTP(t *testing.T) {
	want(t, parse(t, rawHTTP, nil), asHTTP)
	want(t, parse(t, strings.ReplaceAll(rawHTTP, "\r\n", "\n"), nil), asHTTP)
	want(t, parse(t, "\xef\xbb\xbf\n"+rawHTTP, nil), asHTTP)
	want(t, parse(t, strings.Replace(rawHTTP, "POST /in", "POST https://hooks.example.com/in", 1), nil),
		signature.Request{Method: "POST", Scheme: "https", Host: asHTTP.Host, Path: "/in", Query: asHTTP.Query, Header: asHTTP.Header, Body: asHTTP.Body})
	if c := parse(t, rawHTTP, []byte("other")); string(c.Request.Body) != "other" {
		t.Error("the body that was given does not count")
	}
}

// Headers and a body without a request line, as some tools copy them.
func TestHeadersAlone(t *testing.T) {
	c := parse(t, "Host: a.example.com\nX-Signature: 00\n\nbody", nil)
	want(t, c, signature.Request{Method: "POST", Scheme: "http", Host: "a.example.com", Path: "/", Header: map[string][]string{"X-Signature": {"00"}}, Body: []byte("body")})
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name, headers, rest, body string
		notes                     int
	}{
		{"to the end", "", "a\r\nb\n", "a\r\nb\n", 0},
		{"of a length", "Content-Length: 3\r\n", "a\nb", "a\nb", 0},
		{"with an editor's newline", "Content-Length: 3\r\n", "a\nb\n", "a\nb", 0},
		{"with one that counts", "Content-Length: 4\r\n", "a\nb\n", "a\nb\n", 0},
		{"cut short", "Content-Length: 10\r\n", "abc", "abc", 0},
		{"grown", "Content-Length: 3\r\n", "abcdef", "abcdef", 0},
		{"with its answer", "Content-Length: 3\r\n", "abcHTTP/1.1 401 Unauthorized\r\nWebhook-Guard: signature_invalid\r\n\r\n", "abc", 0},
		{"with the next request", "Content-Length: 3\r\n", "abc\r\nPOST / HTTP/1.1\r\n\r\n", "abc", 0},
		{"none, with its answer", "", "HTTP/1.1 200 OK\r\n\r\nok", "", 0},
		{"none of a length, with its answer", "Content-Length: 0\r\n", "HTTP/1.1 200\n\n", "", 0},
		{"that speaks of HTTP", "", "HTTP/1.1 is old", "HTTP/1.1 is old", 0},
		{"of no length", "Content-Length: many\r\n", "abc", "abc", 1},
		{"in chunks", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde", 0},
		{"in chunks, with LF", "Transfer-Encoding: chunked\n", "3\nabc\n2\nde\n0\n\n", "abcde", 0},
		{"in empty chunks", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "", 0},
		{"with CRLF in a chunk", "Transfer-Encoding: chunked\r\n", "4\r\na\r\nb\r\n0\r\n\r\n", "a\r\nb", 0},
		{"no longer in chunks", "Transfer-Encoding: chunked\r\n", `{"a":1}`, `{"a":1}`, 1},
		{"in broken chunks", "Transfer-Encoding: chunked\r\n", "ff\r\nabc\r\n", "ff\r\nabc\r\n", 1},
	} {
		got := parse(t, "POST / HTTP/1.1\r\nHost: a\r\n"+c.headers+"\r\n"+c.rest, nil)
		if string(got.Request.Body) != c.body || len(got.Notes) != c.notes {
			t.Errorf("%s: body %q, notes %q", c.name, got.Request.Body, got.Notes)
		}
	}
}

func TestCurl(t *testing.T) {
	json := map[string][]string{"Content-Type": {"application/json"}, "X-Signature": {"00"}}
	plain := signature.Request{Method: "POST", Scheme: "https", Host: "a.example.com:8443", Path: "/in", Query: "b=c", Header: json, Body: []byte(`{"a":"it's"}`)}
	for _, command := range []string{
		`curl -X POST https://a.example.com:8443/in?b=c -H 'Content-Type: application/json' -H 'X-Signature: 00' --data-raw '{"a":"it'\''s"}'`,
		"$ curl -sS -XPOST 'https://a.example.com:8443/in?b=c' \\\n  -H'content-type: application/json' \\\n  --header \"x-signature: 00\" \\\n  -d $'{\"a\":\"it\\'s\"}' | jq .",
		"curl --request POST --url https://a.example.com:8443/in?b=c --data-binary \"{\\\"a\\\":\\\"it's\\\"}\" -H 'Content-Type:application/json' -H X-Signature:\\ 00 -o /dev/null -w '%{http_code}' -m 5",
		"TOKEN=x /usr/bin/curl -k -H \"X-Signature: 00\" -H \"Content-Type: application/json\" -d '{\"a\":\"it'\"'\"'s\"}' https://a.example.com:8443/in?b=c; echo done",
		"curl https://user:pass@a.example.com:8443/in?b=c#part -H 'X-Signature: 00' -H 'Content-Type: application/json' --data-raw $'\\x7b\"a\":\"it\\u0027\\163\"}'",
	} {
		want(t, parse(t, command, nil), plain)
	}
}

func TestCurlDetails(t *testing.T) {
	for _, c := range []struct {
		name, command string
		body          string
		given         []byte
		contentType   string
		method        string
	}{
		{"a form by default", "curl -d a=1 -d b=2 http://a", "a=1&b=2", nil, "application/x-www-form-urlencoded", "POST"},
		{"line breaks in an argument stay", "curl -d 'a\nb' http://a", "a\nb", nil, "application/x-www-form-urlencoded", "POST"},
		{"json", `curl --json '{"a"' --json ':1}' http://a`, `{"a":1}`, nil, "application/json", "POST"},
		{"no type", "curl -H Content-Type: -d a http://a", "a", nil, "", "POST"},
		{"escaped", "curl --data-urlencode 'a=b c&d' --data-urlencode '=e/' http://a", "a=b%20c%26d&e%2F", nil, "application/x-www-form-urlencoded", "POST"},
		{"a raw at sign", "curl --data-raw @a http://a", "@a", nil, "application/x-www-form-urlencoded", "POST"},
		{"a file", "curl --data-binary @event.json http://a", "x\r\ny\n", []byte("x\r\ny\n"), "application/x-www-form-urlencoded", "POST"},
		{"a file without its line breaks", "curl -d @event.json http://a", "xy", []byte("x\r\ny\n"), "application/x-www-form-urlencoded", "POST"},
		{"a body from elsewhere", "curl http://a", "x", []byte("x"), "", "POST"},
		{"another method", "curl -X PUT -d a http://a", "a", nil, "application/x-www-form-urlencoded", "PUT"},
		{"nothing sent", "curl http://a", "", nil, "", "GET"},
		{"the head", "curl -I http://a", "", nil, "", "HEAD"},
		{"a dollar", `curl --data-raw "cost: $ 5" http://a`, "cost: $ 5", nil, "application/x-www-form-urlencoded", "POST"},
		{"an empty body", `curl -d '' http://a`, "", nil, "application/x-www-form-urlencoded", "POST"},
	} {
		got := parse(t, c.command, c.given)
		if string(got.Request.Body) != c.body || got.header("Content-Type") != c.contentType || got.Request.Method != c.method {
			t.Errorf("%s: %+v", c.name, got.Request)
		}
		if stripped := c.name == "a file without its line breaks"; stripped != (got.Unstripped != nil) {
			t.Errorf("%s: unstripped is %q", c.name, got.Unstripped)
		}
	}
	c := parse(t, "curl -G -d a=1 -d b=2 -u me:pw -A agent -e from -b c=d -H Host:\\ other.example.com a.example.com/x?z=0", nil)
	want(t, c, signature.Request{Method: "GET", Scheme: "http", Host: "other.example.com", Path: "/x", Query: "z=0&a=1&b=2", Header: map[string][]string{
		"Authorization": {"Basic bWU6cHc="}, "User-Agent": {"agent"}, "Referer": {"from"}, "Cookie": {"c=d"}}})
}

const logEntry = `{"level":"info","ts":1764000000.25,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1",` +
	`"proto":"HTTP/2.0","method":"PUT","host":"hooks.example.com","uri":"/in?a=1","headers":{"X-Signature":["00"],"X-Two":["1","2"]},` +
	`"tls":{"version":772}},"status":401}`

func TestLog(t *testing.T) {
	r := signature.Request{Method: "PUT", Scheme: "https", Host: "hooks.example.com", Path: "/in", Query: "a=1",
		Header: map[string][]string{"X-Signature": {"00"}, "X-Two": {"1", "2"}}, Body: []byte("body")}
	for _, text := range []string{logEntry, logEntry + "\n", "2025/11/24 16:00:00.000\tINFO\thttp.log.access\thandled request\t" + logEntry[strings.Index(logEntry, `{"level`):]} {
		c := parse(t, text, []byte("body"))
		want(t, c, r)
		if !c.At.Equal(time.Unix(1764000000, 250e6)) {
			t.Errorf("at %v", c.At)
		}
	}
	plain := parse(t, strings.Replace(logEntry, `,"tls":{"version":772}`, "", 1), nil)
	if plain.Request.Scheme != "http" {
		t.Error("a request without TLS is http")
	}
	hidden := parse(t, strings.Replace(logEntry, `["00"]`, `["REDACTED"]`, 1), nil)
	if len(hidden.Notes) != 1 || !strings.Contains(hidden.Notes[0], "X-Signature") {
		t.Errorf("notes %q", hidden.Notes)
	}
}

// Collectors of logs put each line into an object of their own.
func TestCollectedLog(t *testing.T) {
	quoted, err := json.Marshal(logEntry + "\n")
	if err != nil {
		t.Fatal(err)
	}
	wantEntry := parse(t, logEntry, []byte("body"))
	for name, text := range map[string]string{
		"docker's json-file": `{"log":` + string(quoted) + `,"stream":"stderr","time":"2025-11-24T16:00:00.1Z"}`,
		"journalctl -o json": `{"PRIORITY":"6","_HOSTNAME":"web","MESSAGE":` + string(quoted) + `}`,
		"parsed":             `{"insertId":"a","jsonPayload":` + logEntry + `,"labels":{"request":"b"}}`,
		"an odd envelope":    `{"headers":"none","event":{"request":{"headers":"x"}},"log":` + string(quoted) + `}`,
		"docker compose":     "caddy-1  | " + logEntry,
		"journalctl":         "Nov 24 16:00:00 web caddy[1]: " + logEntry,
		"kubernetes":         "2025-11-24T16:00:00.1Z stderr F " + logEntry,
	} {
		c := parse(t, text, []byte("body"))
		want(t, c, wantEntry.Request)
		if !c.At.Equal(wantEntry.At) {
			t.Errorf("%s: at %v", name, c.At)
		}
	}
}

func TestLogTimes(t *testing.T) {
	for text, at := range map[string]int64{
		`1764000000`: 1764000000, `1764000000000`: 1764000000, `"2025-11-24T16:00:00Z"`: 1764000000, `"2025-11-24T16:00:00.000Z"`: 1764000000,
		`"2025/11/24 16:00:00"`: 1764000000, `"soon"`: 0, `-1`: 0, `{}`: 0, `1e300`: 0,
	} {
		c := parse(t, strings.Replace(logEntry, "1764000000.25", text, 1), nil)
		if at == 0 != c.At.IsZero() || at != 0 && c.At.Unix() != at {
			t.Errorf("%s: %v", text, c.At)
		}
	}
}

// What curl -v prints is the head of the request, among other lines.
func TestVerboseCurl(t *testing.T) {
	text := "Note: Unnecessary use of -X or --request, POST is already inferred.\n*   Trying 127.0.0.1:443...\n} [5 bytes data]\n" +
		"> POST /in?a=1%2F2 HTTP/2\n> Host: hooks.example.com\n> x-signature: sha256=00\n> X-Two: 1\n> X-Two: 2\n> Content-Length: 7\n> \n" +
		"* upload completely sent off\n< HTTP/2 401\n< webhook-guard: signature_invalid\n<\n{\"a\":2}\n"
	r := asHTTP
	r.Header = maps.Clone(r.Header)
	r.Header["Content-Length"] = []string{"7"}
	for _, text := range []string{text, strings.ReplaceAll(text, "\n", "\r\n"), strings.ReplaceAll(text, "> \n", ">\n")} {
		c := parse(t, text, asHTTP.Body)
		want(t, c, r)
		if c.Form != FormVerbose || c.NoBody {
			t.Errorf("%s, no body: %v", c.Form, c.NoBody)
		}
		if c := parse(t, text, nil); !c.NoBody || len(c.Request.Body) > 0 {
			t.Errorf("body %q", c.Request.Body)
		}
	}
	if c := parse(t, "> POST / HTTP/1.1\n> Content-Length: 0\n>\n", nil); c.NoBody {
		t.Error("an empty body is a body")
	}
	if _, err := Parse([]byte(text+text), nil); err == nil || !strings.Contains(err.Error(), "several") {
		t.Errorf("two requests: %v", err)
	}
}

func TestBareHeaders(t *testing.T) {
	r := signature.Request{Method: "POST", Scheme: "http", Host: "a.example.com", Path: "/", Header: map[string][]string{"X-Signature": {"00"}}}
	for _, text := range []string{
		`{"X-Signature":["00"],"Host":["a.example.com"]}`, `{"x-signature":"00","host":"a.example.com"}`, `{"headers":{"X-Signature":"00","Host":"a.example.com"}}`,
	} {
		want(t, parse(t, text, nil), r)
	}
	r.Body = []byte(`{"a":1}`)
	c := parse(t, `{"httpMethod":"POST","headers":{"X-Signature":"00","Host":"a.example.com"},"body":"{\"a\":1}"}`, nil)
	if want(t, c, r); c.NoBody {
		t.Error("the body beside the headers is not seen")
	}
}

// An event of an inbox is a capture as the command line shows or exports it.
func TestEventOfAnInbox(t *testing.T) {
	const event = `{"key":"LUwqAT9ynpTTHsaZcBWZ9w","accepted":"2026-11-29T20:59:48.5Z","attempts":1,"request":{"method":"POST","uri":"/in?a=1%2F2","scheme":"https",` +
		`"host":"hooks.example.com","remote_addr":"127.0.0.1:1","header":{"X-Signature":["sha256=00"],"X-Two":["1","2"]},"body":"eyJhIjoxfQ=="}}`
	c := parse(t, event, nil)
	r := asHTTP
	r.Scheme = "https"
	want(t, c, r)
	if c.Form != FormEvent || c.NoBody || c.At.Unix() != 1795985988 {
		t.Errorf("%s, no body: %v, at %v", c.Form, c.NoBody, c.At)
	}
}

// What cannot be read is refused in words, and nothing of it is quoted.
func TestErrors(t *testing.T) {
	const canary = "canary-7d1f"
	for text, words := range map[string]string{
		"":                          "empty",
		" \n":                       "empty",
		"\xff\xfeP\x00O\x00":        "UTF-16",
		"\xfe\xff\x00P\x00O":        "UTF-16",
		canary:                      "no capture",
		"GET " + canary:             "no capture",
		"curl -d " + canary:         "no URL",
		"curl 'http://a/" + canary:  "quote",
		"curl \"http://a/" + canary: "quote",
		"curl -H 'X-Token: '\"$TOKEN\" http://a/" + canary:      "variable",
		"curl -d `cat " + canary + "` http://a":                 "variable",
		"curl -d \"$(cat " + canary + ")\" http://a":            "variable",
		"curl -d @" + canary + " http://a":                      "--body",
		"curl --data-urlencode a@" + canary + " http://a":       "file",
		"curl -H @" + canary + " http://a":                      "file",
		"curl -F a=" + canary + " http://a":                     "multipart",
		"curl -H " + canary + " http://a":                       "colon",
		"curl -H '{" + canary + "\": 1' http://a":               "name",
		"curl http://a -H":                                      "lacks",
		"curl http://a --data":                                  "lacks",
		"curl \"http://a/\" ^\r\n  -H \"A: " + canary + "\"":    "Windows",
		"curl ^\"http://a/^\" -d ^\"" + canary + "^^^\"":        "Windows",
		"curl https:///" + canary:                               "host",
		"curl 'http://a/%zz" + canary + "'":                     "URL",
		"POST / HTTP/1.1\nHost: a\n" + canary + "\n":            "blank line",
		"POST / HTTP/1.1\nHost: a\n{\"" + canary + "\": 1}\n":   "blank line",
		"POST / HTTP/1.1\n " + canary + "\n":                    "blank",
		"POST /%zz" + canary + " HTTP/1.1\n\n":                  "URL",
		`{"` + canary:                                           "JSON",
		`{"` + canary + `":{}}`:                                 "object of headers",
		`{"` + canary + `":5}`:                                  "object of headers",
		`{}`:                                                    "neither",
		`{"X-A":"` + canary + `"}` + "\n" + `{"X-A":"b"}`:       "several",
		`{"X ` + canary + `":"b"}`:                              "name",
		`{"request":{"method":"` + canary + `"}}`:               "no headers",
		`{"request":{"header":{"X-A":["` + canary + `"]}}}`:     "--body",
		`{"request":{"uri":"/%zz` + canary + `","method":"a"}}`: "URL",
	} {
		_, err := Parse([]byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: got %v, want something of %q", text, err, words)
		}
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("%q: the error quotes it: %v", text, err)
		}
	}
	if _, err := Parse([]byte("hello"), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestFoldedHeader(t *testing.T) {
	c := parse(t, "POST / HTTP/1.1\nHost: a\nX-Signature: t=1,\n  v1=2\n\n", nil)
	if got := c.header("X-Signature"); got != "t=1, v1=2" {
		t.Errorf("got %q", got)
	}
}

// FuzzParse: nothing panics, and what parses has a path and names that are
// names.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		rawHTTP, logEntry, `{"X-Signature":"00"}`, "curl -d 'a' -H \"b: $'c'\" http://a/b?c#d", "curl $'\\x41\\u00e9\\101' \\\n a", "A: b\n\nc",
		"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n", "curl -sXPOST --json {} a", "x {\"request\":{}}",
		`"request"`, "curl A://", "> POST /a HTTP/1.1\n> A: b\n>\n< HTTP/1.1 200 OK",
	} {
		f.Add([]byte(text), []byte(nil))
		f.Add([]byte(text), []byte("body\n"))
	}
	f.Fuzz(func(t *testing.T, text, body []byte) {
		c, err := Parse(text, body)
		if err != nil {
			return
		}
		if !strings.HasPrefix(c.Request.Path, "/") && c.Request.Path != "*" {
			t.Fatalf("path %q", c.Request.Path)
		}
		for name := range c.Request.Header {
			if !httpguts.ValidHeaderFieldName(name) || name == "Host" {
				t.Fatalf("header %q", name)
			}
		}
	})
}

// The body is where log_append puts it, as text or in base64.
func TestLoggedBodies(t *testing.T) {
	const head = `{"ts":1764000000.5,"msg":"handled request","request":{"method":"POST","uri":"/in","headers":{"Content-Length":["7"]}},"status":401`
	for _, c := range []struct {
		fields, body string
		none         bool
		notes        int
	}{
		{`,"body":"{\"a\":1}"`, `{"a":1}`, false, 0},
		{`,"request_body":"{\"a\":1}"`, `{"a":1}`, false, 0},
		{`,"body":"eyJhIjoxfQ=="`, `{"a":1}`, false, 0},
		{`,"body_base64":"eyJhIjoxfQ=="`, `{"a":1}`, false, 0},
		{`,"body_base64":"ZQ=="`, "e", false, 0},
		{`,"body":"ZQ=="`, "ZQ==", false, 0}, // not as long as the request says
		{`,"body":"{\"a\":1}","body":""`, `{"a":1}`, false, 0},
		{`,"body":""`, "", false, 0},
		{`,"body":"a\ufffdb"`, "a\ufffdb", false, 1},
		{`,"body":{"a":1}`, "", true, 0},
		{"", "", true, 0},
	} {
		got := parse(t, head+c.fields+"}", nil)
		if string(got.Request.Body) != c.body || got.NoBody != c.none || len(got.Notes) != c.notes {
			t.Errorf("%s: %q, none %v, notes %q", c.fields, got.Request.Body, got.NoBody, got.Notes)
		}
	}
	if got := parse(t, head+"}", []byte("given")); got.NoBody || string(got.Request.Body) != "given" {
		t.Errorf("a body that is given: %+v", got)
	}
}
