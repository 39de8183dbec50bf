package inbox

import (
	"context"
	"errors"
	"slices"
	"time"
)

// selectPage is how many events Select asks for at a time.
const selectPage = 500

// errNoFilter keeps a slip from meaning every event.
var errNoFilter = errors.New("the filter is empty, so it means every event: give a state or another field")

// Select returns the keys of all events that match as it walks, each once. Its length is
// the preview of what ReplayAll or DeleteAll would be asked to change. An empty filter is
// refused.
func Select(ctx context.Context, q Queue, f Filter) ([]Key, error) {
	if f == (Filter{}) {
		return nil, errNoFilter
	}
	var keys []Key
	seen := make(map[Key]bool) // one that changes its state during the walk may be met twice
	for cursor := ""; ; {
		page, err := q.Page(ctx, f, cursor, selectPage)
		if err != nil {
			return nil, err
		}
		for _, info := range page.Events {
			if !seen[info.Key] {
				seen[info.Key] = true
				keys = append(keys, info.Key)
			}
		}
		if cursor = page.Next; cursor == "" {
			return keys, nil
		}
	}
}

// ReplayAll replays any number of events, in steps. The first is due now, each further one
// gap later. It returns how many it has moved, also where it fails. To select first and
// replay then keeps events that die again from being replayed again.
func ReplayAll(ctx context.Context, q Queue, keys []Key, gap time.Duration) (moved int, err error) {
	for some := range slices.Chunk(keys, MaxKeys) {
		n, err := q.Replay(ctx, some, time.Duration(moved)*gap, gap)
		moved += n
		if err != nil {
			return moved, err
		}
	}
	return moved, nil
}

// DeleteAll deletes any number of events, in steps. It returns how many there were, also
// where it fails.
func DeleteAll(ctx context.Context, q Queue, keys []Key) (deleted int, err error) {
	for some := range slices.Chunk(keys, MaxKeys) {
		n, err := q.Delete(ctx, some)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}
