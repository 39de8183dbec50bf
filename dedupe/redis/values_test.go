package redis

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// What earlier builds wrote is read, and where nothing is remembered the same is written.
func TestValuesOfEarlierBuilds(t *testing.T) {
	content := dedupe.NewKey("content", []byte("x"))
	for value, want := range map[string]dedupe.Record{
		"":                         {State: dedupe.Absent},
		"*0123456789abcdef":        {State: dedupe.InFlight},
		"204":                      {State: dedupe.Done, Status: 204},
		"200" + string(content[:]): {State: dedupe.Done, Status: 200, Content: content},
	} {
		got, err := decode(value)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v, want %+v", value, got, err, want)
		}
		if again := encodeID(dedupe.Success{Status: want.Status}, want.Content); want.State == dedupe.Done && string(again) != value {
			t.Errorf("%q is written as %q", value, again)
		}
	}
	for _, foreign := range []string{"20", "2000", "abc", "099", "100", "-20", "=099\x01x", "200" + string(content[:5]), "200" + string(content[:]) + "x",
		"200" + string(content[:]) + "\x00\x00\x00\x09text",
		"=", "=200", "=200\x00", "=200\x02x", "=20x\x01x", "=200\x81" + strings.Repeat("x", 129), "=200\x01x\x00\x00\x00\x09text"} {
		if got, err := decode(foreign); err == nil {
			t.Errorf("%q is taken for %+v", foreign, got)
		}
	}
}
