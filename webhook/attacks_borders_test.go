package webhook

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// A moved is a request in which a character was moved from one signed value into the next.
type moved struct {
	what    string
	request signature.Request
}

var placeholders = regexp.MustCompile(`\{([^{}|]+)[^{}]*\}`)

// place gets and sets what a placeholder of an entry stands for.
type place struct {
	get func(*signature.Request) (string, bool)
	set func(*signature.Request, string)
}

func placeOf(p config.Provider, name string) (place, bool) {
	switch {
	case name == "timestamp" && p.Timestamp != nil:
		return placeOfSource(p, p.Timestamp.Source, "{timestamp}")
	case name == "id" && len(p.ID) == 1:
		return placeOfSource(p, p.ID[0], "{id}")
	case name == "nonce":
		return placeOfSource(p, signature.Source{Kind: signature.SourceSignature}, "{nonce}")
	case name == "body":
		return place{func(r *signature.Request) (string, bool) { return string(r.Body), true }, func(r *signature.Request, text string) { r.Body = []byte(text) }}, true
	case name == "path":
		return place{func(r *signature.Request) (string, bool) { return r.Path, true }, func(r *signature.Request, text string) { r.Path = text }}, true
	case name == "query" || name == "url" || name == "uri": // its end
		return place{func(r *signature.Request) (string, bool) { return r.Query, r.Query != "" }, func(r *signature.Request, text string) { r.Query = text }}, true
	}
	kind, rest, ok := strings.Cut(name, ".")
	if !ok {
		return place{}, false
	}
	return placeOfSource(p, signature.Source{Kind: signature.Kind(kind), Name: rest}, "")
}

func placeOfSource(p config.Provider, source signature.Source, part string) (place, bool) {
	switch source.Kind {
	case signature.SourceHeader:
		name := http.CanonicalHeaderKey(source.Name)
		return place{
			func(r *signature.Request) (string, bool) {
				v := r.Header[name]
				return strings.Join(v, ""), len(v) == 1
			},
			func(r *signature.Request, text string) { r.Header[name] = []string{text} },
		}, true
	case signature.SourceBody:
		path := source.Name
		if p.Items != "" {
			path = p.Items + ".0." + path
		}
		return place{
			func(r *signature.Request) (string, bool) {
				v := gjson.GetBytes(r.Body, path)
				return v.String(), v.Exists()
			},
			func(r *signature.Request, text string) { r.Body, _ = sjson.SetBytes(r.Body, path, text) },
		}, true
	case signature.SourceFormJSON:
		field, path, _ := strings.Cut(source.Name, ".")
		return place{
			func(r *signature.Request) (string, bool) {
				form, _ := url.ParseQuery(string(r.Body))
				return gjson.Get(form.Get(field), path).String(), form.Has(field)
			},
			func(r *signature.Request, text string) {
				form, _ := url.ParseQuery(string(r.Body))
				changed, _ := sjson.Set(form.Get(field), path, text)
				form.Set(field, changed)
				r.Body = []byte(form.Encode())
			},
		}, true
	case signature.SourceSignature: // a part of the header, as t= in t=…,v1=…
		line := p.Signature[0]
		before, _, ok := strings.Cut(line.Format, part)
		if !ok {
			return place{}, false
		}
		key := before[strings.LastIndexAny(before, ",;& ")+1:]
		value := regexp.MustCompile(`(^|[,; ])` + regexp.QuoteMeta(key) + `([^,; ]+)`)
		name := http.CanonicalHeaderKey(line.Header)
		return place{
			func(r *signature.Request) (string, bool) {
				m := value.FindStringSubmatch(strings.Join(r.Header[name], ""))
				if m == nil {
					return "", false
				}
				return m[2], true
			},
			func(r *signature.Request, text string) {
				r.Header[name] = []string{value.ReplaceAllString(r.Header[name][0], "${1}"+key+text)}
			},
		}, true
	}
	return place{}, false
}

// movesOf are the requests with one to four characters moved over each border of the entry's
// templates, both ways. With a text between the values, it takes the moved ones' place.
func movesOf(t *testing.T, p config.Provider, r signature.Request) (all []moved, borders int) {
	t.Helper()
	for _, template := range p.Signed {
		found := placeholders.FindAllStringSubmatchIndex(template, -1)
		for i := 1; i < len(found); i++ {
			left, right := template[found[i-1][2]:found[i-1][3]], template[found[i][2]:found[i][3]]
			between := template[found[i-1][1]:found[i][0]]
			if between != "" || strings.Contains(template[found[i-1][0]:found[i-1][1]], "sha256") || left == "secret" || right == "secret" {
				continue
			}
			borders++
			a, okA := placeOf(p, left)
			b, okB := placeOf(p, right)
			if !okA || !okB {
				continue // constants, the method, and what has no value of its own
			}
			for n := 1; n <= 4; n++ {
				for _, back := range []bool{false, true} {
					other := r
					other.Header = maps.Clone(r.Header)
					before, ok1 := a.get(&other)
					after, ok2 := b.get(&other)
					if !ok1 || !ok2 || !back && len(before) < n || back && len(after) < n {
						continue
					}
					if back {
						before, after = before+after[:n], after[n:]
					} else {
						before, after = before[:len(before)-n], before[len(before)-n:]+after
					}
					a.set(&other, before)
					b.set(&other, after)
					all = append(all, moved{fmt.Sprintf("%d over {%s}{%s}, back: %t", n, left, right, back), other})
				}
			}
		}
	}
	return all, borders
}

