package config

import (
	"os"
	"slices"
	"testing"

	"gopkg.in/yaml.v3"
)

// withoutSample are the entries that have no sample, with the reason. `send` makes their events
// of their lines alone.
var withoutSample = map[string]string{
	"apple-app-store":         "the event is the claims of a token",
	"apple-app-store-sandbox": "the event is the claims of a token",
	"kinde":                   "the event is the claims of a token",
	"wix":                     "the event is the claims of a token",
	"bitwarden":               "the body is a template of the owner's",
	"datadog":                 "the body is a template of the owner's",
	"new-relic":               "the body is a template of the owner's",
	"pylon":                   "the body is a template of the owner's",
	"zuora":                   "the body is a template of the owner's",
	"n8n":                     "the body is the workflow's",
	"node-red":                "the body is the flow's",
	"hookdeck":                "the body is another sender's",
	"google-calendar-push":    "there is no body: the event is in headers",
}

// How many may lack what the others have. These numbers only get smaller.
const (
	mostWithoutSample = 13
	mostWithoutSource = 159
	mostUnread        = 22
)

// Each entry has a sample, or a reason why there is none.
func TestEveryEntryHasASampleOrAReason(t *testing.T) {
	t.Parallel()
	if len(withoutSample) > mostWithoutSample {
		t.Errorf("%d entries without a sample, %d at most", len(withoutSample), mostWithoutSample)
	}
	for _, name := range Builtin().Names() {
		switch has := len(SampleEvents(name)) > 0; {
		case !has && withoutSample[name] == "":
			t.Errorf("%s has no sample in config/samples: add one, or the reason why there is none to withoutSample", name)
		case has && withoutSample[name] != "":
			t.Errorf("%s has a sample: take it off the list", name)
		}
	}
	for name := range withoutSample {
		if _, known := Builtin()[name]; !known {
			t.Errorf("%s is on the list, and no entry", name)
		}
	}
}

// A new sample says what it was made after.
func TestSamplesSayWhatTheyWereMadeAfter(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/sample_sources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sources := make(map[string][]string)
	if err := yaml.Unmarshal(text, &sources); err != nil {
		t.Fatal(err)
	}
	if len(sources["unread"]) > mostUnread {
		t.Errorf("%d samples of pages that were not read, %d at most", len(sources["unread"]), mostUnread)
	}
	var named []string
	for source, names := range sources {
		for _, name := range names {
			if len(SampleEvents(name)) == 0 {
				t.Errorf("%s has no sample that was made after %s", name, source)
			}
			if slices.Contains(named, name) {
				t.Errorf("%s is named twice", name)
			}
			named = append(named, name)
		}
	}
	older := 0
	for _, name := range Builtin().Names() {
		if len(SampleEvents(name)) > 0 && !slices.Contains(named, name) {
			older++
		}
	}
	if older > mostWithoutSource {
		t.Errorf("%d samples without a source in testdata/sample_sources.yaml, %d at most: name that of the new one", older, mostWithoutSource)
	}
}
