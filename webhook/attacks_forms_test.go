package webhook

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// attackForms writes a form anew, and puts fields beside its own that an app could take for
// them.
func attackForms(g *genuine) (all []variant) {
	if !g.isForm() {
		return nil
	}
	body := string(g.request.Body)
	pairs := strings.Split(body, "&")
	reversed := slices.Clone(pairs)
	slices.Reverse(reversed)
	for what, other := range map[string]string{
		"%20 for +": strings.ReplaceAll(body, "+", "%20"), "+ for %20": strings.ReplaceAll(body, "%20", "+"), "an & after": body + "&", "an & before": "&" + body, "two &": strings.ReplaceAll(body, "&", "&&"),
		"an empty field": body + "&=", "a name without a value": body + "&x", "the other way round": strings.Join(reversed, "&"), "lower case escapes": strings.ToLower(body),
		"semicolons": strings.ReplaceAll(body, "&", ";"), "another field": body + "&zz=1", "another field first": "zz=1&" + body, "a bad escape": body + "&zz=%zz", "everything escaped": escapeAll(body),
	} {
		all = append(all, g.withBody("form, "+what, other))
	}
	names := fieldNames(body)
	for _, name := range names {
		for _, other := range likeNames(name) {
			field := other + "=changed"
			all = append(all, g.withBody("form, after it "+field, body+"&"+field), g.withBody("form, before it "+field, field+"&"+body),
				g.withBody("form, in a semicolon "+field, body+"&zz=1;"+field), g.withBody("form, first in a semicolon "+field, "zz=1;"+field+"&"+body))
		}
		all = append(all, g.withBody("form, escaped name "+name, strings.Replace(body, name+"=", fmt.Sprintf("%%%x%s=", name[0], name[1:]), 1)),
			g.withBody("form, without "+name, strings.Join(slices.DeleteFunc(slices.Clone(pairs), func(p string) bool { return strings.HasPrefix(p, name+"=") }), "&")))
	}
	return append(append(all, attackEncoding(g, names)...), attackMultipart(g, names)...)
}

// attackEncoding puts a compressed form before the own one: a zlib stream may begin with the
// letters x^, and so with the name of a field.
func attackEncoding(g *genuine, names []string) (all []variant) {
	for _, name := range names {
		packed := packedForm(name)
		if packed == nil {
			continue
		}
		for _, encoding := range []string{"deflate", "Deflate", "identity", ""} {
			all = append(all, g.with("form, compressed before it "+name+" as "+encoding, func(r *signature.Request) {
				r.Body = slices.Concat(packed, []byte("&"), r.Body)
				if r.Header["Content-Encoding"] = []string{encoding}; encoding == "" {
					delete(r.Header, "Content-Encoding")
				}
			}))
		}
	}
	return all
}

// packedForm is a compressed form that changes a field, and can stand in a form; nil where
// there is none, as for most bodies that are no forms.
func packedForm(name string) []byte {
	for i := range 1000 {
		var b bytes.Buffer
		w, _ := zlib.NewWriterLevel(&b, 3)
		fmt.Fprintf(w, "%s=changed&zz=%d", name, i)
		_ = w.Close()
		packed := b.Bytes()
		packed[1] = '^' // the same level, and the check digits that go with it
		if !bytes.ContainsAny(packed, "%;") {
			return packed
		}
	}
	return nil
}

// likeNames are names that some reader of forms takes for this one: PHP, qs, Rack, ASP.NET.
func likeNames(name string) []string {
	like := []string{
		name, strings.ToUpper(name), strings.Title(name), name + "[]", name + "%5B%5D", name + "[0]", name + "[a]", "+" + name, "%20" + name, name + "%00", name + "%00x", name + "[", //nolint:staticcheck // as an attacker would
		escapeAll(name), strings.Replace(name, "s", "%C5%BF", 1), strings.Replace(name, "k", "%E2%84%AA", 1),
	}
	for _, folded := range []string{".", "+", "%20", "[", "%5B"} {
		like = append(like, strings.ReplaceAll(name, "_", folded), strings.Replace(name, "_", folded, 1))
	}
	slices.Sort(like)
	return slices.Compact(like)
}

func fieldNames(body string) (names []string) {
	for pair := range strings.SplitSeq(body, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err == nil && name != "" {
			names = append(names, name)
		}
	}
	return names
}

func escapeAll(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if c == '&' || c == '=' || c == '%' || c == '+' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

// attackMultipart wraps the fields of a form in parts, and other parts around them.
func attackMultipart(g *genuine, names []string) (all []variant) {
	form, err := url.ParseQuery(string(g.request.Body))
	if err != nil || len(names) == 0 {
		return nil
	}
	part := func(disposition, value string) string {
		return "--x\r\nContent-Disposition: form-data; " + disposition + "\r\n\r\n" + value + "\r\n"
	}
	own := ""
	for _, name := range names {
		own += part(`name="`+name+`"`, form.Get(name))
	}
	add := func(what, body string, types ...string) {
		for _, contentType := range append(types, "multipart/form-data; boundary=x") {
			all = append(all, g.with("multipart, "+what+", as "+contentType, func(r *signature.Request) {
				r.Body, r.Header["Content-Type"] = []byte(body), []string{contentType}
			}))
		}
	}
	add("rewrapped", own+"--x--\r\n", formType, jsonType, "multipart/form-data; boundary=y", "multipart/form-data", "multipart/mixed; boundary=x")
	add("beside the form", string(g.request.Body)+"&zz=\r\n"+part(`name="`+names[0]+`"`, "changed")+"--x--\r\n", formType)
	add("a form in the preamble", string(g.request.Body)+"\r\n"+own+"--x--\r\n", formType)
	add("a form after the end", own+"--x--\r\n&"+string(g.request.Body), formType)
	add("without an end", own)
	for _, name := range names {
		hidden := "\n--x\nContent-Disposition: form-data; name=\"" + name + "\"\n\nchanged\n"
		for what, lines := range map[string]string{"line feeds": hidden, "carriage returns": strings.ReplaceAll(hidden, "\n", "\r")} {
			add("before it in another part, behind "+what+" "+name, part(`name="zz"`, lines)+own+"--x--\r\n")
			add("after it in another part, behind "+what+" "+name, own+part(`name="zz"`, lines)+"--x--\r\n")
		}
		for what, disposition := range map[string]string{
			"another": `name="` + name + `"`, "unquoted": `name=` + name, "two names": `name="zz"; name="` + name + `"`, "two names, the first": `name="` + name + `"; name="zz"`, "a star": `name*=UTF-8''` + name, "both": `name="zz"; name*=UTF-8''` + name,
			"upper case": `NAME="` + strings.ToUpper(name) + `"`, "a list": `name="` + name + `[]"`, "a dot": `name="` + strings.ReplaceAll(name, "_", ".") + `"`, "a space": `name=" ` + name + `"`,
			"a file": `name="` + name + `"; filename="a.txt"`, "two headers": `name="zz"` + "\r\n" + `Content-Disposition: form-data; name="` + name + `"`, "an escaped quote": `name="zz\"; name=` + name + `"`,
			"base64": `name="` + name + `"` + "\r\nContent-Transfer-Encoding: base64", "escaped": `name="` + escapeAll(name) + `"`, "folded": "\r\n name=\"" + name + `"`, "single quotes": `name='` + name + `'`,
		} {
			add("after it "+what+" "+name, own+part(disposition, "changed")+"--x--\r\n")
			add("before it "+what+" "+name, part(disposition, "changed")+own+"--x--\r\n")
		}
	}
	return all
}
