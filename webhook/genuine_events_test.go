package webhook

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// wire is what a sender puts on the wire for one event.
type wire struct {
	event, id string
	at        time.Time
	change    func(*signature.Request) // before it is signed
}

// sendEvent makes a request of an entry's sender.
func sendEvent(t *testing.T, name string, w wire) sent {
	t.Helper()
	p := config.Builtin()[name].WithParams()
	s := sentAs(t, name, p, w)
	if s.sender.Rules.Token != nil {
		s.putToken(t, "s3cret")
	}
	return s
}

// Two events are two, however much they have in common: they happen in the same second, are of
// one type and size, repeat a body, or have IDs that are nearly equal.
func TestTwoEventsAreBothForwarded(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	pairs := 0
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) {
			all := eventPairs(t, name, now)
			for i, what := range slices.Sorted(maps.Keys(all)) {
				if pair := all[what]; i == 0 || (i+pairs)%oneIn == 0 {
					tryPair(t, name, what, pair, now)
				}
				pairs++
			}
		})
	}
	trySparse(t, now)
	if pairs < 2000 {
		t.Errorf("%d pairs of events", pairs)
	}
}

func tryPair(t *testing.T, name, what string, pair [2]wire, now time.Time) {
	t.Helper()
	var events [2]Event
	for i, w := range pair {
		s := sendEvent(t, name, w)
		var refused *Refusal
		if events[i], refused = s.judge(now); refused != nil {
			t.Fatalf("%s, event %d: %v", what, i, refused)
		}
	}
	if shareAKey(events[0], events[1]) {
		t.Errorf("%s: the second one is a duplicate (IDs %q and %q)", what, events[0].ID, events[1].ID)
	}
}

// eventPairs are pairs of events that a sender can send.
func eventPairs(t *testing.T, name string, now time.Time) map[string][2]wire {
	t.Helper()
	const a, b = "0123456789abcdef", "0123456789abcdee"
	rules := sendEvent(t, name, wire{"", a, now, nil}).sender.Rules
	pairs := map[string][2]wire{"two objects in one second": {{"", a, now, nil}, {"", b, now, nil}}}
	types := config.SampleEvents(name)
	for _, other := range types[min(1, len(types)):] {
		pairs["then a "+other] = [2]wire{{types[0], a, now, nil}, {other, b, now, nil}}
	}
	if rules.Scheme.CoversBody() {
		pairs["two objects behind a byte order mark"] = [2]wire{{"", a, now, markJSON}, {"", b, now, markJSON}}
	}
	if repeats(rules) {
		pairs["one body twice"] = [2]wire{{"", a, now.Add(-time.Second), withIDs(rules, "d1", "")}, {"", a, now, withIDs(rules, "d2", "")}}
	}
	if rules.Copies == config.CopiesByTemplate && rules.Scheme.CoversBody() && len(rules.Content.Reads().Each) > 0 {
		each := rules.Content.Reads().Each[0]
		for _, ids := range nearlyEqual {
			pairs["elements "+ids[0]+" and "+ids[1]] = [2]wire{{"", a, now, setJSON(each, ids[0])}, {"", a, now, setJSON(each, ids[1])}}
		}
	}
	if len(rules.ID) == 0 {
		return pairs
	}
	for _, ids := range nearlyEqual {
		if strings.Contains(ids[0], `\u`) && rules.Scheme.Signed() && !rules.Scheme.CoversBody() {
			continue // malformed in a field that is signed by itself
		}
		first, second := withIDs(rules, ids[0], a), withIDs(rules, ids[1], b)
		pairs["IDs "+ids[0]+" and "+ids[1]] = [2]wire{{"", a, now, first}, {"", b, now, second}}
	}
	return pairs
}

// nearlyEqual are pairs of IDs, as JSON strings have them, that are not the same.
var nearlyEqual = [][2]string{
	{"evt", "EVT"}, {"1", "01"}, {"1", "1.0"}, {"1", "+1"}, {"9007199254740992", "9007199254740993"}, {"a b", "a  b"}, {"a:b", "a%3Ab"}, {"a", "a:"},
	{"é", "e\u0301"}, {"ß", "ss"}, {"a", "а"}, {strings.Repeat("x", 1000) + "1", strings.Repeat("x", 1000) + "2"}, {"null", "nil"}, {`\ud800`, `\ud801`}, {`\ud800`, `\ufffd`},
}

// repeats reports whether the sender may send one body again for another event, and says so
// by something else: a signed stamp beside an ID that is not in the body, or an unsigned ID
// where nothing else decides.
func repeats(rules *config.Resolved) bool {
	if len(rules.ID) == 0 || inBody(rules.ID[0].Sources) {
		return false
	}
	stamp := rules.Scheme.Spec().Timestamp
	signed := stamp != nil && stamp.Source.Kind != signature.SourceBody && (stamp.Source.Kind == signature.SourceSignature || rules.Scheme.Covers(stamp.Source))
	return signed || rules.Copies == config.CopiesByID
}

func inBody(sources []signature.Source) bool {
	return !slices.ContainsFunc(sources, func(s signature.Source) bool { return s.Kind == signature.SourceHeader })
}

// withIDs writes an ID, as it stands in a JSON string, wherever the sender has its own.
func withIDs(rules *config.Resolved, id, body string) func(*signature.Request) {
	return func(r *signature.Request) {
		for _, source := range rules.ID[0].Sources {
			switch stamp := rules.Scheme.Spec().Timestamp; {
			case stamp != nil && stamp.Source == source: // a time, and not any text
			case source.Kind == signature.SourceHeader && !strings.Contains(id, `\u`):
				r.Header[source.Name] = []string{id}
			case source.Kind == signature.SourceBody && body != "":
				r.Body, _ = sjson.SetRawBytes(r.Body, source.Name, []byte(`"`+id+`"`))
			}
		}
	}
}

