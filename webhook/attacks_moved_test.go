package webhook

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// attackBorders moves characters from one signed value into the next: where nothing stands
// between the two, the signature stays as it is.
func attackBorders(g *genuine) (all []variant) {
	spots := g.spots()
	for i, from := range spots {
		for _, to := range spots[max(0, i-2):min(len(spots), i+3)] {
			for _, n := range []int{1, 2, 4, 10} {
				if text := from.get(&g.request); from.name != to.name && len(text) > n {
					all = append(all, g.moved(from, to, text[len(text)-n:], text[:len(text)-n], true), g.moved(from, to, text[:n], text[n:], false))
				}
			}
		}
	}
	if !g.isForm() {
		return all
	}
	for i, pair := range strings.Split(string(g.request.Body), "&") {
		name, value, _ := strings.Cut(pair, "=")
		for _, n := range []int{1, 2, 4} {
			pairs := strings.Split(string(g.request.Body), "&")
			if len(name) > n {
				pairs[i] = name[:len(name)-n] + "=" + name[len(name)-n:] + value
				all = append(all, g.withBody("border: out of the name "+name, strings.Join(pairs, "&")))
			}
			if len(value) > n && !strings.ContainsRune(value[:n], '%') {
				pairs[i] = name + value[:n] + "=" + value[n:]
				all = append(all, g.withBody("border: into the name "+name, strings.Join(pairs, "&")))
			}
		}
	}
	return all
}

// spot is where a signed value stands.
type spot struct {
	name string
	get  func(*signature.Request) string
	set  func(*signature.Request, string)
}

// spots are those of the values that may be signed one after the other.
func (g *genuine) spots() (all []spot) {
	for _, name := range g.headerNames() {
		all = append(all, spot{"header " + name,
			func(r *signature.Request) string { return strings.Join(r.Header[name], ",") },
			func(r *signature.Request, text string) { r.Header[name] = []string{text} }})
	}
	whole := func(get func(*signature.Request) *string, name string) spot {
		return spot{name, func(r *signature.Request) string { return *get(r) }, func(r *signature.Request, text string) { *get(r) = text }}
	}
	body := spot{"the body", func(r *signature.Request) string { return string(r.Body) }, func(r *signature.Request, text string) { r.Body = []byte(text) }}
	all = append(all, whole(func(r *signature.Request) *string { return &r.Method }, "the method"), whole(func(r *signature.Request) *string { return &r.Query }, "the query"),
		body, whole(func(r *signature.Request) *string { return &r.Path }, "the path"))
	for i := range all[:len(all)-4] { // the body stands beside each header in some scheme
		all = slices.Insert(all, 2*i+1, body)
	}
	if json.Valid(g.request.Body) {
		for _, field := range g.signedFields() {
			if field.Kind != signature.SourceBody {
				continue
			}
			all = append(all, spot{"body " + field.Name,
				func(r *signature.Request) string { return gjson.GetBytes(r.Body, field.Name).String() },
				func(r *signature.Request, text string) { r.Body, _ = sjson.SetBytes(r.Body, field.Name, text) }})
		}
	}
	return all
}

// moved moves a text from one place to the end or the start of another.
func (g *genuine) moved(from, to spot, text, rest string, ahead bool) variant {
	v := g.with("border: "+text+" from "+from.name+" to "+to.name, func(r *signature.Request) {
		from.set(r, rest)
		if ahead {
			to.set(r, text+to.get(r))
		} else {
			to.set(r, to.get(r)+text)
		}
	})
	return v
}
