package webhook

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// urlSender signs a request as a sender documents it, from the URL that is registered
// with it and nothing else.
type urlSender struct {
	body, contentType string
	sign              func(registered, body string, now time.Time) map[string]string
}

const urlSecret = "my_auth_token"

func macOf(h func() hash.Hash, text string) string {
	m := hmac.New(h, []byte(urlSecret))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func sha256Hex(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

const formType, jsonType = "application/x-www-form-urlencoded", "application/json"

var urlSenders = map[string]urlSender{
	"twilio": {"MessageSid=SM1&SmsStatus=sent", formType, func(registered, _ string, _ time.Time) map[string]string {
		return map[string]string{"X-Twilio-Signature": macOf(sha1.New, registered+"MessageSidSM1SmsStatussent"), "I-Twilio-Idempotency-Token": "1"}
	}},
	"mandrill": {"mandrill_events=%5B%5D", formType, func(registered, _ string, _ time.Time) map[string]string {
		return map[string]string{"X-Mandrill-Signature": macOf(sha1.New, registered+"mandrill_events[]")}
	}},
	"square": {`{"event_id":"e1","type":"t"}`, jsonType, func(registered, body string, _ time.Time) map[string]string {
		return map[string]string{"x-square-hmacsha256-signature": macOf(sha256.New, registered+body)}
	}},
	"trello": {`{"action":{"id":"a1","type":"t"}}`, jsonType, func(registered, body string, _ time.Time) map[string]string {
		return map[string]string{"x-trello-webhook": macOf(sha1.New, body+registered)}
	}},
	"favro": {`{"payloadId":"p1","action":"a"}`, jsonType, func(registered, _ string, _ time.Time) map[string]string {
		return map[string]string{"X-Favro-Webhook": macOf(sha1.New, "p1"+registered)}
	}},
	"hubspot-v2": {`[{"eventId":1}]`, jsonType, func(registered, body string, _ time.Time) map[string]string {
		return map[string]string{"X-HubSpot-Signature": sha256Hex(urlSecret + "POST" + registered + body)}
	}},
	"hubspot-v3": {`[{"eventId":1,"subscriptionId":2,"occurredAt":3}]`, jsonType, func(registered, body string, now time.Time) map[string]string {
		stamp := strconv.FormatInt(now.UnixMilli(), 10)
		return map[string]string{"X-HubSpot-Signature-v3": macOf(sha256.New, "POST"+registered+body+stamp), "X-HubSpot-Request-Timestamp": stamp}
	}},
	"plivo-v2": {"CallUUID=c1", formType, func(registered, _ string, _ time.Time) map[string]string {
		base, _, _ := strings.Cut(registered, "#")
		base, _, _ = strings.Cut(base, "?") // urlunparse((scheme, netloc, path, '', '', ''))
		return map[string]string{"X-Plivo-Signature-V2": macOf(sha256.New, base+"12345"), "X-Plivo-Signature-V2-Nonce": "12345"}
	}},
	"messagebird": {`{"a":1}`, jsonType, func(registered, body string, now time.Time) map[string]string {
		part := base64.RawURLEncoding.EncodeToString
		token := part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + part([]byte(fmt.Sprintf(
			`{"iss":"MessageBird","nbf":%d,"exp":%d,"jti":"j1","url_hash":"%s","payload_hash":"%s"}`,
			now.Unix(), now.Unix()+60, sha256Hex(registered), sha256Hex(body))))
		mac, _ := base64.StdEncoding.DecodeString(macOf(sha256.New, token))
		return map[string]string{"MessageBird-Signature-JWT": token + "." + part(mac)}
	}},
	"contentful": {`{"sys":{}}`, jsonType, func(registered, body string, now time.Time) map[string]string {
		parsed, _ := url.Parse(registered)
		path := parsed.EscapedPath()
		if parsed.RawQuery != "" { // querystring.escape, then encodeURI
			path += "?" + strings.ReplaceAll(url.QueryEscape(parsed.RawQuery), "%", "%25")
		}
		stamp, names := strconv.FormatInt(now.UnixMilli(), 10), "host,x-contentful-signed-headers,x-contentful-timestamp"
		text := "POST\n" + path + "\nhost:" + parsed.Host + ";x-contentful-signed-headers:" + names + ";x-contentful-timestamp:" + stamp + "\n" + body
		mac, _ := base64.StdEncoding.DecodeString(macOf(sha256.New, text))
		return map[string]string{"x-contentful-signature": hex.EncodeToString(mac), "x-contentful-signed-headers": names,
			"x-contentful-timestamp": stamp, "X-Contentful-Idempotency-Key": "k1"}
	}},
	"walmart-marketplace": {`{"a":1}`, jsonType, func(registered, body string, now time.Time) map[string]string {
		stamp := strconv.FormatInt(now.Unix(), 10)
		registered, _, _ = strings.Cut(registered, "#")
		_, uri, _ := strings.Cut(registered, "://")
		uri = uri[strings.IndexAny(uri+"/", "/?"):]
		return map[string]string{"WM_SEC.SIGNATURE": macOf(sha256.New, "POST\n"+uri+"\n"+stamp+"\n"+sha256Hex(body)), "WM_SEC.TIMESTAMP": stamp}
	}},
}

// asks is a request for a URL, signed with another spelling of it.
func (s urlSender) asks(t *testing.T, asked, registered string, now time.Time) signature.Request {
	t.Helper()
	scheme, rest, _ := strings.Cut(asked, "://")
	host, path, _ := strings.Cut(rest, "/")
	path, query, _ := strings.Cut("/"+path, "?")
	header := http.Header{}
	header.Set("Content-Type", s.contentType)
	for name, value := range s.sign(registered, s.body, now) {
		header.Set(name, value)
	}
	return signature.Request{Method: "POST", Scheme: scheme, Host: host, Path: path, Query: query, Header: header, Body: []byte(s.body)}
}

// judgeURL judges a request at a guard of the entry with this public_url.
func judgeURL(t *testing.T, name, public string, r signature.Request, now time.Time) (Event, *Refusal) {
	t.Helper()
	p := config.Builtin()[name].WithParams()
	p.PublicURL = public
	s, err := New(name, p)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.NewKey(urlSecret)
	if err != nil {
		t.Fatal(err)
	}
	return s.Judge(r, r.Body, Fixed{Keys: []signature.Secret{{Key: key}}, Namespace: name}, now)
}

// Every entry that signs the URL is tested: a new one needs its sender here.
func TestEveryEntryThatSignsTheURLIsTried(t *testing.T) {
	for _, name := range config.Builtin().Names() {
		s, err := New(name, config.Builtin()[name].WithParams())
		if err != nil {
			t.Fatal(err)
		}
		if _, tried := urlSenders[name]; s.Rules.Scheme.Reads().URL != tried {
			t.Errorf("%s signs the URL: %v, and its sender is here: %v", name, !tried, tried)
		}
	}
}

// One registered URL can be written in several ways, and the request does not say which
// of them the sender signed.
func TestURLsAreSignedAsTheyWereRegistered(t *testing.T) {
	for name, tc := range map[string]struct{ asked, registered, public string }{
		"as it is":                           {"https://h.example/in", "https://h.example/in", ""},
		"a ? alone":                          {"https://h.example/in?", "https://h.example/in?", ""},
		"a ? that the client leaves out":     {"https://h.example/in", "https://h.example/in?", ""},
		"a ? that the client adds":           {"https://h.example/in?", "https://h.example/in", ""},
		"a ? alone, of the host":             {"https://h.example/?", "https://h.example?", ""},
		"a ? alone, in another spelling":     {"https://h.example/in", "https://h.example:443/in?#x", "https://h.example/in#x"},
		"the request's query":                {"https://h.example/in?order=1&bodySHA256=", "https://h.example/in?order=1&bodySHA256=", "https://h.example/in"},
		"the request's query, not public's":  {"https://h.example/in?order=1", "https://h.example/in?order=1", "https://h.example/in?order=2"},
		"the request's empty query":          {"https://h.example/in", "https://h.example/in", "https://h.example/in?order=2"},
		"another path":                       {"http://10.0.0.1:8080/in?a=%20b+c", "https://h.example/hooks/in?a=%20b+c", "https://h.example/hooks/in"},
		"only the host":                      {"http://10.0.0.1:8080/in?a=1", "https://h.example/in?a=1", "https://h.example"},
		"only the host, with a slash":        {"http://10.0.0.1:8080/in?a=1", "https://h.example/in?a=1", "https://h.example/"},
		"a slash at the end":                 {"http://10.0.0.1:8080/in", "https://h.example/in/", "https://h.example/in/"},
		"port in the request":                {"https://h.example:443/in", "https://h.example/in", ""},
		"port in the registered URL":         {"https://h.example/in", "https://h.example:443/in", ""},
		"port 80 in the request":             {"http://h.example:80/in", "http://h.example/in", ""},
		"port 80 in the registered URL":      {"http://h.example/in", "http://h.example:80/in", ""},
		"port in public_url":                 {"http://10.0.0.1/in", "https://h.example/in", "https://h.example:443"},
		"port left out of public_url":        {"http://10.0.0.1/in", "https://h.example:443/in", "https://h.example"},
		"another port":                       {"https://h.example:8443/in", "https://h.example:8443/in", ""},
		"no path":                            {"https://h.example/", "https://h.example", ""},
		"no path, in public_url":             {"http://10.0.0.1/", "https://h.example", "https://h.example"},
		"no path, a slash in public_url":     {"http://10.0.0.1/", "https://h.example", "https://h.example/"},
		"a slash, no path in public_url":     {"http://10.0.0.1/", "https://h.example/", "https://h.example"},
		"no path, but a query":               {"https://h.example/?a=1", "https://h.example?a=1", ""},
		"no path and a port":                 {"https://h.example/", "https://h.example:443", ""},
		"credentials":                        {"http://10.0.0.1/in", "https://user:p%40ss@h.example/in", "https://user:p%40ss@h.example/in"},
		"credentials, no path":               {"http://10.0.0.1/", "https://user:pass@h.example", "https://user:pass@h.example"},
		"credentials and a port":             {"http://10.0.0.1/in?a=1", "https://user:pass@h.example:443/in?a=1", "https://user:pass@h.example"},
		"only a user":                        {"http://10.0.0.1/in", "https://user@h.example/in", "https://user@h.example/in"},
		"credentials that are not signed":    {"http://10.0.0.1/in", "https://h.example/in", "https://user:pass@h.example/in"},
		"a fragment that is not signed":      {"http://10.0.0.1/in?a=1", "https://h.example/in?a=1", "https://h.example/in#rc=2&rp=all"},
		"a fragment that is signed":          {"http://10.0.0.1/in?a=1", "https://h.example/in?a=1#x", "https://h.example/in#x"},
		"upper case in public_url":           {"http://10.0.0.1/in", "https://H.Example/in", "https://H.Example/in"},
		"upper case in public_url alone":     {"http://10.0.0.1/in", "https://h.example/in", "https://H.Example/in"},
		"upper case in the request":          {"https://H.EXAMPLE/in", "https://h.example/in", ""},
		"upper case and a port":              {"https://H.EXAMPLE:443/in", "https://h.example/in", ""},
		"upper case in both":                 {"https://H.Example:443/in", "https://H.Example/in", ""},
		"upper case registered":              {"https://h.example/in", "https://H.Example:443/in", "https://H.Example/in"},
		"upper case registered, no path":     {"https://h.example/?a=1", "https://H.Example?a=1", "https://H.Example"},
		"a scheme in upper case":             {"http://10.0.0.1/in", "HTTPS://h.example/in", "HTTPS://h.example/in"},
		"a scheme in upper case, and a port": {"http://10.0.0.1/in", "Http://H.Example:80/in", "Http://H.Example/in"},
		"a scheme in upper case alone":       {"http://10.0.0.1/in", "https://h.example/in", "HTTPS://h.example/in"},
		"letters that are not ASCII":         {"https://xn--bcher-kva.example/in", "https://bücher.example/in", ""},
		"not ASCII, in public_url":           {"http://10.0.0.1/in", "https://xn--bcher-kva.example:443/in", "https://Bücher.example/in"},
		"not ASCII, upper case and a port":   {"https://XN--bcher-kva.example:443/in", "https://bücher.example/in", ""},
		"not ASCII, registered as sent":      {"https://xn--bcher-kva.example/in", "https://xn--bcher-kva.example/in", ""},
		"IPv6":                               {"https://[2001:db8::1]/in", "https://[2001:db8::1]:443/in", ""},
		"IPv6 with a port in the request":    {"https://[2001:db8::1]:443/in", "https://[2001:db8::1]/in", ""},
		"IPv6 with another port in the URLs": {"https://[2001:db8::1]:8443/in", "https://[2001:db8::1]:8443/in", ""},
	} {
		for entry, sender := range urlSenders {
			if entry == "contentful" && strings.Contains(tc.registered, "@") {
				continue // signs the Host header, which has no credentials
			}
			t.Run(entry+", "+name, func(t *testing.T) {
				now := time.Now()
				r := sender.asks(t, tc.asked, tc.registered, now)
				if entry == "twilio" && strings.Contains(tc.asked, "bodySHA256=") {
					sum := sha256Hex(sender.body)
					r = sender.asks(t, tc.asked+sum, tc.registered+sum, now)
				}
				if _, refused := judgeURL(t, entry, tc.public, r, now); refused != nil {
					t.Errorf("%s for %s, with public_url %q: %v: %v", tc.asked, tc.registered, tc.public, refused.Result, refused.Cause)
				}
			})
		}
	}
}

// Different URLs stay different.
func TestAnotherURLIsNotTheOneThatWasSigned(t *testing.T) {
	for name, tc := range map[string]struct{ asked, registered, public string }{
		"another host":            {"https://h.example/in", "https://g.example/in", ""},
		"a host like it":          {"https://xn--bcher-kva.example/in", "https://bucher.example/in", ""},
		"another path's case":     {"https://h.example/in", "https://h.example/IN", ""},
		"another scheme":          {"https://h.example/in", "http://h.example/in", ""},
		"the other scheme's port": {"https://h.example/in", "https://h.example:80/in", ""},
		"another port":            {"https://h.example/in", "https://h.example:8443/in", ""},
		"another path":            {"https://h.example/in", "https://h.example/in2", ""},
		"a slash at the end":      {"https://h.example/in", "https://h.example/in/", ""},
		"another query":           {"https://h.example/in?a=1", "https://h.example/in?a=2", ""},
		"the query of public_url": {"https://h.example/in?a=1", "https://h.example/in?a=2", "https://h.example/in?a=2"},
		"other credentials":       {"https://h.example/in", "https://user:other@h.example/in", "https://user:pass@h.example/in"},
	} {
		for entry, sender := range urlSenders {
			unsigned := map[string][]string{
				"plivo-v2":            {"another query", "the query of public_url"},
				"contentful":          {"another scheme", "other credentials"},
				"walmart-marketplace": {"another scheme", "other credentials", "another host", "a host like it", "another port", "the other scheme's port"},
			}[entry]
			if strings.Contains(","+strings.Join(unsigned, ",")+",", ","+name+",") {
				continue
			}
			t.Run(entry+", "+name, func(t *testing.T) {
				now := time.Now()
				_, refused := judgeURL(t, entry, tc.public, sender.asks(t, tc.asked, tc.registered, now), now)
				if refused == nil || refused.Result != SignatureInvalid {
					t.Errorf("%s for %s, with public_url %q: %v, want signature_invalid", tc.asked, tc.registered, tc.public, refused)
				}
			})
		}
	}
}

// Whoever sends a captured request again can write the host in another way, and the keys
// stay the same: they are those of the URL that was signed.
func TestKeysAreThoseOfTheURLThatWasSigned(t *testing.T) {
	for entry, sender := range urlSenders {
		now := time.Now()
		var want Event
		for i, asked := range []string{"https://h.example/", "https://h.example:443/", "https://H.EXAMPLE/", "https://H.example:443/", "https://h.example/?"} {
			event, refused := judgeURL(t, entry, "", sender.asks(t, asked, "https://h.example/", now), now)
			if refused != nil {
				t.Errorf("%s, %s: %v", entry, asked, refused.Cause)
				continue
			}
			if i == 0 {
				want = event
			}
			if event.Keys != want.Keys {
				t.Errorf("%s: %s has other keys", entry, asked)
			}
		}
	}
}

// The vector of Plivo's documentation is of a URL without a path.
func TestPlivoSignsAURLWithoutAPath(t *testing.T) {
	r := signature.Request{Method: "POST", Scheme: "https", Host: "answer.url", Path: "/", Header: map[string][]string{
		"X-Plivo-Signature-V2": {"ehV3IKhLysWBxC1sy8INm0qGoQYdYsHwuoKjsX7FsXc="}, "X-Plivo-Signature-V2-Nonce": {"12345"},
	}}
	for _, public := range []string{"", "https://answer.url", "https://answer.url/", "https://answer.url:443"} {
		if _, refused := judgeURL(t, "plivo-v2", public, r, time.Now()); refused != nil {
			t.Errorf("public_url %q: %v", public, refused.Cause)
		}
	}
}
