package ui

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// The screen of an event says what its next copy meets, and only offers to forget what would
// make a difference.
func TestTheNextCopyOfAnEvent(t *testing.T) {
	for name, tc := range map[string]struct {
		state  adminapi.EventState
		says   string
		forget bool
	}{
		"nothing is known":         {adminapi.EventState{State: "absent"}, "is let through", false},
		"being handled":            {adminapi.EventState{State: "in_flight"}, "waits for the first one", false},
		"done":                     {adminapi.EventState{State: "done", Status: 200}, "is a duplicate", true},
		"accepted, not listed":     {adminapi.EventState{State: "done", Status: 200, Inbox: "payments"}, "<dd>accepted</dd>", true},
		"ready":                    {kept("done", "ready"), "waits already", false},
		"delayed":                  {kept("done", "delayed"), "waits already", false},
		"leased":                   {kept("done", "leased"), "waits already", false},
		"dead":                     {kept("done", "dead"), "has the event delivered again", true},
		"delivered":                {kept("done", "done"), "is a duplicate", true},
		"delivered, and forgotten": {kept("absent", "done"), "is a duplicate", true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "payments")
			b.gateway.event = tc.state
			screen := b.shows("/event?scope=acme&id=1", tc.says)
			if forget := strings.Contains(screen, "do=forget"); forget != tc.forget {
				t.Errorf("offers to forget it: %t, want %t", forget, tc.forget)
			}
			if link := strings.Contains(screen, "delivery?event=k&amp;inbox=payments"); link != (tc.state.Kept != nil) {
				t.Errorf("leads to the inbox: %t", link)
			}
		})
	}
}

func kept(state, inbox string) adminapi.EventState {
	return adminapi.EventState{State: state, Status: 200, Inbox: "payments", Kept: &adminapi.InboxEvent{Key: "k", State: inbox}}
}
