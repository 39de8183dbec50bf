package webhook

import (
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// attackHeaders changes each header: its value, its number, its name.
func attackHeaders(g *genuine) (all []variant) {
	for _, name := range g.headerNames() {
		value := strings.Join(g.request.Header[name], ",")
		for what, values := range headerValues(value) {
			all = append(all, g.with("header "+name+": "+what, func(r *signature.Request) {
				if r.Header[name] = values; values == nil {
					delete(r.Header, name)
				}
			}))
		}
		for _, folded := range []string{strings.ToLower(name), strings.ReplaceAll(name, "-", "_"), strings.ToUpper(name), name + " "} {
			all = append(all, g.with("header "+name+" as "+folded, func(r *signature.Request) {
				if folded != name {
					delete(r.Header, name)
				}
				r.Header[folded] = []string{value}
			}), g.with("beside header "+name+" another "+folded, func(r *signature.Request) {
				if folded != name {
					r.Header[folded] = []string{"changed"}
				}
			}))
		}
	}
	for _, name := range []string{"X-Http-Method-Override", "X-Original-Url", "X-Forwarded-Host", "X-Request-Id", "Idempotency-Key", "Connection", "Content-Encoding"} {
		all = append(all, g.with("a header "+name, func(r *signature.Request) { r.Header[name] = []string{"changed"} }))
	}
	return all
}

// headerValues are the other values of one header.
func headerValues(v string) map[string][]string {
	values := map[string][]string{
		"removed": nil, "empty": {""}, "white space": {" "}, "changed": {"changed"}, "longer": {v + "x"}, "a number": {"1"},
		"twice": {v, v}, "then another": {v, "changed"}, "after another": {"changed", v}, "after an empty one": {"", v}, "none at all": {},
		"upper case": {strings.ToUpper(v)}, "lower case": {strings.ToLower(v)}, "a space before": {" " + v}, "a space after": {v + " "}, "a tab": {"\t" + v},
		"a list": {v + "," + v}, "a list with another": {v + ", changed"}, "a list after another": {"changed," + v}, "with semicolons": {v + ";" + v}, "with spaces": {v + " " + v},
		"an unknown item": {v + ",zz=1"}, "an unknown item first": {"zz=1," + v}, "an unknown item after a space": {v + " zz,1"}, "an item after a semicolon": {v + ";zz=1"},
		"quoted": {`"` + v + `"`}, "escaped": {url.QueryEscape(v)}, "with no-break space": {v + "\u00a0"}, "with a zero byte": {v + "\x00"},
		"unpadded": {strings.TrimRight(v, "=")}, "padded": {v + "="}, "url-safe": {strings.NewReplacer("+", "-", "/", "_").Replace(v)},
		"a zero before": {"0" + v}, "a plus before": {"+" + v}, "a fraction": {v + ".0"}, "in milliseconds": {v + "000"}, "t and z": {strings.NewReplacer("T", "t", "Z", "z").Replace(v)},
		"an offset": {strings.Replace(v, "Z", "+00:00", 1)}, "a space for T": {strings.Replace(v, "T", " ", 1)},
	}
	if items := strings.Split(v, ","); len(items) > 1 {
		slices.Reverse(items)
		values["the other way round"] = []string{strings.Join(items, ",")}
		values["the first item twice"] = []string{items[len(items)-1] + "," + v}
		values["after spaces"] = []string{strings.ReplaceAll(v, ",", ", ")}
	}
	return values
}

// attackURL changes the URL, where it arrives and what is in its query.
func attackURL(g *genuine) (all []variant) {
	path := g.request.Path
	for _, other := range []string{path + "/", "/%69n", "//in", "/./in", "/x/../in", "/IN", path + "%20", path + "%2f", path + ";a=1", "", path + "x", "/in%00"} {
		all = append(all, g.with("path "+other, func(r *signature.Request) { r.Path = other }))
	}
	q := g.request.Query
	queries := []string{q + "&b=2", "b=2&" + q, q + "&", "&" + q, q + "&a=1", q + "&a=2", "", q + "#x", q + "?", strings.ReplaceAll(q, "a", "%61"), strings.ReplaceAll(q, "=", "%3D"), q + ";b=2", "?" + q, q + "&=", "%00"}
	if pairs := strings.Split(q, "&"); len(pairs) > 1 {
		slices.Reverse(pairs)
		queries = append(queries, strings.Join(pairs, "&"), q+"&"+pairs[0], strings.ToUpper(q))
	}
	for _, source := range slices.Concat(g.sender.Rules.Reads().Sources, g.signedFields()) {
		for _, like := range likeNames(source.Name) {
			queries = append(queries, q+"&"+like+"=changed", like+"=changed&"+q, q+"&zz=1;"+like+"=changed")
		}
	}
	for _, other := range queries {
		all = append(all, g.with("query "+other, func(r *signature.Request) { r.Query = other }))
	}
	for _, host := range []string{"HOOKS.EXAMPLE.COM", "hooks.example.com:443", "hooks.example.com.", "evil.example", "hooks.example.com:80", "user@hooks.example.com"} {
		all = append(all, g.with("host "+host, func(r *signature.Request) { r.Host = host }))
	}
	for _, method := range []string{"GET", "PUT", "post", "HEAD", "PATCH", ""} {
		all = append(all, g.with("method "+method, func(r *signature.Request) { r.Method = method }))
	}
	return append(all, g.with("http", func(r *signature.Request) { r.Scheme = "http" }))
}

// attackContentType says of the body that it is something else.
func attackContentType(g *genuine) (all []variant) {
	for _, other := range [][]string{
		nil, {""}, {jsonType}, {formType}, {"multipart/form-data"}, {"multipart/form-data; boundary=x"}, {"multipart/mixed; boundary=\"x y\""}, {"text/plain"}, {"application/xml"},
		{strings.ToUpper(g.contentType())}, {g.contentType() + "; charset=utf-16"}, {g.contentType() + "; charset=utf-8"}, {g.contentType() + ";"}, {g.contentType() + "; =;;"},
		{g.contentType(), "multipart/form-data; boundary=x"}, {"multipart/form-data; boundary=x", g.contentType()}, {g.contentType() + ", multipart/form-data; boundary=x"},
		{formType + "; boundary=x"}, {"application/x-www-form-urlencoded-not"}, {"application/vnd.api+json"}, {" " + g.contentType()}, {"garbage"},
	} {
		all = append(all, g.with("Content-Type: "+strings.Join(other, " and "), func(r *signature.Request) {
			if r.Header["Content-Type"] = other; other == nil {
				delete(r.Header, "Content-Type")
			}
		}))
	}
	return all
}

// attackBytes changes bytes of the body, whatever they mean.
func attackBytes(g *genuine) (all []variant) {
	body := string(g.request.Body)
	for what, other := range map[string]string{
		"a byte after": body + "x", "white space after": body + "\n", "white space before": " " + body, "a BOM": "\ufeff" + body, "nothing": "", "twice": body + body,
		"a zero byte": body + "\x00", "another document": body + "{}", "a comment": body + "/**/", "a part": body[:len(body)/2], "CRLF": strings.ReplaceAll(body, "\n", "\r\n"),
		"as a string": `"` + body + `"`, "in a list": "[" + body + "]", "UTF-16": utf16Text(body),
	} {
		all = append(all, g.withBody(what, other))
	}
	if len(body) > 0 {
		changed := []byte(body)
		changed[len(changed)/2] ^= 1
		all = append(all, g.withBody("a bit", string(changed)))
	}
	return all
}

func utf16Text(text string) string {
	out := []byte{0xfe, 0xff}
	for _, c := range []byte(text) {
		out = append(out, 0, c)
	}
	return string(out)
}
