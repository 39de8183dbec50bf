package ui

import (
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// dead is what the screen of dead letters shows.
type dead struct {
	Inboxes []adminapi.InboxState
	Inbox   adminapi.InboxState
	Reasons []deadReason // most first
}

type deadReason struct {
	Reason string
	Events int64
}

func showDead(v *visit) error {
	states, err := v.states()
	if err != nil {
		return err
	}
	d := dead{Inboxes: states}
	if d.Inbox, err = chosen(v.r.URL.Query(), states); errors.Is(err, inboxes.ErrNone) {
		v.render(http.StatusOK, "none", page{Title: "Dead letters"})
		return nil
	} else if err != nil {
		return err
	}
	for _, reason := range slices.Sorted(maps.Keys(d.Inbox.Reasons)) {
		d.Reasons = append(d.Reasons, deadReason{reason, d.Inbox.Reasons[reason]})
	}
	slices.SortStableFunc(d.Reasons, func(a, b deadReason) int { return int(min(1, max(-1, b.Events-a.Events))) })
	v.render(http.StatusOK, "dead", page{Title: "Dead letters", Live: true, Message: doneMessage(v.r.URL.Query()), Data: d})
	return nil
}