// markJSON puts the mark before JSON that .NET's writers of UTF-8 put there.
func markJSON(r *signature.Request) {
	if len(r.Body) > 0 && (r.Body[0] == '{' || r.Body[0] == '[') {
		r.Body = append([]byte("\ufeff"), r.Body...)
	}
}

// setJSON writes a string, as JSON has it.
func setJSON(source signature.Source, text string) func(*signature.Request) {
	return func(r *signature.Request) { r.Body, _ = sjson.SetRawBytes(r.Body, source.Name, []byte(`"`+text+`"`)) }
}

// A composite ID is not one text: its parts are kept apart.
func TestPartsOfAnIDStayApart(t *testing.T) {
	rules, err := provider(t, "signature X-Sig\nid header X-A header X-B").Resolve()
	if err != nil {
		t.Fatal(err)
	}
	i := newIdentity(rules)
	seen := make(map[string]bool)
	for _, parts := range [][2]string{{"x:y", "z"}, {"x", "y:z"}, {"x", "yz"}, {"xy", "z"}, {"x\x00", "y"}, {"x", "\x00y"}} {
		r := post("{}", "X-A", parts[0], "X-B", parts[1])
		found, err := i.read(&r, signature.Parts{})
		key := IDKey("scope", found.id).String()
		if err != nil || seen[key] {
			t.Errorf("%q: %v, known: %t", parts, err, seen[key])
		}
		seen[key] = true
	}
}

// What a content line does not fit is recognised by what is signed: two such events are two,
// and one of them that is captured is a duplicate.
func TestEventsThatAContentLineDoesNotFit(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	judged := 0
	for _, name := range config.Builtin().Names() {
		p := config.Builtin()[name].WithParams()
		if rules, err := p.Resolve(); err != nil || rules.Copies != config.CopiesByTemplate || !rules.Scheme.CoversBody() {
			continue
		}
		bodies := []string{"{}", "[]", `{"n":1}`, `{"n":2}`, "[1]", `[{"n":1}]`, `[{"n":2}]`, "<a>1</a>", "<a>2</a>", "a=1", "a=2", "null", `"x"`, "{", `{"events":[]}`, `{"events":[{}]}`,
			`{"events":[{},{}]}`, `{"events":[{"id":null}]}`, `{"events":[{"id":{}}],"n":1}`, `{"events":{"id":"x"}}`, `{"data":[{"x":1}]}`, `{"data":[{"x":2}]}`}
		t.Run(name, func(t *testing.T) {
			seen := make(map[string]string)
			for _, body := range bodies {
				if strings.Contains(strings.Join(p.Signed, ""), "|json}") && !strings.HasSuffix(body, "}") && !strings.HasSuffix(body, "]") {
					continue // refused: only JSON says where it ends beside the URL
				}
				w := wire{"", "0123456789abcdef", now, func(r *signature.Request) { r.Body = []byte(body) }}
				s := sentAs(t, name, p, w)
				event, refused := s.judge(now)
				if refused != nil {
					t.Fatalf("%s: %v", body, refused)
				}
				again, _ := s.judge(now)
				if !shareAKey(event, again) {
					t.Errorf("%s: captured, it passes again", body)
				}
				key := event.Keys.Content.String()
				if other, taken := seen[key]; taken {
					t.Errorf("%s and %s are one event", body, other)
				}
				seen[key] = body
				judged++
			}
		})
	}
	if judged < 150 {
		t.Errorf("%d events", judged)
	}
}

// A registered URL supplies nothing that a request has to have itself.
func TestPublicURLFeedsNoSource(t *testing.T) {
	const public = "\npublic_url https://h.example/in?token=" + copySecret + "&id=1&type=t&at=1"
	now := time.Now()
	judge := func(lines string, r signature.Request) (Event, *Refusal) {
		s, err := New("test", provider(t, lines+public))
		if err != nil {
			t.Fatal(err)
		}
		key, err := s.NewKey(copySecret)
		if err != nil {
			t.Fatal(err)
		}
		return s.Judge(r, r.Body, Fixed{[]signature.Secret{{Key: key}}, "scope"}, now)
	}
	if _, refused := judge("token query token", post("{}")); refused == nil || refused.Result != TokenMissing {
		t.Errorf("without a token: %v", refused)
	}
	signed := post("{}", "X-Sig", hex.EncodeToString(mac256("{}")))
	a, refusedA := judge("signature X-Sig\nid query id\nevent query type\ncontent off", at(signed, "/in", "id=7"))
	b, refusedB := judge("signature X-Sig\nid query id\nevent query type\ncontent off", at(signed, "/in", "id=8"))
	if refusedA != nil || refusedB != nil || shareAKey(a, b) || a.ID[0] != "7" || a.Type != "" {
		t.Errorf("%v, %v: %q, %q and the type %q", refusedA, refusedB, a.ID, b.ID, a.Type)
	}
	if _, refused := judge("signature X-Sig\ntimestamp query at unix", signed); refused == nil || refused.Result != TimestampMissing {
		t.Errorf("without a stamp: %v", refused)
	}
	if _, refused := judge("signature query token", post("{}")); refused == nil || refused.Result != SignatureMissing {
		t.Errorf("without a signature: %v", refused)
	}
	if _, refused := judge("signature X-Sig\nsigned {query.id}{body}", post("{}", "X-Sig", hex.EncodeToString(mac256("1{}")))); refused == nil {
		t.Error("a query that is signed comes from public_url")
	}
}
