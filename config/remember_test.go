package config

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// What is remembered of an answer has a default and a bound, and comes back as it was
// written.
func TestAnswerRemember(t *testing.T) {
	for line, want := range map[string]int64{"answer remember": 4096, "answer remember 16KiB": 16384, "answer remember 64KiB": 65536} {
		p := parsed(t, line)
		if p.Answer == nil || *p.Answer != (Answer{Remember: want}) || p.Answer.check() != nil {
			t.Errorf("%s: %+v, %v", line, p.Answer, p.Answer.check())
		}
		if again := parsed(t, lineOf(p, "answer")); *again.Answer != *p.Answer {
			t.Errorf("%s is written as %q", line, lineOf(p, "answer"))
		}
	}
	for name, c := range map[string]struct {
		answer Answer
		says   string
	}{
		"too large": {Answer{Remember: 65537}, "up to 65536 bytes"},
		"negative":  {Answer{Remember: -1}, "up to 65536 bytes"},
		"both":      {Answer{Remember: 1, Status: 200}, "not both"},
		"neither":   {Answer{}, "not a status"},
	} {
		if err := c.answer.check(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// Every sender of the catalogue to whom the answer is an instruction remembers it.
func TestSendersOfInstructionsRemember(t *testing.T) {
	for _, name := range []string{"twilio", "plivo-v2", "vonage", "telnyx", "messagebird", "slack", "discord", "microsoft-teams-outgoing", "telegram-bot", "retell"} {
		p, ok := Builtin()[name]
		if !ok || !p.Answer.remembers() {
			t.Errorf("%s: a duplicate gets no instruction", name)
		}
	}
}

func parsed(t *testing.T, line string) Provider {
	t.Helper()
	var p Provider
	d := caddyfile.NewTestDispenser(line)
	d.Next()
	if err := p.ParseLine(d); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return p
}

func lineOf(p Provider, name string) string {
	for _, line := range strings.Split(p.Lines(""), "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, name+" ") {
			return line
		}
	}
	return ""
}
