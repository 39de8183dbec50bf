package cli

import (
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// screen is what a terminal shows in the end: a line that was written over is gone.
func screen(text string) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		parts := strings.Split(line, "\r\x1b[K")
		lines = append(lines, parts[len(parts)-1])
	}
	return strings.Join(lines, "\n")
}

// On a terminal a long run shows how far it is, in one line that the summary replaces. Answers
// that are not as wanted stay, and so does what the app receives.
func TestProgressOnATerminal(t *testing.T) {
	var out strings.Builder
	tally := newTally(&out, nil, 1000, true)
	tally.progress = true
	forwarded := reply{status: 200, result: webhook.Forwarded, took: time.Millisecond}
	for n := range 1000 {
		got := forwarded
		if n == 500 {
			got = reply{status: 503, result: webhook.Overloaded, took: time.Millisecond}
			tally.note("the app receives POST /in")
		}
		if err := tally.add(got, expectation{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	progress := regexp.MustCompile(`^the app receives POST /in\n503 overloaded\n\d+ of 1000$`)
	if shown := screen(out.String()); !progress.MatchString(shown) {
		t.Errorf("meanwhile the terminal shows %q", shown)
	}
	err := tally.end()
	wantText(t, err, "1 of 1000 answers are not as they should be; the first: want forwarded, got 503 overloaded")
	want := "the app receives POST /in\n503 overloaded\n1000 requests: 999 forwarded, 1 overloaded; median 1ms, 99% 1ms, slowest 1ms\n"
	if shown := screen(out.String()); shown != want {
		t.Errorf("in the end the terminal shows %q, want %q", shown, want)
	}
}

// The summary never says that 99% of the answers came sooner than 99% of them did.
func TestTheSummaryOfLatencies(t *testing.T) {
	for _, tt := range []struct {
		answers int // which took 1 ms, 2 ms and so on
		want    string
	}{
		{1, "median 1ms, 99% 1ms, slowest 1ms"},
		{2, "median 1ms, 99% 2ms, slowest 2ms"},
		{5, "median 3ms, 99% 5ms, slowest 5ms"},
		{100, "median 50ms, 99% 99ms, slowest 100ms"},
		{101, "median 51ms, 99% 100ms, slowest 101ms"},
	} {
		tally := newTally(io.Discard, nil, tt.answers, true)
		for n := tt.answers; n > 0; n-- {
			got := reply{status: 200, result: webhook.Forwarded, took: time.Duration(n) * time.Millisecond}
			if err := tally.add(got, expectation{}, 0); err != nil {
				t.Fatal(err)
			}
		}
		if _, latencies, _ := strings.Cut(tally.summary(), "; "); latencies != tt.want {
			t.Errorf("of %d answers it says %q, want %q", tt.answers, latencies, tt.want)
		}
	}
}
