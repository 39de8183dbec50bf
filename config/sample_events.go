package config

import (
	"io/fs"

	"github.com/tidwall/gjson"
)

// SampleEvents lists the types of a provider's documented sample events, the default
// first. It is empty where there are none.
func SampleEvents(name string) []string {
	text, err := fs.ReadFile(sampleFiles, "samples/"+name+".json")
	if err != nil {
		return nil
	}
	var events []string
	for _, event := range gjson.GetBytes(text, "@keys").Array() {
		events = append(events, event.String())
	}
	return events
}
