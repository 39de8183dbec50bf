package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

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

// mostOfForm is the size of the largest form that is read, in bytes.
const mostOfForm = 64 << 10

// asked is a change that somebody asks for.
type asked struct {
	Do     string
	Filter filter
	Event  string // the key of one event, or else the filter is meant
	Count  int64  // how many events match
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

// Verb is the change in a word.
func (a asked) Verb() string { return strings.ToUpper(a.Do[:1]) + a.Do[1:] }

// What names what is changed.
func (a asked) What() string {
	switch a.Do {
	case doReplay, doDelete:
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
	if a.Do == doReplay || a.Do == doDelete {
		if a.Count, err = count(v, a); err != nil {
			return err
		}
	}
	v.render(http.StatusOK, "change", page{Title: a.Verb() + " " + a.What(), Data: a})
	return nil
}

// count returns how many events a change would meet: from the counters where they know.
func count(v *visit, a asked) (n int64, err error) {
	if a.Event != "" {
		return 1, nil
	}
	onlyDead := filter{Inbox: a.Filter.Inbox, State: "dead", Reason: a.Filter.Reason}
	if a.Filter == onlyDead {
		states, err := v.states()
		if err != nil {
			return 0, err
		}
		in, err := chosen(url.Values{"inbox": {a.Filter.Inbox}}, states)
		if a.Filter.Reason == "" {
			return in.Dead, err
		}
		return in.Reasons[a.Filter.Reason], err
	}
	c, err := a.change(v)
	if err != nil {
		return 0, err
	}
	c.DryRun = true
	err = v.gateway.Inboxes(func(m inboxes.Manager) error {
		changed, err := m.Delete(v.r.Context(), c) // which a dry run is the same for
		n = int64(changed.Matched)
		return err
	})
	return n, err
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
	if why == "" {
		return refusal{http.StatusBadRequest, "Say why, for the log: give a reason."}
	}
	changed, err := v.do(a, why, form.Get("rate"))
	if err != nil {
		return err
	}
	v.w.Header().Set("Location", a.behind(changed))
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// do makes the change. It goes on when the user goes away: half of it would help nobody.
func (v *visit) do(a asked, why, rate string) (changed adminapi.InboxChanged, err error) {
	ctx := context.WithoutCancel(v.r.Context())
	if a.Do == doForget {
		state, err := v.gateway.Forget(ctx, a.Filter.Scope, a.Filter.ID, v.by(), why)
		if state.State == "done" || state.Kept != nil {
			changed.Changed = 1
		}
		return changed, err
	}
	c, err := a.change(v)
	if err != nil {
		return changed, err
	}
	c.By, c.Reason = v.by(), why
	if rate != "" {
		if c.PerSecond, err = strconv.ParseFloat(rate, 64); err != nil || !(c.PerSecond >= slowest && c.PerSecond <= fastest) {
			return changed, refusal{http.StatusBadRequest, fmt.Sprintf("Events a second: write a number from %v to %v, or leave it empty.", slowest, fastest)}
		}
	}
	err = v.gateway.Inboxes(func(m inboxes.Manager) error {
		switch a.Do {
		case doReplay:
			changed, err = m.Replay(ctx, c)
		case doDelete:
			changed, err = m.Delete(ctx, c)
		default:
			changed, err = m.Pause(ctx, c, a.Do == doPause)
		}
		return err
	})
	return changed, err
}

// behind is the URL of the screen that shows what a change has done.
func (a asked) behind(changed adminapi.InboxChanged) string {
	did := []string{"did", a.Do, "n", strconv.Itoa(changed.Changed)}
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
	case doReplay:
		return "Replayed " + plural(n, "event") + "."
	case doDelete:
		return "Deleted " + plural(n, "event") + "."
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

// by is who makes a change, for the log.
func (v *visit) by() string {
	if user := v.user(); user != "" {
		return user
	}
	address, _ := caddyhttp.GetVar(v.r.Context(), caddyhttp.ClientIPVarKey).(string)
	return fmt.Sprintf("nobody known, from %s", address)
}
