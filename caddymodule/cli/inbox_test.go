package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
	"github.com/webhookguard/caddy-webhook-guard/internal/handbook"
	"github.com/webhookguard/caddy-webhook-guard/internal/texttable"
)

// adminServer is the admin API of a gateway with an inbox of some events.
type adminServer struct {
	events  int
	mu      sync.Mutex
	limits  []string // of the pages asked for
	changes []adminapi.InboxChange
}

func (s *adminServer) start(t *testing.T) (address string) {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, v any) {
		if err := json.NewEncoder(w).Encode(v); err != nil {
			t.Error(err)
		}
	}
	mux.HandleFunc(adminapi.InboxesPath, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, []adminapi.InboxState{{Name: "payments", Ready: 1, Paused: true, Held: true, Unrouted: true}, {Name: "github"}})
	})
	mux.HandleFunc(adminapi.InboxEventsPath, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.limits = append(s.limits, r.URL.Query().Get("limit"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		first, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		var page adminapi.InboxPage
		for n := first; n < min(first+limit, s.events); n++ {
			page.Events = append(page.Events, adminapi.InboxEvent{Key: fmt.Sprintf("key-%d", n), ID: fmt.Sprintf("evt_%d", n), State: "dead"})
		}
		if first+limit < s.events {
			page.Next = strconv.Itoa(first + limit)
		}
		answer(w, page)
	})
	change := func(w http.ResponseWriter, r *http.Request) {
		var c adminapi.InboxChange
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.changes = append(s.changes, c)
		s.mu.Unlock()
		matched := 1
		if c.Inbox == "github" {
			matched = 0
		}
		answer(w, adminapi.InboxChanged{Matched: matched})
	}
	for _, path := range []string{adminapi.InboxPausePath, adminapi.InboxResumePath, adminapi.InboxReplayPath, adminapi.InboxDeletePath} {
		mux.HandleFunc(path, change)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// A list asks for no more than it shows and one more, which tells whether it was cut.
func TestInboxListEndsAtItsLimit(t *testing.T) {
	for _, tt := range []struct {
		events, limit, want int
		pages               string
		cut                 bool
	}{
		{events: 5, limit: 3, want: 3, pages: "4", cut: true},
		{events: 3, limit: 3, want: 3, pages: "4"},
		{events: 700, limit: 0, want: 700, pages: "500 500"},
		{events: 700, limit: 600, want: 600, pages: "500 500", cut: true},
	} {
		s := &adminServer{events: tt.events}
		out, err := run(inboxListCommand(), nil, "payments", "--address", s.start(t), "--limit", strconv.Itoa(tt.limit))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out, "evt_"); got != tt.want {
			t.Errorf("%d events, limit %d: %d are listed", tt.events, tt.limit, got)
		}
		if got := strings.Join(s.limits, " "); got != tt.pages {
			t.Errorf("%d events, limit %d: pages of %s, want %s", tt.events, tt.limit, got, tt.pages)
		}
		f := inboxFlags{limit: tt.limit}
		f.address = s.start(t)
		if _, more, err := f.list("payments"); err != nil || more != tt.cut {
			t.Errorf("%d events, limit %d: more %v, %v", tt.events, tt.limit, more, err)
		}
	}
}

// A table fits 80 columns, and 120, and still names each event so that other commands find it.
// What says which events is refused where there is no inbox to list them of.
func TestInboxListFiltersOnlyEvents(t *testing.T) {
	for _, args := range [][]string{{"--state", "dead"}, {"--limit", "5"}, {"--since", "24h"}} {
		s := &adminServer{events: 5}
		_, err := run(inboxListCommand(), nil, append(args, "--address", s.start(t))...)
		if status := statusOf(err); err == nil || !strings.Contains(err.Error(), args[0]) || status != exitUsage {
			t.Errorf("%v: %d, %v", args, status, err)
		}
	}
}

func TestInboxTablesFit(t *testing.T) {
	long := strings.Repeat("x", 200)
	events := []adminapi.InboxEvent{
		{Key: "0123456789abcdef0123456789abcdef", ID: "7d3c9a52-3f5e-4a8b-9c1d-2e4f6a8b0c1d", Type: long, State: "delayed", Attempts: 99999, Status: 503, Reason: long},
		{Key: "1123456789abcdef0123456789abcdef", ID: long, State: "leased"},
		{Key: "2123456789abcdef0123456789abcdef", ID: "evil\x1b[2J", State: "dead", Status: 410, Reason: "status 410"},
		{Key: "3123456789abcdef0123456789abcdef", State: "done", Accepted: time.Date(2026, 11, 29, 1, 2, 3, 4, time.FixedZone("", 3600))},
	}
	names := []string{"7d3c9a52-3f5e-4a8b-9c1d-2e4f6a8b0c1d", events[1].Key, events[2].Key, events[3].Key}
	for _, width := range []int{handbook.NarrowWidth, handbook.TableWidth} {
		var out strings.Builder
		if err := texttable.Write(&out, eventColumns, events, width); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for i, line := range lines {
			if utf8.RuneCountInString(line) > width || strings.Contains(line, "\x1b") {
				t.Errorf("%q is wider than %d, or steers the terminal", line, width)
			}
			if i > 0 && !strings.HasPrefix(line, names[i-1]) {
				t.Errorf("%q does not name %s", line, names[i-1])
			}
		}
	}
	var out strings.Builder
	states := []adminapi.InboxState{{Name: strings.Repeat("n", 20), Ready: 1e6, Delayed: 1e6, Leased: 1e5, Dead: 1e6, Done: 1e6, Bytes: 1 << 60, Paused: true, Held: true}}
	if err := texttable.Write(&out, inboxColumns, states, handbook.NarrowWidth); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if columns := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns > handbook.NarrowWidth {
			t.Errorf("%d columns: %s", columns, line)
		}
	}
}

