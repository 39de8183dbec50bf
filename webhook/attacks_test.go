package webhook

import (
	"bytes"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

var attacks = []func(*genuine) []variant{attackHeaders, attackURL, attackContentType, attackBytes, attackForms, attackJSON, attackBorders}

// Whoever has captured a request of a sender can write it anew in many ways. None of them is
// forwarded once the event is known, but those that its entry says stay open. Before it is
// known none is, if an app could read anything out of it that the sender signed otherwise.
func TestNoVariantOfACapturedRequestPasses(t *testing.T) {
	tried, accepted, offset := 0, 0, 0
	// try judges the variants of a request, and returns those that were accepted.
	try := func(t *testing.T, g, of *genuine) (passed []variant) {
		offset++ // so that other variants are tried of each
		for i, v := range variantsOf(of) {
			if (i+offset)%oneIn != 0 {
				continue
			}
			tried++
			event, refused := g.judge(v.request)
			if refused != nil {
				continue
			}
			passed = append(passed, v)
			v.what = of.name + ", " + v.what
			if shown := g.wrong(&v, &event); shown != "" {
				t.Errorf("%s: %s", v.what, shown)
			}
		}
		accepted += len(passed)
		return passed
	}
	attack := func(t *testing.T, name string, p config.Provider) {
		for _, g := range genuineOf(t, name, p) {
			passed := try(t, g, g)
			for i := range twice { // two changes at once
				if len(passed) == 0 {
					break
				}
				v := passed[(i*7919+offset)%len(passed)]
				again := *g
				again.name, again.request = g.name+", "+v.what, v.request
				try(t, g, &again)
			}
		}
	}
	for _, name := range config.Builtin().Names() {
		t.Run(name, func(t *testing.T) { attack(t, name, config.Builtin()[name]) })
	}
	for name, lines := range shapes {
		t.Run(name, func(t *testing.T) { attack(t, "mine", provider(t, lines)) })
	}
	if accepted < 25000/oneIn || tried-accepted < 40000/oneIn {
		t.Errorf("%d variants tried, %d accepted", tried, accepted)
	}
}

func provider(t *testing.T, lines string) config.Provider {
	t.Helper()
	p, err := config.ParseLines("test", []byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// variantsOf are all variants, in the same order each time.
func variantsOf(g *genuine) (all []variant) {
	for _, attack := range attacks {
		all = append(all, attack(g)...)
	}
	slices.SortStableFunc(all, func(a, b variant) int { return bytes.Compare([]byte(a.what), []byte(b.what)) })
	return all
}

// wrong says what is wrong with accepting a variant; "" where nothing is.
func (g *genuine) wrong(v *variant, event *Event) string {
	r, opening := &v.request, g.sender.Rules.Recognition().Opening
	for _, name := range g.readHeaders() {
		if len(r.Header[name]) > 1 && !g.isList(name) {
			return name + " is read, and was sent more than once"
		}
	}
	moved := strings.Contains(v.what, "border: ") && len(opening.Borders) > 0
	if what := g.changedSigned(r, event); what != "" && !moved {
		return "accepted, and changed is what is signed: " + what
	}
	timed := opening.Timeless == (signature.Source{}) || !event.Occurred.IsZero()
	if opening.For > 0 && timed {
		late := *g
		late.now = g.now.Add(opening.For + g.sender.Rules.Window.MaxSkew + time.Second)
		if _, refused := late.judge(*r); refused == nil {
			return "passes for longer than " + opening.For.String()
		}
	}
	if !shareAKey(g.event, *event) && !g.staysOpen(r) {
		return fmt.Sprintf("forwarded again (ID %q)", event.ID)
	}
	return ""
}

// isList reports whether a header is a list of signatures, which may be sent in parts.
func (g *genuine) isList(name string) bool {
	return slices.ContainsFunc(g.sender.Rules.Scheme.Spec().Signatures, func(s signature.SignatureSpec) bool {
		return canonicalName(s.Header) == name && len(s.Split) > 0
	})
}

// readHeaders are the headers that the entry reads of this request: not those of another ID
// than it has, nor a name that a number is missing from.
func (g *genuine) readHeaders() (names []string) {
	unread := map[string]bool{}
	for i, id := range g.sender.Rules.ID {
		for _, source := range id.Sources {
			unread[source.Name] = i > 0
		}
	}
	for _, name := range g.sender.Rules.Reads().Headers() {
		if !unread[name] && !strings.HasSuffix(name, "-") {
			names = append(names, canonicalName(name))
		}
	}
	return names
}

// staysOpen reports whether the entry says that such a variant passes.
func (g *genuine) staysOpen(r *signature.Request) bool {
	opening := g.sender.Rules.Recognition().Opening
	closed := len(opening.Without) > 0 && !slices.ContainsFunc(opening.Without, func(s signature.Source) bool { return !s.Read(&g.request, signature.Parts{}).Found })
	return !closed && (opening.AsItIs || slices.ContainsFunc(opening.Under, func(s signature.Source) bool {
		return s.Read(&g.request, signature.Parts{}) != s.Read(r, signature.Parts{})
	}))
}

// changedSigned names something that the sender signed and that is another in a request.
func (g *genuine) changedSigned(r *signature.Request, event *Event) string {
	rules := g.sender.Rules
	if rules.Scheme.CoversBody() && !sameBody(g, r) {
		return "the body"
	}
	for _, source := range rules.Reads().Sources {
		before, now := source.Read(&g.request, signature.Parts{}), source.Read(r, signature.Parts{})
		if source.Kind == signature.SourceHeader { // white space around it is no part of it
			before.Text, now.Text = strings.TrimSpace(before.Text), strings.TrimSpace(now.Text)
		}
		if source.Kind != signature.SourceBody && rules.Scheme.Covers(source) && before != now {
			return source.String()
		}
	}
	fields := g.signedFields()
	for _, source := range rules.Reads().Sources {
		if source.Kind == signature.SourceQuery && rules.Scheme.Covers(source) && !rules.Reads().URL {
			fields = append(fields, source)
		}
	}
	for _, field := range fields {
		if strings.HasPrefix(string(field.Kind), "form") && !g.isForm() && !strings.HasPrefix(g.contentType(), "multipart") {
			continue // this request is signed by another line
		}
		want := readings(&g.request, field)
		for _, got := range readings(r, field) {
			if !slices.Contains(want, got) {
				return fmt.Sprintf("%s, which is %.40q to some apps, not %.40q", field, got, want)
			}
		}
	}
	stamp := rules.Scheme.Spec().Timestamp
	switch {
	case rules.IDSigned() && !slices.Equal(event.ID, g.event.ID):
		return fmt.Sprintf("the ID %q", event.ID)
	case stamp != nil && (stamp.Source.Kind == signature.SourceSignature || rules.Scheme.Covers(stamp.Source)) && !event.Sent.Equal(g.event.Sent):
		return "the stamp"
	case !event.Occurred.Equal(g.event.Occurred):
		return "the event's time"
	case rules.Event != nil && rules.Scheme.Covers(*rules.Event) && event.Type != g.event.Type:
		return "the type"
	}
	return ""
}

// sameBody compares bodies as they are signed: byte for byte, or as fields.
func sameBody(g *genuine, r *signature.Request) bool {
	if bytes.Equal(g.request.Body, r.Body) {
		return true
	}
	a, errA := url.ParseQuery(string(g.request.Body))
	b, errB := url.ParseQuery(string(r.Body))
	byFields := g.sender.Rules.Scheme.Spec().Named == "twilio" || !g.sender.Rules.Reads().RawBody && g.isForm()
	delete(b, "") // an empty name with an empty value signs as nothing
	for _, values := range []url.Values{a, b} {
		for name := range values { // Twilio signs a value that is there twice once
			slices.Sort(values[name])
			values[name] = slices.Compact(values[name])
		}
	}
	return byFields && errA == nil && errB == nil && reflect.DeepEqual(a, b)
}
