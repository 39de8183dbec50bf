package webhook

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// attackJSON writes the JSON of the body anew, and puts members beside its own that an app
// could take for them, on each level.
func attackJSON(g *genuine) (all []variant) {
	body := string(g.request.Body)
	if g.isForm() || !json.Valid(g.request.Body) {
		return nil
	}
	for what, other := range rewritten(body) {
		all = append(all, g.withBody("JSON, "+what, other))
	}
	for _, path := range g.attackedPaths() {
		parent, key := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			parent, key = path[:i], path[i+1:]
		}
		at := gjson.Parse(body)
		if parent != "" {
			at = gjson.Get(body, parent)
		}
		if !at.IsObject() {
			continue
		}
		for _, like := range likeKeys(key) {
			for _, value := range []string{`"changed"`, `{"changed":1}`, `null`} {
				for what, object := range map[string]string{
					"first": "{" + like + ":" + value + "," + at.Raw[1:], "last": at.Raw[:len(at.Raw)-1] + "," + like + ":" + value + "}",
				} {
					all = append(all, g.withBody("JSON, "+what+" in "+parent+" "+like+":"+value, put(body, parent, object)))
				}
			}
		}
		for what, value := range otherValues(gjson.Get(body, path)) {
			if other, err := sjson.SetRaw(body, path, value); err == nil {
				all = append(all, g.withBody("JSON, "+path+" "+what, other))
			}
		}
		if other, err := sjson.Delete(body, path); err == nil {
			all = append(all, g.withBody("JSON, without "+path, other))
		}
	}
	return all
}

// put puts an object into its place.
func put(body, parent, object string) string {
	if parent == "" {
		return object
	}
	body, _ = sjson.SetRaw(body, parent, object)
	return body
}

// attackedPaths are the paths of the signed fields and of all that the entry reads, and of
// the objects around them.
func (g *genuine) attackedPaths() (paths []string) {
	for _, source := range slices.Concat(g.signedFields(), g.sender.Rules.Reads().Sources) {
		if source.Kind != signature.SourceBody || source.Name == "" {
			continue
		}
		segments := strings.Split(source.Name, ".")
		for i := range segments {
			paths = append(paths, strings.Join(segments[:i+1], "."))
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// likeKeys are keys, as JSON strings, that some reader of JSON takes for this one.
func likeKeys(key string) []string {
	quoted := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	like := []string{
		quoted(key), quoted(strings.ToUpper(key)), quoted(strings.ToLower(key)), quoted(strings.ToUpper(key[:1]) + key[1:]), quoted(strings.ToLower(key[:1]) + key[1:]),
		`"` + unicodeEscapes(key) + `"`, `"` + key + `\u0000"`, `"` + key + `\u0000x"`,
	}
	for letter, other := range map[string]string{"s": "ſ", "S": "ſ", "k": "\u212a", "K": "\u212a", "i": "ı", "I": "İ"} {
		if strings.Contains(key, letter) {
			like = append(like, quoted(strings.ReplaceAll(key, letter, other)), quoted(strings.ToUpper(strings.Replace(key, letter, other, 1))))
		}
	}
	slices.Sort(like)
	return slices.Compact(like)
}

func unicodeEscapes(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		const hex = "0123456789abcdef"
		b.WriteString(`\u` + string([]byte{hex[unit>>12], hex[unit>>8&15], hex[unit>>4&15], hex[unit&15]}))
	}
	return b.String()
}

// rewritten is one document in other bytes.
func rewritten(body string) map[string]string {
	var indented, other strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent(" ", "\t")
	var value any
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.UseNumber()
	if decoder.Decode(&value) == nil {
		_ = encoder.Encode(value)
		_ = json.NewEncoder(&other).Encode(value)
	}
	all := map[string]string{"indented": indented.String(), "sorted": other.String(), "escaped": escapedStrings(body), "slashes escaped": strings.ReplaceAll(body, "/", `\/`)}
	if body != "" && body[0] == '{' {
		all["another member"] = `{"zz":1,` + body[1:]
		all["an empty key"] = `{"":1,` + body[1:]
		all["__proto__"] = `{"__proto__":{"zz":1},` + body[1:]
	}
	return all
}

// escapedStrings writes the letters of all strings as \u escapes.
func escapedStrings(body string) string {
	var b strings.Builder
	inside := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c == '"':
			inside = !inside
			b.WriteByte(c)
		case inside && c == '\\':
			b.WriteString(body[i : i+2])
			i++
		case inside && c|0x20 >= 'a' && c|0x20 <= 'z' && (i < 5 || body[i-1] != 'u' && !strings.Contains(body[i-5:i], `\u`)):
			b.WriteString(unicodeEscapes(string(c)))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// otherValues are other JSON texts for one value: some of them mean the same.
func otherValues(v gjson.Result) map[string]string {
	values := map[string]string{
		"null": "null", "true": "true", "an object": `{"changed":1}`, "a list": `["changed"]`, "changed": `"changed"`, "empty": `""`, "a lone surrogate": `"\ud800"`,
	}
	switch v.Type {
	case gjson.Number:
		values["a fraction"], values["an exponent"], values["a string"], values["minus"] = v.Raw+".0", v.Raw+"e0", `"`+v.Raw+`"`, "-"+v.Raw
	case gjson.String:
		values["escaped"], values["in a list"], values["upper case"] = `"`+unicodeEscapes(v.Str)+`"`, "["+v.Raw+"]", strings.ToUpper(v.Raw)
		values["with a lone surrogate"] = v.Raw[:len(v.Raw)-1] + `\udfff"`
		if v.Str != "" && strings.Trim(v.Str, "0123456789") == "" && v.Str[0] != '0' {
			values["a number"] = v.Str
		}
	case gjson.True, gjson.False:
		values["a string"], values["0"], values["1"] = `"`+v.Raw+`"`, "0", "1"
	case gjson.JSON:
		values["in a string"] = func() string { b, _ := json.Marshal(v.Raw); return string(b) }()
		values["spaced"] = strings.NewReplacer(":", ": ", ",", " ,").Replace(v.Raw)
		if len(v.Raw) > 2 && v.Raw[0] == '{' {
			values["another member"] = `{"zz":1,` + v.Raw[1:]
		}
	}
	return values
}