func TestInboxNotesHaveAnOrder(t *testing.T) {
	for range 20 {
		out, err := run(inboxListCommand(), nil, "--address", new(adminServer).start(t))
		if err != nil || !strings.Contains(out, "paused, held, unrouted") {
			t.Fatalf("%v, listed as\n%s", err, out)
		}
	}
}

// Every command that changes something has --dry-run, sends it, and says what would change.
func TestEachChangeHasADryRun(t *testing.T) {
	s := new(adminServer)
	address := s.start(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"pause", "payments"}, "payments: would be paused; nothing was changed"},
		{[]string{"pause", "github"}, "github: paused already"},
		{[]string{"resume", "payments"}, "payments: would be resumed; nothing was changed"},
		{[]string{"replay", "payments", "--state", "dead"}, "1 events match; nothing was changed"},
		{[]string{"delete", "payments", "evt_1"}, "1 events match; nothing was changed"},
	} {
		out, err := run(inboxCommand(), nil, append(tt.args, "--address", address, "--dry-run")...)
		if err != nil || strings.TrimSpace(out) != tt.want {
			t.Errorf("%v: %v, printed %q, want %q", tt.args, err, out, tt.want)
		}
	}
	for _, c := range s.changes {
		if !c.DryRun {
			t.Errorf("%+v is no dry run", c)
		}
	}
	out, err := run(inboxCommand(), nil, "pause", "payments", "--address", address, "--reason", "maintenance")
	if last := s.changes[len(s.changes)-1]; err != nil || out != "payments: paused\n" || last.DryRun || last.Reason != "maintenance" {
		t.Errorf("%v, printed %q for %+v", err, out, last)
	}
}

// Nothing that a sender or an app wrote steers the terminal, whatever prints it, and JSON still
// says what it was.
func TestNoOutputSteersTheTerminal(t *testing.T) {
	const odd = "é😀\x1b[2J\u009b31m\u202e\u2066\U000e0041"
	event := adminapi.InboxEvent{Key: "LUwqAT9ynpTTHsaZcBWZ9w", ID: odd, Scope: odd, Type: odd, State: "dead", Reason: odd}
	record := adminapi.InboxRecord{InboxEvent: event, Last: []adminapi.InboxAttempt{{Answer: odd, Error: odd}}}
	for name, c := range map[string]struct {
		args   []string
		answer any
		quoted bool // an answer in words, not in JSON
	}{
		"list":   {[]string{"list", "payments"}, adminapi.InboxPage{Events: []adminapi.InboxEvent{event}}, true},
		"show":   {[]string{"show", "payments", "x"}, record, false},
		"export": {[]string{"export", "payments"}, nil, false},
		"lookup": {[]string{"docrouter", "--key", event.Key}, adminapi.EventState{State: "done", Status: 200, ID: odd}, true},
		"forget": {[]string{"docrouter", "--key", event.Key}, adminapi.EventState{State: "absent", Inbox: "payments", Kept: &event}, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := c.answer
			if name == "export" && r.URL.Path == adminapi.InboxEventsPath {
				answer = adminapi.InboxPage{Events: []adminapi.InboxEvent{event}}
			} else if name == "export" {
				answer = record
			}
			if err := json.NewEncoder(w).Encode(answer); err != nil {
				t.Error(err)
			}
		}))
		cmd := inboxCommand()
		if verbs[name] != nil {
			cmd = verbs[name]()
		}
		out, err := run(cmd, nil, append(c.args, "--address", strings.TrimPrefix(server.URL, "http://"))...)
		server.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if i := strings.IndexFunc(out, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }); i >= 0 {
			t.Errorf("%s prints %q", name, out)
		}
		var got adminapi.InboxRecord
		if c.quoted {
			continue
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil || got.ID != odd || len(got.Last) != 1 || got.Last[0].Answer != odd {
			t.Errorf("%s: %v, got %+v", name, err, got)
		}
	}
}

func TestInboxesAreCompleted(t *testing.T) {
	f := new(inboxFlags)
	f.address = new(adminServer).start(t)
	if names, _ := f.completeInboxes(nil, nil, "pay"); len(names) != 1 || names[0] != "payments" {
		t.Errorf("pay is completed to %v", names)
	}
	if names, _ := f.completeInboxes(nil, []string{"payments"}, ""); len(names) != 0 {
		t.Errorf("after the inbox comes %v", names)
	}
	f.address = "127.0.0.1:1" // nobody listens there
	if names, _ := f.completeInboxes(nil, nil, ""); len(names) != 0 {
		t.Errorf("without a gateway there are %v", names)
	}
}
