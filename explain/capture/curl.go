package capture

import (
	"encoding/base64"
	"errors"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// isCurl reports whether a line calls curl, perhaps after a prompt or after variables
// that are set for it.
func isCurl(line []byte) bool {
	for _, word := range strings.Fields(string(line)) {
		switch base := path.Base(word); {
		case word == "$" || word == "%" || word == "sudo" || word == "env":
		case base == "curl" || base == "curl.exe":
			return true
		case !strings.Contains(word, "="):
			return false
		}
	}
	return false
}

// curlLong has the long names of the short options that matter here, and of those that
// take a value.
var curlLong = map[byte]string{
	'X': "request", 'H': "header", 'd': "data", 'A': "user-agent", 'e': "referer", 'b': "cookie", 'u': "user",
	'G': "get", 'I': "head", 'F': "form", 'T': "upload-file",
	'o': "output", 'w': "write-out", 'm': "max-time", 'x': "proxy", 'E': "cert", 'c': "cookie-jar", 'K': "config",
	'r': "range", 'U': "proxy-user", 'y': "speed-time", 'Y': "speed-limit", 'z': "time-cond", 'C': "continue-at",
	'D': "dump-header", 'P': "ftp-port", 'Q': "quote", 't': "telnet-option",
}

// curlValues has the long options that take a value.
var curlValues = map[string]bool{
	"request": true, "header": true, "url": true, "json": true, "user-agent": true, "referer": true, "cookie": true, "user": true,
	"data": true, "data-ascii": true, "data-binary": true, "data-raw": true, "data-urlencode": true,
	"form": true, "form-string": true, "upload-file": true,
	"output": true, "write-out": true, "max-time": true, "connect-timeout": true, "proxy": true, "cert": true, "key": true,
	"cacert": true, "capath": true, "resolve": true, "connect-to": true, "retry": true, "retry-delay": true, "retry-max-time": true,
	"unix-socket": true, "interface": true, "oauth2-bearer": true, "output-dir": true, "limit-rate": true, "cookie-jar": true,
	"config": true, "range": true, "proxy-user": true, "speed-time": true, "speed-limit": true, "time-cond": true,
	"continue-at": true, "dump-header": true, "ftp-port": true, "quote": true, "telnet-option": true, "max-redirs": true,
	"ciphers": true, "tls-max": true, "trace": true, "trace-ascii": true, "stderr": true, "noproxy": true, "aws-sigv4": true,
}

// forWindows tells a command by its first line that is continued or quoted with ^, as
// browsers copy it for cmd.
var forWindows = regexp.MustCompile(`^[^\n]*(curl(\.exe)?[ \t]+\^"|[ \t]\^[ \t\r]*(\n|$))`)

// curl is a command while it is read.
type curl struct {
	*Capture
	given       []byte // the body that --body gave
	method, url string
	data        []string
	hasData     bool
	get, head   bool
	contentType string // what curl sends unless a header says otherwise
	dropped     map[string]bool
}

// parseCurl reads a curl command line. given is the content of the file in -d @file.
func parseCurl(text string, given []byte) (*Capture, error) {
	if forWindows.MatchString(text) {
		return nil, errors.New("the command is written for Windows' cmd: copy it for bash")
	}
	words, err := shellWords(text)
	if err != nil {
		return nil, err
	}
	for len(words) > 0 && !isCurl([]byte(words[0])) {
		words = words[1:]
	}
	if len(words) == 0 {
		return nil, ErrUnknown
	}
	c := &curl{Capture: newCapture(FormCurl), given: given, dropped: make(map[string]bool)}
	for words = words[1:]; len(words) > 0; {
		if words, err = c.option(words); err != nil {
			return nil, err
		}
	}
	return c.finish()
}

// option reads the first word and its value, and returns the rest.
func (c *curl) option(words []string) ([]string, error) {
	word, rest := words[0], words[1:]
	if long, ok := strings.CutPrefix(word, "--"); ok && long != "" {
		if !curlValues[long] {
			c.flag(long)
			return rest, nil
		}
		if len(rest) == 0 {
			return nil, errors.New("the last option of the command lacks its value")
		}
		return rest[1:], c.set(long, rest[0])
	}
	if len(word) < 2 || word[0] != '-' {
		if c.url == "" {
			c.url = word
		}
		return rest, nil
	}
	for i := 1; i < len(word); i++ { // -sSX POST, -XPOST
		long := curlLong[word[i]]
		if !curlValues[long] {
			c.flag(long)
			continue
		}
		if value := word[i+1:]; value != "" {
			return rest, c.set(long, value)
		}
		if len(rest) == 0 {
			return nil, errors.New("the last option of the command lacks its value")
		}
		return rest[1:], c.set(long, rest[0])
	}
	return rest, nil
}

func (c *curl) flag(name string) {
	switch name {
	case "get":
		c.get = true
	case "head":
		c.head = true
	}
}

func (c *curl) set(name, value string) error {
	switch name {
	case "request":
		c.method = strings.ToUpper(value)
	case "url":
		c.url = value
	case "header":
		return c.headerLine(value)
	case "user-agent":
		return c.addHeader("User-Agent", value)
	case "referer":
		return c.addHeader("Referer", value)
	case "cookie":
		return c.addHeader("Cookie", value)
	case "user":
		return c.addHeader("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(value)))
	case "oauth2-bearer":
		return c.addHeader("Authorization", "Bearer "+value)
	case "form", "form-string", "upload-file":
		return errors.New("the command sends a file or a multipart form: give the bytes that were sent with --data-binary")
	case "json":
		c.contentType = "application/json"
		return c.addData(name, value)
	case "data", "data-ascii", "data-binary", "data-raw", "data-urlencode":
		return c.addData(name, value)
	}
	return nil
}

// headerLine reads the value of -H: `Name: value`, `Name;` for a header without a
// value, or `Name:` to remove curl's own.
func (c *curl) headerLine(line string) error {
	if strings.HasPrefix(line, "@") {
		return errors.New("the command reads headers from a file: write them into it with -H")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		if name, ok = strings.CutSuffix(line, ";"); !ok {
			return errors.New("a header of the command has no colon")
		}
		return c.addHeader(name, "")
	}
	if value = strings.TrimSpace(value); value == "" {
		c.dropped[strings.ToLower(name)] = true
		return nil
	}
	return c.addHeader(name, value)
}

// addData adds to the body. -d removes line breaks from a file, not from its argument.
func (c *curl) addData(option, value string) error {
	c.hasData = true
	file := strings.HasPrefix(value, "@") && option != "data-raw"
	switch {
	case option == "data-urlencode":
		encoded, err := urlencode(value)
		c.data = append(c.data, encoded)
		return err
	case file && c.given == nil:
		return errors.New("the command takes its body from a file: give that file with --body")
	case file && (option == "data" || option == "data-ascii"):
		stripped := strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(string(c.given))
		if stripped != string(c.given) {
			c.Unstripped = c.given
		}
		c.data = append(c.data, stripped)
	case file:
		c.data = append(c.data, string(c.given))
	default:
		c.data = append(c.data, value)
	}
	return nil
}

// urlencode encodes as --data-urlencode does: `content`, `=content` or `name=content`.
// It has no access to files.
func urlencode(value string) (string, error) {
	at := strings.IndexAny(value, "=@")
	if at < 0 {
		return escapeForm(value), nil
	}
	if value[at] == '@' {
		return "", errors.New("the command takes its body from a file: write it out with --data-binary")
	}
	name := value[:at]
	if name != "" {
		name += "="
	}
	return name + escapeForm(value[at+1:]), nil
}

func escapeForm(text string) string {
	return strings.ReplaceAll(url.QueryEscape(text), "+", "%20")
}

// finish builds the request that curl would send.
func (c *curl) finish() (*Capture, error) {
	if c.url == "" {
		return nil, errors.New("the command has no URL")
	}
	if !strings.Contains(c.url, "://") {
		c.url = "http://" + c.url // as curl does
	}
	host := c.Request.Host // -H 'Host: …'
	if err := c.setTarget(c.url); err != nil {
		return nil, err
	}
	if host != "" {
		c.Request.Host = host
	}
	c.finishMethod()
	separator := "&"
	if c.contentType != "" {
		separator = "" // several --json are one text
	}
	data := strings.Join(c.data, separator)
	switch {
	case c.get:
		c.Request.Query = strings.TrimPrefix(c.Request.Query+"&"+data, "&")
	case c.hasData:
		c.Request.Body = []byte(data)
		c.finishContentType()
	case c.given != nil:
		c.Request.Body = c.given
	}
	return c.Capture, nil
}

func (c *curl) finishMethod() {
	c.Request.Method = "GET"
	if c.head {
		c.Request.Method = "HEAD"
	}
	if c.hasData && !c.get || c.given != nil {
		c.Request.Method = "POST"
	}
	if c.method != "" {
		c.Request.Method = c.method
	}
}

func (c *curl) finishContentType() {
	if len(c.Request.Header["Content-Type"]) > 0 || c.dropped["content-type"] {
		return
	}
	if c.contentType == "" {
		c.contentType = "application/x-www-form-urlencoded"
	}
	c.Request.Header["Content-Type"] = []string{c.contentType}
}
