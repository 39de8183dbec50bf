package placeholder

import (
	"strings"
	"testing"

	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// What is the user's own may stand in the environment. A name that stands for nothing is an
// error, as every request would be refused.
func TestConstants(t *testing.T) {
	t.Setenv("CONSTANT_WEBHOOK", "4JH86294D6297924G")
	topic := signature.Source{Kind: signature.SourceBody, Name: "TopicArn"}
	given := config.Provider{
		Param: map[string]string{"webhook_id": "{env.CONSTANT_WEBHOOK}", "plain": "a"},
		Allow: []signature.Allowed{{Source: topic, Values: []string{"arn:{env.CONSTANT_WEBHOOK}", "b"}}},
	}
	got, err := Constants(given)
	if err != nil || got.Param["webhook_id"] != "4JH86294D6297924G" || got.Param["plain"] != "a" || strings.Join(got.Allow[0].Values, " ") != "arn:4JH86294D6297924G b" {
		t.Errorf("%+v, %v", got, err)
	}
	if given.Param["webhook_id"] != "{env.CONSTANT_WEBHOOK}" || given.Allow[0].Values[0] != "arn:{env.CONSTANT_WEBHOOK}" {
		t.Errorf("what was given is changed: %+v", given)
	}
	for _, bad := range []string{"{env.CONSTANT_NOT_SET}", "{http.request.header.X}", "{file./nowhere/at/all}", "$OUR_ID", "%OUR_ID%", "<our_id>", ""} {
		if got, err := Constants(config.Provider{Param: map[string]string{"id": bad}}); err == nil || !strings.HasPrefix(err.Error(), "param id: ") {
			t.Errorf("%s: %q, %v", bad, got.Param, err)
		}
		if got, err := Constants(config.Provider{Allow: []signature.Allowed{{Source: topic, Values: []string{bad}}}}); err == nil || !strings.HasPrefix(err.Error(), "allow body TopicArn: ") {
			t.Errorf("%s: %q, %v", bad, got.Allow, err)
		}
	}
}
