package cli

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

func TestSendListsEvents(t *testing.T) {
	for _, c := range []struct {
		args   []string
		events []string // nil: an error
	}{
		{[]string{"struktr", "--event", "list"}, config.SampleEvents("struktr")},
		{[]string{"stripe", "http://localhost:1/", "--event", "list"}, config.SampleEvents("stripe")},
		{[]string{"nobody", "--event", "list"}, nil},
		{[]string{"--event", "list"}, nil},
		{[]string{"struktr", "--event", "document.completed"}, nil}, // without a URL
	} {
		var out bytes.Buffer
		cmd := sendCommand()
		cmd.SetArgs(c.args)
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		err := cmd.Execute()
		if c.events == nil {
			if err == nil {
				t.Errorf("%q: no error", c.args)
			}
			continue
		}
		if got := strings.Fields(out.String()); err != nil || !slices.Equal(got, c.events) {
			t.Errorf("%q: %v, got %q, want %q", c.args, err, got, c.events)
		}
	}
}
