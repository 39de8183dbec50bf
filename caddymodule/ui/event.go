package ui

import (
	"net/http"

	"github.com/webhookguard/caddy-webhook-guard/caddymodule/internal/adminapi"
)

// remembered is what the screen of an event's record shows.
type remembered struct {
	Scope, ID string
	State     *adminapi.EventState // nil before somebody asks
}

func showEvent(v *visit) error {
	query := v.r.URL.Query()
	data := remembered{Scope: query.Get("scope"), ID: query.Get("id")}
	if data.Scope != "" && data.ID != "" {
		state, err := v.gateway.Event(v.r.Context(), data.Scope, data.ID)
		if err != nil {
			return err
		}
		data.State = &state
	}
	v.render(http.StatusOK, "event", page{Title: "Event", Message: doneMessage(query), Data: data})
	return nil
}
