package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Warnings implements [dedupe.Warner]. It asks the masters. Where CONFIG is forbidden, as
// with most hosted servers, it makes do with what INFO shows. Where both are forbidden, it
// returns nothing.
func (r *Store) Warnings(ctx context.Context) ([]string, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	switch c := r.client.(type) {
	case *redis.ClusterClient:
		return clusterWarnings(ctx, c)
	default:
		return warnings(ctx, c)
	}
}

// clusterWarnings names the masters that each warning is about.
func clusterWarnings(ctx context.Context, c *redis.ClusterClient) ([]string, error) {
	var mu sync.Mutex
	about := make(map[string][]string)
	err := c.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		found, err := warnings(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		for _, w := range found {
			about[w] = append(about[w], master.Options().Addr)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking the masters: %w", err)
	}
	var all []string
	for _, w := range slices.Sorted(maps.Keys(about)) {
		slices.Sort(about[w])
		all = append(all, w+" (on "+strings.Join(about[w], ", ")+")")
	}
	return all, nil
}

// warnings are those of one server.
func warnings(ctx context.Context, c redis.Cmdable) ([]string, error) {
	// A wrong password is a refusal as well, and must not pass for a server without
	// warnings.
	if err := c.Ping(ctx).Err(); err != nil && !redis.HasErrorPrefix(err, "NOPERM") {
		return nil, fmt.Errorf("ping: %w", err)
	}
	known, err := settings(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	var all []string
	if policy := known["maxmemory-policy"]; policy != "" && policy != "noeviction" {
		all = append(all, fmt.Sprintf(
			"redis may evict claims and finished events, so that duplicates get through: maxmemory-policy is %s, "+
				"and every volatile-* and allkeys-* policy evicts keys that have an expiry: set maxmemory-policy noeviction", policy))
	}
	if known["appendonly"] == "no" {
		all = append(all, forgets(known["save"]))
	}
	return all, nil
}

// forgets is the warning about a server without a log of its writes, by its save points.
func forgets(save string) string {
	what, why := "claims and finished events", "persistence is off (no save, appendonly no)"
	if save != "" {
		what, why = "what came since its last snapshot", "there are snapshots only (appendonly no)"
	}
	return fmt.Sprintf("redis forgets %s when it restarts, so that duplicates get through: %s: set appendonly yes", what, why)
}

// settings reads the settings that matter, under their names in redis.conf. What the
// server does not show is missing.
func settings(ctx context.Context, c redis.Cmdable) (map[string]string, error) {
	known := make(map[string]string)
	// One by one, for servers that take a single pattern (before 7.0).
	for _, name := range []string{"maxmemory-policy", "save", "appendonly"} {
		found, err := c.ConfigGet(ctx, name).Result()
		if err := unlessRefused(err); err != nil {
			return nil, err
		}
		maps.Copy(known, found)
	}
	if len(known) > 0 {
		return known, nil
	}
	info, err := c.Info(ctx, "memory").Result()
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

// unlessRefused drops an error that the server itself returned: no permission, or a
// command that was renamed.
func unlessRefused(err error) error {
	var refusal redis.Error
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}
