package config

import (
	"encoding/base64"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// Every event that is listed can be had, and the first one is the default.
func TestSampleEvents(t *testing.T) {
	files, err := fs.Glob(sampleFiles, "samples/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(strings.TrimPrefix(file, "samples/"), ".json")
		events := SampleEvents(name)
		if len(events) == 0 {
			t.Errorf("%s lists no events", name)
			continue
		}
		for i, event := range append([]string{""}, events...) {
			sample, err := NewSample(name, Builtin()[name], event, "0123456789abcdef", time.Now())
			if err != nil {
				t.Errorf("%s %s: %v", name, event, err)
			}
			if i == 0 && sample.Event != events[0] {
				t.Errorf("%s: the default is %s, the first is %s", name, sample.Event, events[0])
			}
		}
	}
	if events := SampleEvents("nobody"); events != nil {
		t.Errorf("an unknown provider has events: %q", events)
	}
}

// Senders that many use have the ten events that are used most.
func TestCommonSendersHaveTenSamples(t *testing.T) {
	for _, name := range []string{
		"stripe", "github", "shopify", "slack", "twilio", "gitlab-secret-token", "gitlab-signing-token", "meta-facebook-whatsapp-instagram",
		"zoom", "sendgrid", "mailgun", "intercom", "hubspot-v3", "square", "linear", "paddle",
	} {
		if got := len(SampleEvents(name)); got < 10 {
			t.Errorf("%s has %d sample events", name, got)
		}
	}
}

// A sample is of the type that it is listed under, where the body says it.
func TestSamplesAreOfTheirType(t *testing.T) {
	for _, name := range Builtin().Names() {
		p := Builtin()[name]
		if p.Event.Kind != signature.SourceBody {
			continue
		}
		for _, event := range SampleEvents(name) {
			sample, err := NewSample(name, p, event, "0123456789abcdef", time.Now())
			if err != nil || sample.ContentType != contentJSON {
				continue
			}
			want, _, _ := strings.Cut(event, "/") // Meta's objects have several kinds of changes
			if got := gjson.GetBytes(sample.Body, p.Event.Name).String(); got != event && got != want {
				t.Errorf("%s %s is of the type %q", name, event, got)
			}
		}
	}
}

// A sender without a sample file gets a form where its lines read one.
func TestASampleIsMadeOfTheLines(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for lines, want := range map[string]string{
		"signature X-Sig": `{"id":"feed"}`,
		"signature X-Sig\nid body event.id\nevent body type":                         `{"id":"feed","type":"paid","event":{"id":"feed"}}`,
		"signature X-Sig\nid form event_id\nevent form type\ntimestamp form at unix": `id=feed&at=1772366400&type=paid&event_id=feed`,
		"signature X-Sig\nsigned {form.amount}\nid header X-Id":                      `id=feed&amount=feed`,
		"signature X-Sig\nid form_json data.id":                                      `id=feed&data=%7B%22id%22%3A%22feed%22%7D`,
	} {
		p, err := ParseLines("test", []byte(lines))
		if err != nil {
			t.Fatal(err)
		}
		sample, err := NewSample("mine", p, "paid", "feed", at)
		if err != nil || string(sample.Body) != want || (sample.ContentType == contentForm) == strings.HasPrefix(want, "{") {
			t.Errorf("%q: %v, made %s %s, want %s", lines, err, sample.ContentType, sample.Body, want)
		}
	}
}

// A payload in base64 stays one: what reads it finds the same XML, and the run's ID.
func TestASampleInBase64StaysXML(t *testing.T) {
	sample, err := NewSample("braintree", Builtin()["braintree"], "", "0123456789abcdef", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	form, err := url.ParseQuery(string(sample.Body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := base64.StdEncoding.DecodeString(form.Get("bt_payload"))
	if err != nil || !strings.HasPrefix(string(text), "<notification>") || !strings.Contains(string(text), "0123456789abcdef") {
		t.Errorf("the payload is %q, %v", text, err)
	}
}
