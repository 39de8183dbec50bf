package config

import (
	"io/fs"
	"strings"
	"testing"
	"time"
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
