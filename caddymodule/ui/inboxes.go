package ui

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/inboxes"
	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// states returns how the inboxes stand, by name; none where the store has no inboxes.
func (v *visit) states() (states []adminapi.InboxState, err error) {
	err = v.gateway.Inboxes(func(m inboxes.Manager) error {
		states, err = m.States(v.r.Context())
		return err
	})
	if errors.Is(err, inboxes.ErrNone) {
		return nil, nil
	}
	slices.SortFunc(states, func(a, b adminapi.InboxState) int { return cmp.Compare(a.Name, b.Name) })
	return states, err
}

func showInboxes(v *visit) error {
	states, err := v.states()
	if err != nil {
		return err
	}
	v.render(http.StatusOK, "inboxes", page{Title: "Inboxes", Live: true, Message: doneMessage(v.r.URL.Query()), Data: states})
	return nil
}

// chosen is the inbox that a screen is about: the one that the URL names, or the first one.
func chosen(query url.Values, states []adminapi.InboxState) (adminapi.InboxState, error) {
	name := query.Get("inbox")
	if name == "" && len(states) > 0 {
		return states[0], nil
	}
	if i := slices.IndexFunc(states, func(s adminapi.InboxState) bool { return s.Name == name }); i >= 0 {
		return states[i], nil
	}
	if name == "" {
		return adminapi.InboxState{}, inboxes.ErrNone
	}
	return adminapi.InboxState{}, refusal{http.StatusNotFound, "There is no such inbox."}
}
