package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// fill repeats the pieces that make returns until there are n bytes.
func fill(n int, before, after string, make func(i int) string) []byte {
	var b bytes.Buffer
	b.WriteString(before)
	for i := 0; b.Len() < n-len(after)-4096; i++ {
		b.WriteString(make(i))
	}
	b.WriteString(after)
	return b.Bytes()
}

// parsed is a kind of scheme that has to look into a body before it can be verified, and
// the body that costs most.
type parsed struct {
	lines   string
	headers []string
	body    []byte
}

const someMAC = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func parsedKinds() map[string]parsed {
	const size = largest
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	multipart := []string{"Content-Type", "multipart/form-data; boundary=x"}
	field := func(name, text string) string {
		return "--x\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + text + "\r\n"
	}
	names := string(fill(size*3/4-1024, `{"alg":"HS256"`, `}`, func(i int) string { return fmt.Sprintf(`,"%x":0`, i) }))
	claims := string(fill(size*3/4-1024, `{"iss":"x"`, `}`, func(i int) string { return fmt.Sprintf(`,"%x":0`, i) }))
	fields := fill(size, "a=b", "", func(i int) string { return fmt.Sprintf("&%d=%s", i, strings.Repeat("x+%41", 220)) })
	many := fill(size, "a=b", "", func(i int) string { return fmt.Sprintf("&%x", i) })
	parts := fill(size, "", "--x--\r\n", func(i int) string { return field(fmt.Sprintf("%x", i), "") })
	wide := fill(size, `{"sig":"`+someMAC+`","data":"1"`, `}`, func(i int) string { return fmt.Sprintf(`,"%x":0`, i) })
	deep := []byte(`{"sig":"` + someMAC + `","data":` + strings.Repeat("[", size/2-100) + strings.Repeat("]", size/2-100) + `}`)
	long := []byte(`{"sig":"` + someMAC + `","data":"` + strings.Repeat(`\u00e9`, size/6-100) + `"}`)
	object := []byte(`{"sig":"` + someMAC + `","data":{"x":"` + strings.Repeat("é", size/2-100) + `"}}`)
	list := fill(size-8192, `{"items":[`, `{}]}`, func(i int) string {
		return `{"sig":"` + someMAC + `","id":"` + fmt.Sprint(i) + strings.Repeat("x", 10400) + `"},`
	})
	header, numbered := []string{"X-Signature", someMAC}, []string(nil)
	for i := range 16 {
		numbered = append(numbered, fmt.Sprintf("X-Sig-%d", i), someMAC)
	}
	return map[string]parsed{
		"the whole body":                  {"signature X-Signature sha256 hex", header, bytes.Repeat([]byte("x"), size)},
		"a token with a wide header":      {"signature body sha256\nscheme jwt", nil, []byte(part(names) + "." + part("{}") + "." + someMAC)},
		"a token with many claims":        {"signature body sha256\nscheme jwt", nil, []byte(part(`{"alg":"HS256"}`) + "." + part(claims) + "." + part(someMAC[:32]))},
		"a token, deep":                   {"signature body sha256\nscheme jwt", nil, []byte(part(`{"alg":"HS256"}`) + "." + part(`{"a":`+strings.Repeat("[", size/3)+strings.Repeat("]", size/3)+"}") + "." + part(someMAC[:32]))},
		"a sorted form, 9,900 fields":     {"signature X-Signature sha256 hex\nsigned {form_sorted}", append(form, header...), fields},
		"a sorted form, a million fields": {"signature X-Signature sha256 hex\nsigned {form_sorted}", append(form, header...), many},
		"a form's field":                  {"signature form sig sha256 hex\nsigned {form.data}", form, append([]byte("sig="+someMAC+"&data="), bytes.Repeat([]byte("x+%41"), size/5-100)...)},
		"a form of one long name":         {"signature form sig sha256 hex\nsigned {form.data}", form, append([]byte("sig="+someMAC+"&data=1&a"), bytes.Repeat([]byte("["), size-1000)...)},
		"a form of odd names":             {"signature form sig sha256 hex\nsigned {form.data}", form, append([]byte("sig="+someMAC+"&data=1"), bytes.Repeat([]byte("&[[[[[["), size/8)...)},
		"a form of many fields":           {"signature form sig sha256 hex\nsigned {form.data}", form, append([]byte("sig="+someMAC+"&data=1&"), many[:size-1000]...)},
		"multipart, many parts":           {"signature form sig sha256 hex\nsigned {form.data}", multipart, append([]byte(field("sig", someMAC)+field("data", "1")), parts[:size-1000]...)},
		"multipart, one part":             {"signature form sig sha256 hex\nsigned {form.data}", multipart, []byte(field("sig", someMAC) + field("data", strings.Repeat("x", size-1000)) + "--x--\r\n")},
		"multipart, a long disposition":   {"signature form sig sha256 hex\nsigned {form.data}", multipart, []byte(field("sig", someMAC) + field("data", "1") + field(strings.Repeat("x", size-2000), "1") + "--x--\r\n")},
		"multipart, long headers":         {"signature form sig sha256 hex\nsigned {form.data}", multipart, []byte(field("sig", someMAC) + fill2(size))},
		"JSON in a form": {"signature form_json p.sig sha256 hex\nsigned {form_json.p.data}", form,
			append([]byte(`p={"sig":"`+someMAC+`","data":"`), append(bytes.Repeat([]byte("x+%41"), size/5-200), `"}`...)...)},
		"JSON in a part":                     {"signature form_json p.sig sha256 hex\nsigned {form_json.p.data}", multipart, []byte(field("p", string(long[:size-1000])+`"}`) + "--x--\r\n")},
		"JSON, wide":                         {"signature body sig sha256 hex\nsigned {body.data}", nil, wide},
		"JSON, deep":                         {"signature body sig sha256 hex\nsigned {body.data}", nil, deep},
		"JSON, a long text":                  {"signature body sig sha256 hex\nsigned {body.data}", nil, long},
		"JSON, several long texts":           {"signature X-Signature sha256 hex\nsigned {body.data}{body.data}{body.data|lower}", header, long},
		"JSON as PHP writes it":              {"signature body sig sha256 base64\nsigned {body.data|php_json}", nil, bytes.Replace(object, []byte(someMAC), []byte(base64.StdEncoding.EncodeToString([]byte(someMAC[:32]))), 1)},
		"the whole body as PHP writes it":    {"signature X-Signature sha256 hex\nsigned {body|php_json}", header, object},
		"the body in base64":                 {"signature X-Signature sha256 hex\nsigned {body|base64}.{body|hex}", header, wide},
		"a list of items":                    {"items items\nsignature body sig sha256 hex\nsigned {body.id}", nil, list},
		"signatures over the text":           {"signature X-Signature ed25519 hex", []string{"X-Signature", someMAC + someMAC}, wide},
		"many signatures in a header":        {"signature X-Signature sha256 hex {signature} split ,", []string{"X-Signature", strings.Repeat(someMAC+",", 150)}, wide},
		"many headers":                       {"signature X-Sig-* sha256 hex", numbered, wide},
		"a token in JSON":                    {"token body data", nil, long},
		"a token in a form":                  {"token form data", form, append([]byte("data="), bytes.Repeat([]byte("x+%41"), size/5-100)...)},
		"a check of the endpoint":            {"signature X-Signature sha256 hex\nhandshake slack", header, long},
		"a check of the endpoint, as a form": {"signature X-Signature sha256 hex\nhandshake woocommerce", append(header, form...), many},
		"Twilio's":                           {"scheme twilio", append(form, "X-Twilio-Signature", base64.StdEncoding.EncodeToString([]byte(someMAC[:20]))), fields},
	}
}

