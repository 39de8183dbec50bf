package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/sjson"
)

// splitHeaderJSON cuts a header's name and a path in its JSON apart.
func splitHeaderJSON(name string) (header, path string, err error) {
	header, path, ok := strings.Cut(name, ".")
	if !ok {
		return "", "", errors.New("header_json needs a header and a path in its JSON, with a dot between them: header_json X-Signature.kid")
	}
	if err := checkHeaderName(header); err != nil {
		return "", "", err
	}
	_, err = splitPath(path)
	return header, path, err
}

// readHeaderJSON reads a value of the JSON whose base64 a header holds. The text is not
// verified, so it has to be one object without a name that could be read in two ways.
func readHeaderJSON(r *Request, name string) Value {
	header, path, err := splitHeaderJSON(name)
	if err != nil {
		return Value{}
	}
	v := headerValue(r.Header, canonical(header))
	if !v.Found || v.Repeated {
		return v
	}
	text, ok := decodeHeaderJSON(v.Text)
	switch {
	case !ok:
		return Value{Bad: true}
	case !uniqueJSON(string(text), path):
		return Value{Repeated: true}
	}
	return jsonValue(text, path)
}

func decodeHeaderJSON(text string) ([]byte, bool) {
	if len(text) > maxToken || strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	encoding := base64.StdEncoding
	if !strings.HasSuffix(text, "=") {
		encoding = base64.RawStdEncoding
	}
	decoded, err := encoding.Strict().DecodeString(text)
	return decoded, err == nil && isObject(decoded) && json.Valid(decoded)
}

// putHeaderJSON sets a value of the JSON in a header, and leaves the others as they are.
func putHeaderJSON(r *Request, name, value string) error {
	header, path, err := splitHeaderJSON(name)
	if err != nil {
		return err
	}
	text := []byte("{}")
	if before := headerValue(r.Header, canonical(header)); before.Found {
		var ok bool
		if text, ok = decodeHeaderJSON(before.Text); !ok {
			return fmt.Errorf("the header %s is not the base64 of a JSON object", header)
		}
	}
	if text, err = sjson.SetBytes(text, path, value); err != nil {
		return fmt.Errorf("the header %s has no place for %s", header, path)
	}
	r.Header[canonical(header)] = []string{base64.StdEncoding.EncodeToString(text)}
	return nil
}
