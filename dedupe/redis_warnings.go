package dedupe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Warnings asks the server for settings under which it may lose claims, and returns a
// sentence with its mend for each. Where CONFIG is forbidden, as with most hosted
// servers, it makes do with what INFO shows, and where both are, it has nothing to
// say. It fails only where the server cannot be reached.
func (r *Redis) Warnings(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()

	// A wrong password is an answer of the server too, and must not pass for a server
	// that has nothing to hide.
	if err := r.client.Ping(ctx).Err(); err != nil && !redis.HasErrorPrefix(err, "NOPERM") {
		return nil, failed("ping", err)
	}
	known, err := r.settings(ctx)
	if err != nil {
		return nil, failed("reading settings", err)
	}
	var warnings []string
	if policy := known["maxmemory-policy"]; policy != "" && policy != "noeviction" {
		warnings = append(warnings, fmt.Sprintf(
			"redis may evict claims and finished events, so that duplicates get through: maxmemory-policy is %s, "+
				"and every volatile-* and allkeys-* policy evicts keys that have an expiry: set maxmemory-policy noeviction", policy))
	}
	save, saveKnown := known["save"]
	if saveKnown && save == "" && known["appendonly"] == "no" {
		warnings = append(warnings,
			"redis forgets claims and finished events when it restarts, so that duplicates get through: "+
				"persistence is off (no save, appendonly no): set appendonly yes")
	}
	return warnings, nil
}

// settings reads the settings that matter, under their names in redis.conf. What the
// server does not show is missing.
func (r *Redis) settings(ctx context.Context) (map[string]string, error) {
	known := make(map[string]string)
	// One by one, for servers that take a single pattern (before 7.0).
	for _, name := range []string{"maxmemory-policy", "save", "appendonly"} {
		found, err := r.client.ConfigGet(ctx, name).Result()
		if err := unlessRefused(err); err != nil {
			return nil, err
		}
		for k, v := range found {
			known[k] = v
		}
	}
	if len(known) > 0 {
		return known, nil
	}
	info, err := r.client.Info(ctx, "memory").Result()
	if err := unlessRefused(err); err != nil {
		return nil, err
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(strings.TrimSpace(line), "maxmemory_policy:"); ok {
			known["maxmemory-policy"] = policy
		}
	}
	return known, nil
}

// unlessRefused drops an error that is the server's own answer: no permission, or a
// command that was renamed away.
func unlessRefused(err error) error {
	var refusal redis.Error
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}
