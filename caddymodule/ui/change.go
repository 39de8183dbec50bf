package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// The changes, as URLs and forms have them.
const (
	doReplay = "replay"
	doDelete = "delete"
	doPause  = "pause"
	doResume = "resume"
	doForget = "forget"
)

// The bounds of a rate, in events a second.
const (
	slowest = 0.001
	fastest = 1000
)

const (
	// perCount is how many events are asked for at once, to count them.
	perCount = 500
	// countFor is how long a screen counts.
	countFor = time.Second
)

// mostOfReason is how long a reason may be, in characters. The forms say so, too.
const mostOfReason = 200

// mostOfForm is the size of the largest form that is read, in bytes.
const mostOfForm = 64 << 10

// asked is a change that somebody asks for.
type asked struct {
	Do     string
	Filter filter
	Event  string // the key of one event, or else the filter is meant
	Count  int64  // how many events match
	More   bool   // there may be more of them, as it would take long to count
}

func askedFrom(values url.Values) (asked, error) {
	a := asked{Do: values.Get("do"), Filter: filterFrom(values), Event: values.Get("event")}
	switch a.Do {
	case doReplay, doDelete:
		if a.Event == "" && !a.Filter.Narrow() {
			return a, refusal{http.StatusBadRequest, "Say which events: an empty filter would mean every one."}
		}
	case doPause, doResume:
	case doForget:
		if a.Filter.Scope == "" || a.Filter.ID == "" {
			return a, refusal{http.StatusBadRequest, "Name the event by its scope and its ID."}
		}
	default:
		return a, refusal{http.StatusBadRequest, "There is no such change."}
	}
	return a, nil
}

// Many reports whether it is a change of events, of which there can be many.
func (a asked) Many() bool { return a.Do == doReplay || a.Do == doDelete }

// Verb is the change in a word.
func (a asked) Verb() string { return strings.ToUpper(a.Do[:1]) + a.Do[1:] }

// What names what is changed.
func (a asked) What() string {
	switch a.Do {
	case doReplay, doDelete:
		if a.More {
			return "all that match"
		}
		return plural(a.Count, "event")
	case doForget:
		return "this event"
	}
	return "this inbox"
}

// change is what the inboxes are asked for.
func (a asked) change(v *visit) (c adminapi.InboxChange, err error) {
	c = adminapi.InboxChange{Inbox: a.Filter.Inbox}
	if a.Event != "" {
		c.Events = []string{a.Event}
		return c, nil
	}
	c.Filter, err = a.Filter.asked(v.now)
	return c, err
}

// showChange shows what a change would do, and asks for a reason.
func showChange(v *visit) error {
	if err := v.mayChange(); err != nil {
		return err
	}
	a, err := askedFrom(v.r.URL.Query())
	if err != nil {
		return err
	}
	if a.Many() {
		a.Filter = a.Filter.fixed(v.now)
		if err := a.count(v); err != nil {
			return err
		}
	}
	v.render(http.StatusOK, "change", page{Title: a.Verb() + " " + a.What(), Data: a})
	return nil
}

// count finds out how many events a change would meet: from the counters where they know.
// Where they do not, it looks at the events, but not for long.
func (a *asked) count(v *visit) error {
	if a.Event != "" {
		a.Count = 1
		return nil
	}
	onlyDead := filter{Inbox: a.Filter.Inbox, State: "dead", Reason: a.Filter.Reason}
	if a.Filter == onlyDead {
		states, err := v.states()
		if err != nil {
			return err
		}
		in, err := chosen(url.Values{"inbox": {a.Filter.Inbox}}, states)
		if a.Count = in.Dead; a.Filter.Reason != "" {
			a.Count = in.Reasons[a.Filter.Reason]
		}
		return err
	}
	filter, err := a.Filter.asked(v.now)
	if err != nil {
		return err
	}
	begun := time.Now()
	return v.gateway.Inboxes(func(m inboxes.Manager) error {
		for cursor := ""; ; {
			page, err := m.Page(v.r.Context(), a.Filter.Inbox, filter, cursor, perCount)
			if err != nil {
				return err
			}
			a.Count += int64(len(page.Events))
			if cursor = page.Next; cursor == "" {
				return nil
			}
			if time.Since(begun) > countFor {
				a.More = true
				return nil
			}
		}
	})
}

