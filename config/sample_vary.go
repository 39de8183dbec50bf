package config

import (
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// vary makes what is signed of the sample new. A guard takes two events of which the
// same bytes are signed for one, whatever ID is sent beside them. signed are the fields that
// are signed where the whole body is not.
func (f *filler) vary(signed []signature.Source, id string) {
	if f.err != nil {
		return
	}
	if !f.varyField(signed, id) && !holdsID(string(f.sample.Body), id) {
		f.varyBody(id)
	}
}

// varyField puts the ID into one of the fields that are signed where the whole body is
// not, unless it is in one. It reports whether there is one.
func (f *filler) varyField(fields []signature.Source, id string) bool {
	var free []signature.Source
	for _, field := range fields {
		if field.Kind == signature.SourceBody && holdsID(gjson.GetBytes(f.sample.Body, field.Name).String(), id) {
			return true
		}
		isForm := field.Kind == signature.SourceForm || field.Kind == signature.SourceFormJSON
		if !f.set[field] && (!isForm || f.sample.ContentType != contentJSON) { // a sender may have either body
			free = append(free, field)
		}
	}
	for _, field := range free {
		if value := gjson.GetBytes(f.sample.Body, field.Name); field.Kind == signature.SourceBody && value.IsObject() {
			f.varyObject(field.Name, value.Raw, id)
			return true
		}
		if idLike.MatchString(lastKey(field.Name)) || len(free) == 1 {
			f.put(field, func(before gjson.Result) any {
				if inside, ok := insideXML(before.String(), id); ok {
					return inside
				}
				if before.Type == gjson.String && gjson.Parse(before.Str).IsObject() {
					if inside, err := varyJSON(before.Str, id); err == nil {
						return inside
					}
				}
				return newID(before, id)
			})
			return true
		}
	}
	for _, field := range free { // none that looks like an ID
		if value := gjson.GetBytes(f.sample.Body, field.Name); field.Kind == signature.SourceBody && value.Type == gjson.String && value.Str != "" {
			f.put(field, func(before gjson.Result) any { return newID(before, id) })
			return true
		}
	}
	return false
}

// insideXML puts the ID into a comment at the end of XML in base64.
func insideXML(encoded, id string) (string, bool) {
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.HasPrefix(string(text), "<") {
		return "", false
	}
	return base64.StdEncoding.EncodeToString([]byte(strings.TrimRight(string(text), "\n") + "<!-- " + id + " -->")), true
}

func (f *filler) varyObject(path, object, id string) {
	if object, f.err = varyJSON(object, id); f.err == nil {
		f.sample.Body, f.err = sjson.SetRawBytes(f.sample.Body, path, []byte(object))
	}
}

// varyBody puts the ID into the place of the body that looks most like an ID of its own.
func (f *filler) varyBody(id string) {
	if f.sample.ContentType == contentJSON {
		var text string
		text, f.err = varyJSON(string(f.sample.Body), id)
		f.sample.Body = []byte(text)
		return
	}
	var names []string
	for pair := range strings.SplitSeq(string(f.sample.Body), "&") {
		name, text, _ := strings.Cut(pair, "=")
		names = append(names, name)
		if strings.HasPrefix(text, "%7B") || strings.HasPrefix(text, "%5B") { // JSON
			f.inForm(name, func(text string) (string, error) { return varyJSON(text, id) })
			return
		}
	}
	name := bestID(names)
	if name == "" {
		f.sample.Body = append(f.sample.Body, "&sample_id="+url.QueryEscape(id)...)
		return
	}
	f.inForm(name, func(before string) (string, error) {
		text, _ := newID(gjson.Result{Type: gjson.String, Str: before}, id).(string)
		return text, nil
	})
}

func varyJSON(text, id string) (string, error) {
	body := gjson.Parse(text)
	path := bestID(leaves(body, "", nil))
	switch {
	case path != "":
	case body.IsArray():
		path = "0.sample_id"
	default:
		path = "sample_id"
	}
	return sjson.Set(text, path, newID(body.Get(path), id))
}

var (
	// idLike are the keys of IDs.
	idLike = regexp.MustCompile(`(?:^|[._-])(?:id|uid|gid|mid|uuid|guid|sha)$|[a-z](?:Id|ID|Sid|Uuid|UUID)$`)

	// nameLike are the keys of what is at least new for most events.
	nameLike = regexp.MustCompile(`(?:^|[._-])(?:after|uri|key|token|number|reference)$`)

	// ownerLike are the paths of IDs that are the same for many events.
	ownerLike = regexp.MustCompile(`(?i)account|user|owner|team|org|workspace|tenant|shop|store|site|app|client|merchant|customer|project|endpoint|webhook|hook_id|subscription|company|business|board|sender|recipient|repository|environment|event_type|api|channel|group|server|library|location|^entry\.0\.id$`)
)

// ownIDs are the sources of a composite ID that are new for each event: not a status, a
// time or an account beside the ID proper.
func ownIDs(sources []signature.Source) []signature.Source {
	own := slices.DeleteFunc(slices.Clone(sources), func(source signature.Source) bool {
		return !idLike.MatchString(lastKey(source.Name)) || ownerLike.MatchString(source.Name)
	})
	if len(own) == 0 {
		return sources
	}
	return own
}

// bestID chooses a place for an ID, or returns "".
func bestID(paths []string) string {
	for _, fits := range []func(path string) bool{
		func(path string) bool { return idLike.MatchString(lastKey(path)) && !ownerLike.MatchString(path) },
		func(path string) bool { return nameLike.MatchString(lastKey(path)) && !ownerLike.MatchString(path) },
		func(path string) bool { return path == "ref" },
		func(path string) bool { return idLike.MatchString(lastKey(path)) },
	} {
		if i := slices.IndexFunc(paths, fits); i >= 0 {
			return paths[i]
		}
	}
	return ""
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

var escapeKey = strings.NewReplacer(".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`)

// leaves adds the paths of all strings and numbers in value to paths.
func leaves(value gjson.Result, path string, paths []string) []string {
	if !value.IsObject() && !value.IsArray() {
		if value.Type == gjson.String || value.Type == gjson.Number {
			paths = append(paths, path)
		}
		return paths
	}
	index := 0
	value.ForEach(func(key, child gjson.Result) bool {
		name := escapeKey.Replace(key.String())
		if value.IsArray() {
			name = strconv.Itoa(index)
		}
		index++
		if path != "" {
			name = path + "." + name
		}
		paths = leaves(child, name, paths)
		return true
	})
	return paths
}

var (
	uuidShape   = regexp.MustCompile(`^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	digestShape = regexp.MustCompile(`^[0-9a-f]{20,}$`)
	letters     = regexp.MustCompile(`^[A-Z]{2}[0-9]`)
)

// newID makes an ID of the shape that a sample's has: evt_123 becomes evt_<id>, a number
// stays one, and so do a UUID and a digest.
func newID(like gjson.Result, id string) any {
	text := like.String()
	switch {
	case like.Type == gjson.Number:
		return numberOf(id)
	case uuidShape.MatchString(text):
		return uuidOf(id)
	case digestShape.MatchString(text) && len(id) < len(text):
		return id + text[len(id):]
	case letters.MatchString(text):
		return text[:2] + id
	}
	return text[:strings.LastIndexAny(text, "/_-")+1] + id
}

func hashOf(id string) uint64 {
	digest := fnv.New64a()
	digest.Write([]byte(id))
	return digest.Sum64()
}

// numberOf makes an ID a number that every JSON parser reads exactly.
func numberOf(id string) uint64 { return hashOf(id)>>16 | 1<<47 }

func uuidOf(id string) string {
	text := fmt.Sprintf("%016x", hashOf(id))
	return text[:8] + "-" + text[8:12] + "-4000-8000-" + text[4:]
}

func holdsID(text, id string) bool {
	return strings.Contains(text, id) || strings.Contains(text, strconv.FormatUint(numberOf(id), 10)) || strings.Contains(text, uuidOf(id))
}
