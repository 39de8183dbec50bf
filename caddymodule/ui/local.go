package ui

import (
	"net/http"
	"net/url"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/recent"
)

// mostRecent is how many of a process's last requests one screen lists.
const mostRecent = 100

// lately is what the screens of this process show: its last refusals, or deliveries.
type lately struct {
	Filter recent.Filter
	Counts []recent.Count
	Last   []recent.Entry
}

func latelyIn(log *recent.Log, query url.Values) (l lately) {
	l.Filter = recent.Filter{Result: query.Get("result"), Provider: query.Get("provider"), Scope: query.Get("scope"), ID: query.Get("id")}
	if log != nil {
		l.Counts, l.Last = log.Counts(), log.Last(l.Filter, mostRecent)
	}
	return l
}

func showRefused(v *visit) error {
	v.render(http.StatusOK, "refused", page{Title: "Refused", Live: true, Data: latelyIn(v.watched.Refused, v.r.URL.Query())})
	return nil
}

func showRecent(v *visit) error {
	v.render(http.StatusOK, "recent", page{Title: "This process", Live: true, Data: latelyIn(v.watched.Delivered, v.r.URL.Query())})
	return nil
}

func showGuards(v *visit) error {
	var guards []recent.Guard
	if v.watched.Guards != nil {
		guards = v.watched.Guards()
	}
	v.render(http.StatusOK, "guards", page{Title: "Guards", Live: true, Data: guards})
	return nil
}
