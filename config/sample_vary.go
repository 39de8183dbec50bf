package config

import (
	"hash/fnv"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// vary makes what is signed of the sample new. A guard takes two events of which the
// same bytes are signed for one, whatever ID is sent beside them.
func (f *filler) vary(scheme *signature.Scheme, id string) {
	if f.err != nil {
		return
	}
	f.varyField(scheme.CoveredFields(), id)
	if !holdsID(string(f.sample.Body), id) {
		f.varyBody(id)
	}
}

// varyField puts the ID into one of the fields that are signed where the whole body is
// not, unless it is in one.
func (f *filler) varyField(fields []signature.Source, id string) {
	var free []signature.Source
	for _, field := range fields {
		if field.Kind == signature.SourceBody && holdsID(gjson.GetBytes(f.sample.Body, field.Name).String(), id) {
			return
		}
		if !f.set[field] {
			free = append(free, field)
		}
	}
	for _, field := range free {
		if idLike.MatchString(lastKey(field.Name)) || len(free) == 1 {
			f.put(field, func(before gjson.Result) any { return newID(before, id) })
			return
		}
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
	idLike = regexp.MustCompile(`(?:^|[._-])(?:id|uid|gid|uuid|guid|uri|sha|key|token|number|reference|after)$|[a-z](?:Id|ID|Sid|Uuid|UUID)$`)

	// ownerLike are the keys of IDs that are the same for many events.
	ownerLike = regexp.MustCompile(`(?i)account|user|owner|team|org|workspace|tenant|shop|store|site|app|client|merchant|customer|project|endpoint|webhook|subscription|company|business|board|sender|repository|environment|event_type|api`)
)

// bestID chooses a place for an ID, or returns "".
func bestID(paths []string) string {
	second := ""
	for _, path := range paths {
		if !idLike.MatchString(lastKey(path)) {
			continue
		}
		if !ownerLike.MatchString(path) {
			return path
		}
		if second == "" {
			second = path
		}
	}
	return second
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

// newID replaces the last part of a sample's ID with id, so that evt_123 becomes
// evt_<id>. A number stays one.
func newID(like gjson.Result, id string) any {
	if like.Type == gjson.Number {
		return numberOf(id)
	}
	text := like.String()
	return text[:strings.LastIndexAny(text, "_-")+1] + id
}

// numberOf makes an ID a number that every JSON parser reads exactly.
func numberOf(id string) uint64 {
	digest := fnv.New64a()
	digest.Write([]byte(id))
	return digest.Sum64()>>16 | 1<<47
}

func holdsID(text, id string) bool {
	return strings.Contains(text, id) || strings.Contains(text, strconv.FormatUint(numberOf(id), 10))
}
