package caddymodule

import (
	"strings"
	"testing"
	"time"
)

const keptGuard = "webhook_guard stripe {\nsecret whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FH\nscope payments\n"

// What a guard says of the app holds for its inbox too, unless the inbox says otherwise.
func TestAnInboxHasTheTimeoutOfItsGuard(t *testing.T) {
	for name, tc := range map[string]struct {
		guard, inbox string
		want         time.Duration
	}{
		"neither":   {"", "", 5 * time.Minute},
		"the guard": {"timeout 20m\n", "", 20 * time.Minute},
		"the inbox": {"timeout 20m\n", "timeout 30s\n", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			a := provisioned(t, "http://a.example {\n"+keptGuard+tc.guard+"inbox {\n"+tc.inbox+"deliver {\nreverse_proxy a:1\n}\n}\n}\n}\n")
			if got := time.Duration(a.inboxes.Find("payments").Timeout); got != tc.want {
				t.Errorf("the app may work for %s, want %s", got, tc.want)
			}
		})
	}
}

// A guard that a configuration has several copies of, as its site or its named route is part of
// several servers, has one inbox. Two guards have not.
func TestCopiesOfAGuardHaveOneInbox(t *testing.T) {
	guard := func(app string) string { return keptGuard + "inbox {\ndeliver {\nreverse_proxy " + app + "\n}\n}\n}\n" }
	for name, caddyfile := range map[string]string{
		"two addresses": "http://a.example:8001, http://a.example:8002 {\n" + guard("a:1") + "}\n",
		"a named route": "&(hook) {\n" + guard("a:1") + "}\nhttp://a.example:8001 {\ninvoke hook\n}\nhttp://a.example:8002 {\ninvoke hook\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if names := provisioned(t, caddyfile).inboxes.Names(); len(names) != 1 || names[0] != "payments" {
				t.Errorf("there are the inboxes %q", names)
			}
		})
	}
	_, err := provision(t, "http://a.example {\n"+guard("a:1")+"}\nhttp://b.example {\n"+guard("b:1")+"}\n")
	if err == nil || !strings.Contains(err.Error(), `two guards have an inbox "payments"`) {
		t.Errorf("two guards: %v", err)
	}
}
