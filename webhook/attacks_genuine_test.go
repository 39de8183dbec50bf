package webhook

import (
	"encoding/base64"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/sjson"
	"gopkg.in/yaml.v3"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// genuine is a request of a sender that somebody has captured.
type genuine struct {
	name    string
	sender  *Sender
	secrets []signature.Secret
	now     time.Time
	request signature.Request
	event   Event
}

func (g *genuine) judge(r signature.Request) (Event, *Refusal) {
	return g.sender.Judge(r, r.Body, Fixed{g.secrets, "scope"}, g.now)
}

func (g *genuine) scheme() *signature.Scheme { return g.sender.Rules.Scheme }

// genuineOf makes the requests of an entry: its sample, signed as its lines say, and those
// that official code signed.
func genuineOf(t *testing.T, name string, p config.Provider) []*genuine {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	s := sendAs(t, name, p.WithParams(), now)
	if !s.sender.Rules.Scheme.Signed() {
		return nil // whoever has the token can send anything
	}
	all := []*genuine{{name: "sample", sender: s.sender, secrets: s.secrets, now: now, request: *s.request}}
	if slices.Contains(s.sender.Rules.Methods, "GET") {
		get := sentAs(t, name, p.WithParams(), wire{id: "0123456789abcdef", at: now, change: func(r *signature.Request) {
			r.Method, r.Query, r.Body = "GET", "a=1&MessageSid=SM1&SmsStatus=sent", nil
			delete(r.Header, "Content-Type")
		}})
		all = append(all, &genuine{name: "GET", sender: get.sender, secrets: get.secrets, now: now, request: *get.request})
	}
	if p.OptionalID {
		less := sentAs(t, name, p.WithParams(), wire{id: "0123456789abcdef", at: now, change: func(r *signature.Request) {
			for _, source := range p.ID {
				if source.Kind == signature.SourceBody {
					r.Body, _ = sjson.DeleteBytes(r.Body, source.Name)
				}
			}
		}})
		all = append(all, &genuine{name: "without its ID", sender: less.sender, secrets: less.secrets, now: now, request: *less.request})
	}
	all = append(all, signedHere(t, name, s.sender, now)...)
	made := len(all)
	all = append(all, recorded(t, name, s.sender)...)
	for i, g := range all {
		event, refused := g.judge(g.request)
		if refused != nil && i < made {
			t.Fatalf("%s: the genuine request: %v", g.name, refused)
		}
		g.event = event
	}
	// Some entries have another window or algorithm than their vectors.
	return slices.DeleteFunc(all, func(g *genuine) bool { _, refused := g.judge(g.request); return refused != nil })
}

// shapes are senders that the catalogue has none of: what is signed and what is read is
// in places of every kind.
var shapes = map[string]string{
	"a form":                        "signature X-Sig\nid form event_id\nevent form type\nevent_time form at unix",
	"a form without IDs":            "signature X-Sig\nevent form type\ntimestamp form at unix per_event",
	"fields of a form":              "signature X-Sig\nsigned {form.user_id}.{form.amount}\nid form user_id",
	"a field with brackets":         "signature X-Sig\nsigned {form.data[user_id]}\nid form data[user_id]",
	"JSON in a form":                "signature X-Sig\nsigned {form_json.task_data.event.id}\nid form_json task_data.event.id",
	"a form and its signature":      "signature form sig\nsigned {form.user_id}\nid form user_id",
	"fields on several levels":      "signature X-Sig\nsigned {body.data.task.id}.{body.data.task.risk}.{body.kind}\nid body data.task.id\nevent body kind",
	"an object":                     "signature X-Sig\nsigned {body.data}\nid body data.id\nevent_time body data.at unix",
	"an object as PHP writes it":    "signature X-Sig\nsigned {body.data|php_json}\nid body data.id\nevent body data.type",
	"a field that may be missing":   "signature X-Sig\nsigned {body.id}.{body.kind|optional}\nid body id",
	"elements":                      "signature body sig\nitems list\nsigned {body.id}.{body.risk}\ncontent {body.list.*.id}",
	"an answer that is remembered":  "signature X-Sig\nid body id optional\nanswer remember",
	"an ID in some events":          "signature X-Sig\nid body id optional\ncontent off",
	"an unsigned stamp and type":    "signature X-Sig\ntimestamp header X-Stamp\nid header X-Id\nevent header X-Type",
	"everything in the query":       "signature query sig\nsigned {body}.{query.a}\nid query a",
	"a type in the query":           "signature X-Sig\nid body id\nevent query type",
	"a token with a digest":         "signature Authorization sha256 \"\" \"Bearer {signature}\"\nscheme jwt\nclaim digest {body|sha256|hex}\nid claim jti\ntimestamp claim iat unix",
	"a composite ID, partly signed": "signature X-Sig\nid header X-Id body id",
}

// recordedRequest is the part of a vector that makes a request.
type recordedRequest struct {
	ID, Expect, Secret, Method, URL, Body string
	Base64                                string `yaml:"body_base64"`
	Headers                               map[string]yaml.Node
	Now                                   int64
}

// recorded are the requests that were signed by the sender, or by its own code.
func recorded(t *testing.T, name string, sender *Sender) (all []*genuine) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "signature", "testdata", "vectors", name+".yaml"))
	if err != nil {
		return nil // most entries have none
	}
	var file struct{ Vectors []recordedRequest }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		if v.Expect != "valid" || v.Secret == "" {
			continue
		}
		key, err := sender.NewKey(v.Secret)
		if err != nil {
			continue // the vectors of keys themselves
		}
		now := time.Now()
		if v.Now != 0 {
			now = time.Unix(v.Now, 0)
		}
		r := v.request(t)
		for _, id := range sender.Rules.ID { // official code leaves out what it does not sign
			for _, source := range id.Sources {
				if source.Kind == signature.SourceHeader && r.Header[source.Name] == nil {
					r.Header[source.Name] = []string{"value"}
				}
			}
		}
		all = append(all, &genuine{name: v.ID, sender: sender, secrets: []signature.Secret{{Key: key}}, now: now, request: r})
	}
	return all
}