func (v *visit) mayChange() error {
	if v.ReadOnly {
		return refusal{http.StatusForbidden, "This page is read only."}
	}
	return nil
}

// change does what a form asks for.
func (v *visit) change() error {
	if err := v.mayChange(); err != nil {
		return err
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, mostOfForm)
	if err := v.r.ParseForm(); err != nil {
		return refusal{http.StatusBadRequest, "The form cannot be read."}
	}
	if err := v.checkOrigin(); err != nil {
		v.logger.Warn("a change was refused", zap.String("by", v.by()), zap.Error(err))
		return err
	}
	form := v.r.PostForm
	a, err := askedFrom(form)
	if err != nil {
		return err
	}
	why := strings.TrimSpace(form.Get("why"))
	if why == "" || utf8.RuneCountInString(why) > mostOfReason {
		return refusal{http.StatusBadRequest, fmt.Sprintf("Say why, for the log: give a reason of up to %d characters.", mostOfReason)}
	}
	c, err := a.change(v)
	if err != nil {
		return err
	}
	c.By, c.Reason = v.by(), why
	if c.PerSecond, err = rateIn(form.Get("rate")); err != nil {
		return err
	}
	return answer(v, begin(v, a, c))
}

// rateIn reads how many events a second a replay makes ready; 0 where that is left open.
func rateIn(text string) (rate float64, err error) {
	if text == "" {
		return 0, nil
	}
	if rate, err = strconv.ParseFloat(text, 64); err != nil || !(rate >= slowest && rate <= fastest) {
		return 0, refusal{http.StatusBadRequest, fmt.Sprintf("Events a second: write a number from %v to %v, or leave it empty.", slowest, fastest)}
	}
	return rate, nil
}

// behind is the URL of the screen that shows what a change has done.
func (a asked) behind(changed adminapi.InboxChanged) string {
	did := []string{"did", a.Do, "n", strconv.Itoa(changed.Changed)}
	if changed.Matched > changed.Changed {
		did = append(did, "of", strconv.Itoa(changed.Matched))
	}
	switch {
	case a.Do == doForget:
		return link("./", "event", append(did, "scope", a.Filter.Scope, "id", a.Filter.ID)...)
	case a.Do == doPause || a.Do == doResume:
		return link("./", "", did...)
	case a.Event != "" && a.Do == doReplay:
		return link("./", "delivery", append(did, "inbox", a.Filter.Inbox, "event", a.Event)...)
	case a.Event == "" && a.Filter.State == "dead":
		return link("./", "dead", append(did, "inbox", a.Filter.Inbox)...)
	}
	return link("./", "deliveries", append(did, "inbox", a.Filter.Inbox)...)
}

// doneMessage says what a change has done, as the URL behind it has it.
func doneMessage(query url.Values) string {
	n, err := strconv.ParseInt(query.Get("n"), 10, 64)
	if err != nil || n < 0 {
		return ""
	}
	switch query.Get("did") {
	case doReplay, doDelete:
		of, err := strconv.ParseInt(query.Get("of"), 10, 64)
		if err != nil || of < n {
			of = n
		}
		return changedMessage(query.Get("did"), n, of)
	case doPause:
		return "The inbox is paused: events are kept, and the app gets none."
	case doResume:
		return "The inbox delivers again."
	case doForget:
		if n == 0 {
			return "There was nothing to forget."
		}
		return "The event is forgotten: the next copy is let through."
	}
	return ""
}

// changedMessage says how many of the events that matched were changed.
func changedMessage(do string, n, of int64) string {
	verb := map[string]string{doReplay: "Replayed ", doDelete: "Deleted "}[do]
	if n == of {
		return verb + plural(n, "event") + "."
	}
	return fmt.Sprintf("%s%d of %s.", verb, n, plural(of, "event"))
}

// by is who makes a change, for the log.
func (v *visit) by() string {
	if user := v.user(); user != "" {
		return user
	}
	address, _ := caddyhttp.GetVar(v.r.Context(), caddyhttp.ClientIPVarKey).(string)
	return fmt.Sprintf("nobody known, from %s", address)
}
