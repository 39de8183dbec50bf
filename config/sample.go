package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

//go:embed samples/*.json
var sampleFiles embed.FS

// Sample is an event to try a guard with.
type Sample struct {
	// Event is its type.
	Event       string
	Body        []byte
	ContentType string
}

// NewSample makes an event such as the named provider sends: a documented one
// where the catalogue has it, else the least that the provider's lines ask for.
// id is made part of its ID, and at is its time. An empty event picks the first
// that is documented.
func NewSample(name string, p Provider, event, id string, at time.Time) (Sample, error) {
	sample, err := findSample(name, event)
	if err != nil {
		return Sample{}, err
	}
	if sample.ContentType != contentJSON {
		return sample, nil
	}
	return sample, sample.fill(p, id, at)
}

const (
	contentJSON = "application/json"
	contentForm = "application/x-www-form-urlencoded"
)

// findSample takes a provider's events from its file, in the file's order.
func findSample(name, event string) (Sample, error) {
	text, err := fs.ReadFile(sampleFiles, "samples/"+name+".json")
	if errors.Is(err, fs.ErrNotExist) {
		return Sample{Event: event, Body: []byte(`{}`), ContentType: contentJSON}, nil
	}
	if err != nil {
		return Sample{}, fmt.Errorf("sample: %w", err)
	}
	var found *Sample
	var events []string
	gjson.ParseBytes(text).ForEach(func(key, value gjson.Result) bool {
		events = append(events, key.String())
		if found == nil && (event == "" || event == key.String()) {
			found = &Sample{Event: key.String(), Body: []byte(value.Raw), ContentType: contentJSON}
			if value.Type == gjson.String {
				found.Body, found.ContentType = []byte(value.String()), contentForm
			}
		}
		return true
	})
	if found == nil {
		return Sample{}, fmt.Errorf("no sample of event %q: there are %s", event, strings.Join(events, ", "))
	}
	return *found, nil
}

// fill sets what the provider's lines read from the body: ID, type and times.
func (s *Sample) fill(p Provider, id string, at time.Time) error {
	set := make(map[string]bool)
	put := func(text string, value func(before string) any) error {
		source, err := ParseSource(text)
		if err != nil || source.Kind != signature.SourceBody || set[source.Name] {
			return err
		}
		set[source.Name] = true
		before := gjson.GetBytes(s.Body, source.Name).String()
		s.Body, err = sjson.SetBytes(s.Body, source.Name, value(before))
		return err
	}
	for _, stamp := range []*Stamp{p.Timestamp, p.EventTime} {
		if stamp == nil {
			continue
		}
		if err := put(stamp.Source, func(string) any { return stampValue(*stamp, at) }); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	if p.Event != "" && s.Event != "" {
		if err := put(p.Event, func(string) any { return s.Event }); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	for _, text := range p.ID {
		if err := put(text, func(before string) any { return newID(before, id) }); err != nil {
			return fmt.Errorf("sample: %w", err)
		}
	}
	return nil
}

// stampValue is a time as JSON has it: text for RFC 3339, else a number.
func stampValue(stamp Stamp, at time.Time) any {
	text := signature.FormatStamp(at, stamp.Format)
	if stamp.Format == "rfc3339" {
		return text
	}
	return gjson.Parse(text).Value()
}

// newID puts id in place of the last part of a sample's ID, so that evt_123
// becomes evt_<id>.
func newID(like, id string) string {
	return like[:strings.LastIndexAny(like, "_-")+1] + id
}