func (v recordedRequest) request(t *testing.T) signature.Request {
	t.Helper()
	r := signature.Request{Method: "POST", Scheme: "https", Host: "hooks.example.com", Path: "/in", Body: []byte(v.Body), Header: make(map[string][]string)}
	if v.Method != "" {
		r.Method = v.Method
	}
	if v.Base64 != "" {
		var err error
		if r.Body, err = base64.StdEncoding.DecodeString(v.Base64); err != nil {
			t.Fatal(err)
		}
	}
	for name, node := range v.Headers {
		if node.Kind == yaml.ScalarNode {
			r.Header[canonicalName(name)] = []string{node.Value}
		}
	}
	if u, err := url.Parse(v.URL); err == nil && v.URL != "" {
		r.Query = u.RawQuery
		if u.Host != "" {
			r.Scheme, r.Host = u.Scheme, u.Host
		}
		r.Path = u.EscapedPath()
	}
	return r
}

func canonicalName(name string) string {
	s := signature.Source{}
	_ = s.UnmarshalText([]byte("header " + name))
	return s.Name
}

// variant is a request that an outsider makes of a captured one.
type variant struct {
	what    string
	request signature.Request
}

// clone is a copy of a request that can be changed.
func clone(r signature.Request) signature.Request {
	header := make(map[string][]string, len(r.Header))
	for name, values := range r.Header {
		header[name] = slices.Clone(values)
	}
	r.Header, r.Body = header, slices.Clone(r.Body)
	return r
}

// with makes one variant.
func (g *genuine) with(what string, change func(*signature.Request)) variant {
	r := clone(g.request)
	change(&r)
	return variant{what, r}
}

func (g *genuine) withBody(what, body string) variant {
	return g.with(what, func(r *signature.Request) { r.Body = []byte(body) })
}

func (g *genuine) contentType() string { return strings.Join(g.request.Header["Content-Type"], ", ") }

func (g *genuine) isForm() bool { return strings.HasPrefix(g.contentType(), formType) }

// headerNames are those of the request and those that the entry reads, in order.
func (g *genuine) headerNames() []string {
	names := slices.Collect(maps.Keys(g.request.Header))
	for _, name := range g.sender.Rules.Reads().Headers() {
		if name = canonicalName(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// signedFields are the parts of the body that are signed where the whole is not, as paths of
// the whole body.
func (g *genuine) signedFields() []signature.Source {
	fields := slices.Clone(g.scheme().CoveredFields())
	if items := g.scheme().Spec().Items; items != "" {
		for i := range fields {
			fields[i].Name = items + ".0." + fields[i].Name
		}
	}
	return fields
}
