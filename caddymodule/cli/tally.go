package cli

import (
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/webhookguard/caddy-webhook-guard/webhook"
)

// progressPause is how often progress is shown at most.
const progressPause = 100 * time.Millisecond

// tally prints the answers, and sums them up.
type tally struct {
	out      io.Writer
	secrets  []string // never printed
	total    int
	many     bool // more than one event: print a summary
	progress bool // show how many are done in place of each answer

	mu       sync.Mutex // what an app prints comes in between
	shown    time.Time  // when the progress was
	results  map[string]int
	sent     int
	took     []time.Duration // by those that were answered
	unwanted int
	why      error // the first answer that was not as wanted
}

func newTally(out io.Writer, secrets []string, total int, many bool) *tally {
	t := &tally{out: out, secrets: secrets, total: total, many: many, results: make(map[string]int)}
	if file, ok := out.(*os.File); ok && many {
		t.progress = term.IsTerminal(int(file.Fd()))
	}
	return t
}

// add takes the answer to the nth copy of one event.
func (t *tally) add(got reply, want expectation, n int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	if got.err == nil {
		t.took = append(t.took, got.took)
	}
	t.results[got.word()]++
	err := want.check(got, n)
	if err != nil {
		t.unwanted++
		if t.why == nil {
			t.why = err
			if got.err == nil {
				t.why = fmt.Errorf("%w, got %d %s%s", err, got.status, got.word(), adviceOn(got))
			}
		}
	}
	if t.progress {
		return t.showProgress(got, err != nil)
	}
	return t.line(got)
}

// showProgress writes over its own line. An answer that is not as wanted stays.
func (t *tally) showProgress(got reply, keep bool) error {
	if keep {
		if _, err := io.WriteString(t.out, "\r\x1b[K"); err != nil {
			return err
		}
		if err := t.line(got); err != nil {
			return err
		}
	}
	if time.Since(t.shown) < progressPause && !keep {
		return nil
	}
	t.shown = time.Now()
	_, err := fmt.Fprintf(t.out, "\r\x1b[K%d of %d", t.sent, t.total)
	return err
}

// mostUnheard is how many requests are sent to a gateway that has answered none.
const mostUnheard = 3

// unheard reports whether no request was answered, of enough that the others need not be sent.
func (t *tally) unheard() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent >= mostUnheard && t.results[noAnswer] == t.sent
}

// note prints lines that are no answer.
func (t *tally) note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.progress {
		_, _ = io.WriteString(t.out, "\r\x1b[K")
	}
	for line := range strings.SplitSeq(text, "\n") {
		_, _ = fmt.Fprintln(t.out, t.printable(line))
	}
}

// events returns how many events the guard has forwarded, or accepted for its inbox.
func (t *tally) events() (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, result := range firstResults {
		if result != webhook.HandshakeAnswered {
			n += int64(t.results[string(result)])
		}
	}
	return n
}

func (t *tally) line(got reply) (err error) {
	if got.err == nil { // otherwise it is the command's error
		text := strings.TrimSpace(fmt.Sprintf("%d %s  %s", got.status, got.word(), t.printable(got.text)))
		_, err = fmt.Fprintln(t.out, text)
	}
	return err
}

// resultLetters are those of results. Whoever answers could write anything into the header.
const resultLetters = "abcdefghijklmnopqrstuvwxyz_"

// noAnswer is the word for requests without one.
const noAnswer = "no answer"

// word is the result as it is printed.
func (r reply) word() string {
	switch {
	case r.err != nil:
		return noAnswer
	case r.result == "":
		return "(no guard answered)"
	case strings.Trim(string(r.result), resultLetters) != "":
		return "(no result of a guard's)"
	}
	return string(r.result)
}

// printable is a text of the gateway's without what must not be printed: a token that an
// app may send back, and what a terminal takes for a command.
func (t *tally) printable(text string) string {
	for _, secret := range t.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
}

// end prints the summary. The error says that not every answer was as wanted.
func (t *tally) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.progress {
		if _, err := io.WriteString(t.out, "\r\x1b[K"); err != nil {
			return err
		}
	}
	if t.many && t.sent > 0 {
		if _, err := fmt.Fprintln(t.out, t.summary()); err != nil {
			return err
		}
	}
	return t.conclusion()
}

// conclusion is the error that says what was not as wanted.
func (t *tally) conclusion() error {
	cut := ""
	if t.sent < t.total {
		cut = fmt.Sprintf("%d of %d requests were sent", t.sent, t.total)
	}
	switch {
	case t.unwanted == 0 && cut == "":
		return nil
	case t.unwanted == 0:
		return unwanted(fmt.Errorf("interrupted: %s", cut))
	case t.total == 1:
		return unwanted(t.why)
	case cut != "":
		cut += "; "
	}
	return unwanted(fmt.Errorf("%s%d of %d answers are not as they should be; the first: %w", cut, t.unwanted, t.sent, t.why))
}

func (t *tally) summary() string {
	var words []string
	for _, result := range slices.Sorted(maps.Keys(t.results)) {
		words = append(words, fmt.Sprintf("%d %s", t.results[result], result))
	}
	summary := fmt.Sprintf("%d requests: %s", t.sent, strings.Join(words, ", "))
	if len(t.took) == 0 {
		return summary
	}
	slices.Sort(t.took)
	at := func(share float64) time.Duration {
		// The least that the share of the answers took no longer than.
		d := t.took[max(int(math.Ceil(share*float64(len(t.took)))), 1)-1]
		return d.Round(max(d/100, time.Microsecond))
	}
	return fmt.Sprintf("%s; median %s, 99%% %s, slowest %s", summary, at(0.5), at(0.99), at(1))
}
