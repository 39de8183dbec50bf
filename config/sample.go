package config

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"

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

	// Header has the headers that the sender signs, beside stamp and ID.
	Header map[string][]string

	made bool // of the provider's lines alone
}

// NewSample makes an event such as the named provider sends. It is a documented one if
// the catalogue has one, else the minimum that the provider's lines need. id becomes
// part of the event's ID, and at is its time. An empty event selects the first
// documented one.
func NewSample(name string, p Provider, event, id string, at time.Time) (Sample, error) {
	sample, err := findSample(name, event)
	if err != nil {
		return Sample{}, err
	}
	if sample.made = len(sample.Body) == 0; sample.made {
		sample.Body = []byte(`{"id":"` + id + `"}`)
		if readsForms(p) {
			sample.Body, sample.ContentType = []byte("id="+url.QueryEscape(id)), contentForm
		}
	}
	if err := sample.fill(p, id, at); err != nil {
		return Sample{}, fmt.Errorf("sample: %w", err)
	}
	return sample, nil
}

// readsForms reports whether the provider's lines name the fields of a form. Where the
// body is signed as it is too, the sender sends JSON unless it is told to send forms.
func readsForms(p Provider) bool {
	if slices.Contains(p.Signed, "{body}") {
		return false
	}
	sources := slices.Concat(p.ID, p.OrID, []signature.Source{p.Event})
	for _, stamp := range []*signature.StampSpec{p.Timestamp, p.EventTime} {
		if stamp != nil {
			sources = append(sources, stamp.Source)
		}
	}
	if strings.Contains(strings.Join(p.Signed, " "), "{form") {
		return true
	}
	return slices.ContainsFunc(sources, func(source signature.Source) bool {
		return source.Kind == signature.SourceForm || source.Kind == signature.SourceFormJSON
	})
}

const (
	contentJSON = "application/json"
	contentForm = "application/x-www-form-urlencoded"
)

// findSample finds an event in the provider's file. An empty event selects the first.
func findSample(name, event string) (Sample, error) {
	text, err := fs.ReadFile(sampleFiles, "samples/"+name+".json")
	if errors.Is(err, fs.ErrNotExist) {
		return Sample{Event: event, ContentType: contentJSON}, nil
	}
	if err != nil {
		return Sample{}, fmt.Errorf("sample: %w", err)
	}
	events := SampleEvents(name)
	if event == "" {
		event = events[0]
	}
	if !slices.Contains(events, event) {
		similar := ""
		if names := Similar(event, events); len(names) > 0 {
			similar = "did you mean " + strings.Join(names, ", ") + "? "
		}
		return Sample{}, fmt.Errorf("no sample of event %q: %sthere are %s", event, similar, strings.Join(events, ", "))
	}
	value := gjson.GetBytes(text, gjson.Escape(event))
	if value.Type == gjson.String {
		return Sample{Event: event, Body: []byte(value.String()), ContentType: contentForm}, nil
	}
	return Sample{Event: event, Body: []byte(value.Raw), ContentType: contentJSON}, nil
}
