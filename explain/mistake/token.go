package mistake

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/signature"
)

// TokenPlaces lists where a request may hold a secret, as a token line names places.
func TokenPlaces(r signature.Request) []string {
	places := []string{"bearer", "basic"}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		places = append(places, "header "+name)
	}
	query, _ := url.ParseQuery(r.Query)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if plainName(name) {
			places = append(places, "query "+name)
		}
	}
	return places
}

// plainName reports whether a key can stand in a line as it is, and holds nothing else.
func plainName(name string) bool {
	return name != "" && len(name) <= 40 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == ""
}