// A character that is moved over a border changes no byte under the MAC. No such request is
// forwarded once the event is known, and none under a new ID alone. Before it is known, one
// is only where the entry says that the border is open.
func TestAMovedBorderIsNoOtherEvent(t *testing.T) {
	now := time.Now()
	tried, accepted, borders := 0, 0, 0
	for _, name := range config.Builtin().Names() {
		p := config.Builtin()[name].WithParams()
		for _, query := range []string{"a=1", ""} {
			s := send(t, name, now)
			if !s.sender.Rules.Scheme.Signed() {
				continue
			}
			key := s.secrets[0].Key
			s.request.Query = query
			if err := s.sender.Rules.Scheme.Sign(s.request, key, now, "msg_1"); err != nil {
				continue // signed in its body once
			}
			first, refused := s.judge(now)
			if refused != nil {
				t.Errorf("%s: %v", name, refused)
				continue
			}
			open := s.sender.Rules.Recognition().Opening.Borders
			requests, n := movesOf(t, p, *s.request)
			borders += n
			for _, m := range requests {
				tried++
				event, refused := s.sender.Judge(m.request, m.request.Body, Fixed{s.secrets, "scope"}, now)
				if refused != nil {
					continue
				}
				accepted++
				if len(open) == 0 {
					t.Errorf("%s, %s: verified, and no border is said to be open", name, m.what)
				}
				if !shareAKey(first, event) {
					t.Errorf("%s, %s: forwarded again, as %q", name, m.what, event.ID)
				}
				if first.Keys.Content != event.Keys.Content || event.Keys.Content.IsZero() {
					t.Errorf("%s, %s: is not known by what is signed", name, m.what)
				}
			}
		}
	}
	if borders < 50 || tried < 150 || accepted < 10 {
		t.Errorf("%d borders, %d requests, %d of them accepted", borders, tried, accepted)
	}
}

// The forms of Twilio and Mandrill have borders between names and values.
func TestAMovedBorderInAFormIsNoOtherEvent(t *testing.T) {
	const voice = "https://hooks.example.com/voice"
	for name, tc := range map[string]struct {
		provider string
		genuine  signature.Request
		moved    []signature.Request
	}{
		"a message": {"twilio", twilio(voice, "AccountSid=AC1&Body=hi&MessageSid=SM1&SmsStatus=received", "AccountSid=AC1&Body=hi&MessageSid=SM1&SmsStatus=received", "t1"),
			moreTokens("t9", "AccountSid=AC1&Body=hi&MessageSidS=M1&SmsStatus=received", "AccountSid=AC1&Body=hi&MessageSid=SM1S&msStatus=received",
				"AccountSid=AC1&Body=hi&MessageSi=dSM1&SmsStatus=received", "AccountSid=AC1Body&hi=&MessageSid=SM1SmsStatusreceived", "AccountSid=AC1BodyhiMessageSidSM1SmsStatusreceived")},
		"a batch": {"mandrill", mandrill(`[{"event":"open"}]`, "mandrill_events="+url.QueryEscape(`[{"event":"open"}]`)),
			[]signature.Request{form("mandrill_event=" + url.QueryEscape(`s[{"event":"open"}]`)), form(url.QueryEscape("mandrill_events[") + "=" + url.QueryEscape(`{"event":"open"}]`))}},
	} {
		t.Run(name, func(t *testing.T) {
			s, tenant := builtin(t, tc.provider)
			first, refused := s.Judge(tc.genuine, tc.genuine.Body, tenant, time.Now())
			if refused != nil {
				t.Fatal(refused)
			}
			accepted := 0
			for _, r := range tc.moved {
				header := maps.Clone(tc.genuine.Header)
				maps.Copy(header, r.Header)
				r.Header, r.Path, r.Query, r.Host, r.Scheme = header, tc.genuine.Path, tc.genuine.Query, tc.genuine.Host, tc.genuine.Scheme
				event, refused := s.Judge(r, r.Body, tenant, time.Now())
				if refused != nil {
					continue
				}
				accepted++
				if !shareAKey(first, event) {
					t.Errorf("%s is forwarded again, as %q", r.Body, event.ID)
				}
			}
			if accepted == 0 {
				t.Error("none of them has the same MAC")
			}
			if said := s.Rules.Recognition().StaysOpen; !strings.Contains(said, "characters moved between") {
				t.Errorf("stays open: %q", said)
			}
			if s.Rules.IDSigned() {
				t.Error("the ID counts as signed")
			}
		})
	}
}

func moreTokens(token string, bodies ...string) (all []signature.Request) {
	for i, body := range bodies {
		all = append(all, form(body, "I-Twilio-Idempotency-Token", fmt.Sprint(token, i)))
	}
	return all
}
