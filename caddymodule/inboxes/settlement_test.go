package inboxes

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/upstream"
	"github.com/webhookguard/caddy-webhook-guard/config"
	"github.com/webhookguard/caddy-webhook-guard/inbox"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestTheAnswerDecides(t *testing.T) {
	t.Parallel()
	success, _ := config.ParseStatuses([]string{"2xx"})
	giveUp, _ := config.ParseStatuses([]string{"410"})
	in := &Inbox{success: success, Config: &Config{
		Retry: []caddy.Duration{caddy.Duration(10 * time.Second), caddy.Duration(time.Minute)}, RetryFor: caddy.Duration(time.Hour), giveUp: giveUp,
	}}
	begun := time.Now()
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	for name, c := range map[string]struct {
		attempts int
		age      time.Duration
		res      result
		outcome  inbox.Outcome
		delay    time.Duration // give or take a tenth
		reason   string
	}{
		"success":                      {1, 0, result{status: 204}, inbox.Success, 0, ""},
		"success, however late":        {9, 2 * time.Hour, result{status: 204}, inbox.Success, 0, ""},
		"failure":                      {1, 0, result{status: 500}, inbox.Retry, 10 * time.Second, ""},
		"second failure":               {2, 0, result{status: 500}, inbox.Retry, time.Minute, ""},
		"the last delay repeats":       {9, 0, result{status: 500}, inbox.Retry, time.Minute, ""},
		"a 404 is not final":           {1, 0, result{status: 404}, inbox.Retry, 10 * time.Second, ""},
		"give_up":                      {1, 0, result{status: 410}, inbox.GiveUp, 0, "status 410"},
		"a broken 200 is no success":   {1, 0, result{status: 0, err: upstream.ErrBroken}, inbox.Retry, 10 * time.Second, ""},
		"the app's word":               {1, 0, result{status: 500, header: header(headerRetry, "no")}, inbox.GiveUp, 0, reasonRefused},
		"another word":                 {1, 0, result{status: 500, header: header(headerRetry, "yes")}, inbox.Retry, 10 * time.Second, ""},
		"too old":                      {3, time.Hour, result{status: 500}, inbox.GiveUp, 0, reasonAge},
		"the last attempt":             {3, 59*time.Minute + 30*time.Second, result{status: 500}, inbox.Retry, 30 * time.Second, ""},
		"Retry-After lengthens":        {1, 0, result{status: 503, header: header("Retry-After", "120")}, inbox.Retry, 2 * time.Minute, ""},
		"Retry-After does not shorten": {1, 0, result{status: 503, header: header("Retry-After", "1")}, inbox.Retry, 10 * time.Second, ""},
		"Retry-After is bounded":       {1, -100 * time.Hour, result{status: 503, header: header("Retry-After", "999999")}, inbox.Retry, time.Hour, ""},
		"Retry-After is a date": {1, 0, result{status: 503, header: header("Retry-After", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat))},
			inbox.Retry, 10 * time.Minute, ""},
		"Retry-After is nonsense": {1, 0, result{status: 503, header: header("Retry-After", "soon")}, inbox.Retry, 10 * time.Second, ""},
		"Retry-After overflows":   {1, 0, result{status: 503, header: header("Retry-After", "99999999999999999999")}, inbox.Retry, 10 * time.Second, ""},
	} {
		d := inbox.Delivery{Info: inbox.Info{Attempts: c.attempts, Begun: begun}}
		s := in.settlement(d, begun, begun.Add(c.age), c.res)
		if s.Outcome != c.outcome || s.Reason != c.reason || (s.Delay-c.delay).Abs() > c.delay/9 {
			t.Errorf("%s: %+v, want outcome %d, delay %s, reason %q", name, s, c.outcome, c.delay, c.reason)
		}
		if _, err := inbox.CheckSettlement(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThePaceFollowsTheApp(t *testing.T) {
	t.Parallel()
	p := newPace(8)
	for range awayAfter - 1 {
		if v := p.learn(true, false); v != (verdict{}) {
			t.Fatalf("held too soon: %+v", v)
		}
	}
	p.learn(false, false) // a success in between
	for range awayAfter - 1 {
		p.learn(true, false)
	}
	if v := p.learn(true, false); v.hold != firstHold || p.room() != 1 {
		t.Fatalf("%+v and room for %d after %d failures, want a hold and one probe", v, p.room(), awayAfter)
	}
	if v := p.learn(true, false); v != (verdict{}) {
		t.Errorf("a straggler's failure: %+v", v)
	}
	for _, seconds := range []int{2, 4, 8, 16, 32, 60, 60} {
		want := time.Duration(seconds) * time.Second
		if v := p.learn(true, true); v.hold != want {
			t.Errorf("hold for %s, want %s", v.hold, want)
		}
	}
	if v := p.learn(false, true); !v.release || p.room() != 1 {
		t.Errorf("%+v, room for %d after the app is back, want 1", v, p.room())
	}
	for want := 2; want < 12; want++ {
		if v := p.learn(false, false); v.release || p.room() != min(want, 8) {
			t.Errorf("%+v, room for %d, want %d", v, p.room(), want)
		}
	}
	// Another gateway's hold ends with this one's probe, and begins small again.
	other := newPace(8)
	if v := other.learn(true, true); v.hold != firstHold {
		t.Errorf("%+v, want the first hold", v)
	}
}
