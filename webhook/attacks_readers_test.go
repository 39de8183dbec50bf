package webhook

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What apps read out of a body depends on their language and its libraries. These are the
// ways to read that are known, written here from their documentation, and not by the code
// that verifies.

// readings are the values that apps of one kind or another read for one field. A list or an
// object where one value is expected counts as a value of its own.
func readings(r *signature.Request, field signature.Source) (values []string) {
	contentType := strings.Join(r.Header["Content-Type"], ", ")
	kind, name := field.Kind, field.Name
	body := decodedBody(r)
	switch kind {
	case signature.SourceBody:
		values = jsonReadings(body, strings.Split(name, "."))
		first, rest, _ := strings.Cut(name, ".")
		if rest != "" { // qs, Rack and PHP make objects of brackets
			first += "[" + strings.ReplaceAll(rest, ".", "][") + "]"
		}
		return append(values, formReadings(contentType, body, first)...)
	case signature.SourceQuery:
		return append(fieldReadings(pairsOf(r.Query, "&"), name), fieldReadings(pairsOf(strings.ReplaceAll(r.Query, ";", "&"), "&"), name)...)
	case signature.SourceForm: // Java and Rails read the query and the form as one
		return append(formReadings(contentType, body, name), fieldReadings(pairsOf(r.Query, "&"), name)...)
	}
	name, path, _ := strings.Cut(name, ".")
	for _, text := range formReadings(contentType, body, name) {
		values = append(values, jsonReadings(text, strings.Split(path, "."))...)
	}
	return values
}

// decodedBody is what an app has before it that decodes bodies as their Content-Encoding says,
// as Express and ASP.NET do. What follows the end of a stream is not read.
func decodedBody(r *signature.Request) string {
	switch encoding := strings.ToLower(strings.Join(r.Header["Content-Encoding"], ", ")); encoding {
	case "", "identity":
		return string(r.Body)
	case "deflate":
		stream, err := zlib.NewReader(bytes.NewReader(r.Body))
		if err != nil {
			return "cannot be decoded"
		}
		text, _ := io.ReadAll(stream)
		return string(text)
	default:
		return "may be anything"
	}
}

type member struct{ key, raw string }

// pickers choose the member of an object that has a key.
var pickers = []func(object string, key string) (string, bool){
	func(object, key string) (string, bool) {
		return pick(object, func(k string) bool { return k == key }, true)
	},
	func(object, key string) (string, bool) {
		return pick(object, func(k string) bool { return k == key }, false)
	},
	pickGo,
	func(object, key string) (string, bool) {
		return pick(object, func(k string) bool { return strings.EqualFold(k, key) }, true)
	},
	func(object, key string) (string, bool) {
		return pick(object, func(k string) bool { return strings.EqualFold(k, key) }, false)
	},
	func(object, key string) (string, bool) {
		return pick(object, func(k string) bool { return javaFold(k) == javaFold(key) }, true)
	},
	func(object, key string) (string, bool) { // C strings end at a zero byte
		return pick(object, func(k string) bool { k, _, _ = strings.Cut(k, "\x00"); return k == key }, true)
	},
}

func pick(object string, is func(string) bool, last bool) (value string, ok bool) {
	gjson.Parse(object).ForEach(func(k, v gjson.Result) bool {
		if is(k.Str) {
			value, ok = v.Raw, true
		}
		return last || !ok
	})
	return value, ok
}

// pickGo is what encoding/json reads into a field of a struct.
func pickGo(object, key string) (string, bool) {
	made := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "F", Type: reflect.TypeFor[json.RawMessage](), Tag: reflect.StructTag(`json:"` + key + `"`)}}))
	if json.Unmarshal([]byte(object), made.Interface()) != nil {
		return "", false
	}
	raw := made.Elem().Field(0).Bytes()
	return string(raw), raw != nil
}

// javaFold is String.equalsIgnoreCase.
func javaFold(text string) string {
	return strings.Map(func(r rune) rune {
		if r = unicode.ToUpper(r); r == 'İ' {
			return 'i'
		}
		return unicode.ToLower(r)
	}, text)
}

func jsonReadings(text string, path []string) (values []string) {
	if !json.Valid([]byte(text)) {
		return nil
	}
	for _, picker := range pickers {
		value, found := text, true
		for _, key := range path {
			at := gjson.Parse(value)
			if found = found && (at.IsObject() || at.IsArray()); !found {
				break
			}
			if at.IsArray() {
				element := at.Get(key)
				value, found = element.Raw, element.Exists()
				continue
			}
			value, found = picker(value, key)
		}
		if found {
			values = append(values, meaning(gjson.Parse(value)))
		}
	}
	return values
}

// meaning writes a value so that two texts of one meaning are equal. A string may mean a
// number or an object, as many readers convert them: signed is its text alone.
func meaning(v gjson.Result) string {
	if v.Type == gjson.String && json.Valid([]byte(v.Str)) {
		v = gjson.Parse(v.Str)
	}
	switch {
	case v.Type == gjson.String:
		return unitsOf(v.Raw)
	case v.IsObject() || v.IsArray():
		text := v.Raw[:1]
		v.ForEach(func(k, member gjson.Result) bool {
			text += unitsOf(k.Raw) + ":" + meaning(member) + ","
			return true
		})
		return text
	case v.Type == gjson.Null:
		return ""
	}
	return v.Raw
}

