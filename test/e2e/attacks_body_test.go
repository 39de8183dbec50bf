package e2e

import (
	"compress/zlib"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/internal/testbed"
)

// A body of which only a part is signed has nothing beside it that an app could take for the
// signed part, whatever its language.
func TestAttackFieldsBesideSignedOnes(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	g := site{store: "memory", routes: "\thandle /exact {\n\t\twebhook_guard exact-online {\n\t\t\tsecret " + reportSecret + "\n\t\t}\n\t\t" + proxy(app) + "\n\t}\n" +
		"\thandle /gogs {\n\t\twebhook_guard gogs {\n\t\t\tsecret " + reportSecret + "\n\t\t}\n\t\t" + proxy(app) + "\n\t}\n"}.start(t)
	content := `{"Topic":"Accounts","Key":"` + testbed.NewID() + `"}`
	signed := `"Content":` + content + `,"HashCode":"` + hex.EncodeToString(sum256(content)) + `"`
	payload := `{"ref":"` + testbed.NewID() + `"}`
	mac := hex.EncodeToString(sum256(payload))
	exact := func(body, contentType string, more ...string) reported {
		return reported{"/exact", body, append(more, "Content-Type", contentType)}
	}
	gogs := func(query, body, contentType string, more ...string) reported {
		return reported{"/gogs" + query, body, append(more, "Content-Type", contentType, "X-Gogs-Signature", mac, "X-Gogs-Delivery", testbed.NewID(), "X-Gogs-Event", "push")}
	}
	const form = "application/x-www-form-urlencoded"
	field := "payload=" + strings.NewReplacer("{", "%7B", "}", "%7D", `"`, "%22", ":", "%3A").Replace(payload)
	for name, r := range map[string]reported{
		"another case":             exact(`{`+signed+`,"content":{"Topic":"EVIL"}}`, "application/json"),
		"another case, first":      exact(`{"CONTENT":{"Topic":"EVIL"},`+signed+`}`, "application/json"),
		"twice":                    exact(`{`+signed+`,"Content":{"Topic":"EVIL"}}`, "application/json"),
		"escaped":                  exact(`{`+signed+`,"\u0043ontent":{"Topic":"EVIL"}}`, "application/json"),
		"called a form":            exact(`{`+signed+`,"x":"&Content[Topic]=EVIL"}`, form),
		"as text":                  exact(`{"Content":`+fmt.Sprintf("%q", content)+signed[len(`"Content":`+content):]+`}`, "application/json"),
		"a list in a form":         gogs("", field+"&payload[]=EVIL", form),
		"a space before":           gogs("", field+"&+payload=EVIL", form),
		"after a semicolon":        gogs("", field+"&x=1;payload=EVIL", form),
		"in the query":             gogs("?payload=EVIL", field, form),
		"parts behind a form":      gogs("", field+"&x=\r\n--b\r\nContent-Disposition: form-data; name=\"payload\"\r\n\r\nEVIL\r\n--b--\r\n", "multipart/form-data; boundary=b"),
		"parts with another name":  gogs("", parts("payload", payload, `payload"; name="x`, "EVIL"), "multipart/form-data; boundary=b"),
		"parts of another charset": gogs("", field, form+"; charset=utf-7"),
		"a part behind line feeds": gogs("", parts("x", "\n--b\nContent-Disposition: form-data; name=\"payload\"\n\nEVIL\n", "payload", payload), "multipart/form-data; boundary=b"),
		"a compressed form before": gogs("", zlibForm(t, "payload=EVIL")+"&"+field, form, "Content-Encoding", "deflate"),
		"a form that is decoded":   gogs("", field, form, "Content-Encoding", "br"),
		"JSON that is decoded":     exact(`{`+signed+`}`, "application/json", "Content-Encoding", "gzip"),
		"called YAML":              exact(`{`+signed+`}`, "application/yaml"),
	} {
		if resp := r.send(t, g); resp.Guard != "signature_malformed" || resp.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, resp.Status, resp.Guard)
		}
	}
	wantCalls(t, app, 0)
	for _, r := range []reported{exact(`{`+signed+`,"other":1}`, "application/json; charset=utf-8"), gogs("?x=1", field+"&other=1", form)} {
		if resp := r.send(t, g); resp.Guard != "forwarded" {
			t.Errorf("the genuine one: %d %s", resp.Status, resp.Guard)
		}
	}
	wantCalls(t, app, 2)
}