// fill2 is a multipart part whose headers take all of a body.
func fill2(size int) string {
	return "--x\r\n" + string(fill(size-2000, "", "\r\n--x--\r\n", func(i int) string { return fmt.Sprintf("X-%x: 1\r\n", i) }))
}

// 24 at once of the largest bodies, without a valid signature: the process's memory stays
// under max_buffered plus 150 MiB, whatever is in them.
func TestAttackMemoryOfForgedBodies(t *testing.T) {
	for what, kind := range parsedKinds() {
		t.Run(what, func(t *testing.T) {
			lines := kind.lines
			key := "secret"
			if strings.Contains(lines, "ed25519") {
				lines += "\n"
				key = "public_key"
			}
			g := testbed.StartGateway(t, site{
				store: "memory", guards: "provider kind {\n" + lines + "\n}",
				routes: "tracing {\nspan hooks\n}\nwebhook_guard kind {\n" + key + " " + someMAC + "\n}\nrespond ok",
			}.caddyfile(), testbed.WithoutRaceDetector(), testbed.WithEnv("OTEL_TRACES_EXPORTER=none"))
			before := memory(t, g, "VmRSS")
			results := make(map[string]int)
			var mu sync.Mutex
			var wg sync.WaitGroup
			for range 24 {
				wg.Go(func() {
					req, err := http.NewRequest(http.MethodPost, g.URL("/"), nil)
					if err != nil {
						t.Error(err)
						return
					}
					for i := 0; i+1 < len(kind.headers); i += 2 {
						req.Header.Set(kind.headers[i], kind.headers[i+1])
					}
					result := flood(req, kind.body)
					mu.Lock()
					defer mu.Unlock()
					results[result]++
				})
			}
			wg.Wait()
			most := memory(t, g, "VmHWM")
			t.Logf("%d bytes; resident: %d MiB before, %d MiB at most; %v", len(kind.body), before/mebibyte, most/mebibyte, results)
			if bound := (256 + 150) * mebibyte; most > bound {
				t.Errorf("the gateway had %d MiB resident, more than %d", most/mebibyte, bound/mebibyte)
			}
			for result := range results {
				if !strings.HasPrefix(result, "401 ") && result != "503 overloaded" && result != "503 body_timeout" && result != "no answer" {
					t.Errorf("a forgery got %s", result)
				}
			}
		})
	}
}