var loneSurrogate = regexp.MustCompile(`\\u[dD][89a-fA-F][0-9a-fA-F]{2}`)

// unitsOf decodes a JSON string, and keeps lone surrogates apart as JavaScript and Python do.
func unitsOf(raw string) string {
	pairs := loneSurrogate.ReplaceAllStringFunc(raw, func(escape string) string { return `\` + escape })
	var text string
	if json.Unmarshal([]byte(raw), &text) != nil {
		return raw
	}
	if strings.ContainsRune(text, unicode.ReplacementChar) && pairs != raw {
		_ = json.Unmarshal([]byte(pairs), &text)
		return text
	}
	return string(utf16.Decode(utf16.Encode([]rune(text))))
}

// formReadings reads a field as the Content-Type says.
func formReadings(contentType, body, name string) []string {
	lower := strings.ToLower(contentType)
	switch {
	case strings.Contains(lower, "multipart/form-data"):
		lenient := partsOf(contentType, anyLines.ReplaceAllString(body, "\r\n"))
		for i := range lenient {
			lenient[i].raw = strings.ReplaceAll(lenient[i].raw, "\r\n", "\n")
		}
		return append(fieldReadings(partsOf(contentType, body), name), fieldReadings(lenient, name)...)
	case strings.Contains(lower, formType):
		return append(fieldReadings(pairsOf(body, "&"), name), fieldReadings(pairsOf(strings.ReplaceAll(body, ";", "&"), "&"), name)...)
	}
	return nil
}

// anyLines are the ends of lines to Werkzeug.
var anyLines = regexp.MustCompile(`\r\n|\r|\n`)

func pairsOf(body, sep string) (fields []member) {
	for pair := range strings.SplitSeq(body, sep) {
		key, value, _ := strings.Cut(pair, "=")
		fields = append(fields, member{lenient(key), lenient(value)})
	}
	return fields
}

// lenient decodes what can be decoded, as most readers do.
func lenient(text string) string {
	if decoded, err := url.QueryUnescape(text); err == nil {
		return decoded
	}
	return strings.ReplaceAll(text, "+", " ")
}

const aList = "a list"

// fieldReadings are the values of one field: exactly named, first and last; as PHP folds
// names; in any case; with brackets.
func fieldReadings(fields []member, name string) (values []string) {
	var exact, insensitive []string
	php, hasPHP := "", false
	for _, f := range fields {
		if f.key == name {
			exact = append(exact, f.raw)
		}
		if strings.EqualFold(f.key, name) {
			insensitive = append(insensitive, f.raw)
		}
		if folded, list := phpName(f.key); folded == phpBase(name) {
			if php, hasPHP = f.raw, true; list && f.key != name {
				php = aList
			}
		}
		if strings.HasPrefix(f.key, name+"[") {
			values = append(values, aList)
		}
	}
	if len(exact) > 0 {
		values = append(values, exact[0], exact[len(exact)-1])
	}
	if len(insensitive) > 0 {
		values = append(values, strings.Join(insensitive, ","))
	}
	if hasPHP {
		values = append(values, php)
	}
	return values
}

func phpBase(name string) string { base, _ := phpName(name); return base }

// phpName is the name of the variable that PHP makes, and whether it is a list.
func phpName(name string) (string, bool) {
	name, _, _ = strings.Cut(strings.TrimLeft(name, " "), "\x00")
	list := false
	if i := strings.IndexByte(name, '['); i > 0 && strings.Contains(name[i:], "]") {
		name, list = name[:i], true
	}
	return strings.NewReplacer(".", "_", " ", "_", "[", "_").Replace(name), list
}

var (
	boundaryIn = regexp.MustCompile(`(?i)boundary="?([^";,]+)`)
	nameIn     = regexp.MustCompile(`(?i)[;\s]name\*?=(?:UTF-8'')?["']?([^"';\r\n]*)`)
)

// partsOf are the parts of a multipart body under each name that a reader may see.
func partsOf(contentType, body string) (fields []member) {
	found := boundaryIn.FindStringSubmatch(contentType)
	if found == nil {
		return nil
	}
	for _, part := range strings.Split("\r\n"+body, "\r\n--"+found[1])[1:] {
		head, content, ok := strings.Cut(part, "\r\n\r\n")
		if !ok || strings.HasPrefix(part, "--") {
			continue
		}
		if strings.Contains(strings.ToLower(head), "content-transfer-encoding") {
			content = "decoded " + content
		}
		seen := map[string]bool{}
		add := func(name string) {
			if name = lenientQuotes(name); !seen[name] {
				seen[name] = true
				fields = append(fields, member{name, content})
			}
		}
		for _, line := range strings.Split(strings.ReplaceAll(head, "\r\n ", " "), "\r\n") {
			_, disposition, ok := strings.Cut(line, ":")
			if !ok || !strings.HasPrefix(strings.ToLower(line), "content-disposition") {
				continue
			}
			if _, params, err := mime.ParseMediaType(strings.TrimSpace(disposition)); err == nil {
				add(params["name"])
				continue
			}
			for _, match := range nameIn.FindAllStringSubmatch(disposition, -1) {
				add(match[1])
			}
		}
	}
	return fields
}

func lenientQuotes(name string) string { return strings.Trim(name, `"'`) }