// zlibForm is a form, compressed into what is the name of a field to those who do not
// decompress it.
func zlibForm(t *testing.T, form string) string {
	t.Helper()
	for i := range 1000 {
		var b strings.Builder
		w, err := zlib.NewWriterLevel(&b, 3)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(w, "%s&x=%d", form, i)
		_ = w.Close()
		if text := b.String(); strings.HasPrefix(text, "x^") && !strings.ContainsAny(text, "%;&") {
			return text
		}
	}
	t.Fatal("no compressed form is a name")
	return ""
}

// parts is a multipart body of fields, given as pairs.
func parts(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		b.WriteString("--b\r\nContent-Disposition: form-data; name=\"" + fields[i] + "\"\r\n\r\n" + fields[i+1] + "\r\n")
	}
	return b.String() + "--b--\r\n"
}

// A captured form stays a duplicate, and an old one expired, under any other Content-Type.
func TestAttackFormUnderAnotherContentType(t *testing.T) {
	t.Parallel()
	app := testbed.StartApp(t, nil)
	provider := "provider forms {\n\tsignature X-Sig\n\tid form event_id\n\tevent_time form at unix\n\tevent form type\n}"
	g := site{store: "memory", guards: provider,
		routes: "\thandle /forms {\n\t\twebhook_guard forms {\n\t\t\tsecret " + reportSecret + "\n\t\t}\n\t\t" + proxy(app) + "\n\t}\n"}.start(t)
	types := []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "multipart/form-data", "application/json", "text/plain; charset=utf-16", "garbage", ""}
	send := func(body, contentType string) testbed.Response {
		return reported{"/forms", body, []string{"Content-Type", contentType, "X-Sig", hex.EncodeToString(sum256(body))}}.send(t, g)
	}
	at := func(age time.Duration) string { return fmt.Sprint(time.Now().Add(-age).Unix()) }
	calls := 0
	for what, body := range map[string]string{
		"a form": "event_id=e1&type=t&at=" + at(time.Minute), "parts": parts("event_id", "e2", "type", "t", "at", at(time.Minute)),
	} {
		want := "forwarded"
		for _, contentType := range types {
			if resp := send(body, contentType); resp.Guard != want {
				t.Errorf("%s as %q: %d %s, want %s", what, contentType, resp.Status, resp.Guard, want)
			}
			want = "duplicate"
		}
		calls++
		wantCalls(t, app, calls)
		if event := last(t, app).Header.Get("Webhook-Guard-Event"); event != "t" {
			t.Errorf("%s: the type is %q", what, event)
		}
	}
	old := at(30 * 24 * time.Hour)
	for what, body := range map[string]string{"a form": "event_id=e3&at=" + old, "parts": parts("event_id", "e4", "at", old)} {
		for _, contentType := range types {
			if resp := send(body, contentType); resp.Guard != "event_expired" {
				t.Errorf("an old %s as %q: %d %s", what, contentType, resp.Status, resp.Guard)
			}
		}
	}
	for body, want := range map[string]string{"event_id=e5": "timestamp_malformed", "at=" + at(0): "id_malformed", parts("at", at(0)): "id_malformed"} {
		if resp := send(body, types[0]); resp.Guard != want {
			t.Errorf("%q: %d %s, want %s", body, resp.Status, resp.Guard, want)
		}
	}
	wantCalls(t, app, calls)
}
