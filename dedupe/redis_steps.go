package dedupe

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// parts splits an event into what one script call may touch: all of it, or in a Cluster
// each key by itself, content before ID.
func (r *Redis) parts(ev Event) []Event {
	if !r.apart || ev.Content.IsZero() || ev.ID.IsZero() {
		return []Event{ev}
	}
	return []Event{{Content: ev.Content}, {ID: ev.ID}}
}

// Claim implements [Store].
func (r *Redis) Claim(ctx context.Context, ev Event, t Token, lease time.Duration) (Answer, error) {
	if err := checkClaim(ev, lease); err != nil {
		return Answer{}, fmt.Errorf("redis: claim: %w", err)
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	parts := r.parts(ev)
	for _, part := range parts {
		reply, err := r.run(ctx, claimScript, part, t[:], millis(lease)).Text()
		if err != nil {
			return Answer{}, failed("claim", err)
		}
		if reply == "" {
			continue
		}
		if len(parts) > 1 {
			// Nobody keeps one key while being refused the other, and a claim that is
			// repeated may hold either.
			if err := r.release(ctx, parts, t); err != nil {
				return Answer{}, failed("claim", err)
			}
		}
		rec, err := decode(reply[1:])
		if err != nil {
			return Answer{}, failed("claim", err)
		}
		return rec.answer(ev, reply[0] == '1' && !part.Content.IsZero()), nil
	}
	return Answer{State: Claimed}, nil
}

// Renew implements [Store].
func (r *Redis) Renew(ctx context.Context, ev Event, t Token, lease time.Duration) error {
	if err := checkClaim(ev, lease); err != nil {
		return fmt.Errorf("redis: renew: %w", err)
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	parts := r.parts(ev)
	leases := []int64{millis(lease)}
	if len(parts) > 1 {
		leases = []int64{0, millis(lease)} // look at all first
	}
	for _, ms := range leases {
		for _, part := range parts {
			held, err := r.run(ctx, renewScript, part, t[:], ms).Int()
			if err == nil && held == 0 {
				err = ErrLost
			}
			if err != nil {
				return failed("renew", err)
			}
		}
	}
	return nil
}

// Commit implements [Store].
func (r *Redis) Commit(ctx context.Context, ev Event, status int, ttl time.Duration) error {
	if err := checkCommit(ev, status, ttl); err != nil {
		return fmt.Errorf("redis: commit: %w", err)
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	for _, part := range r.parts(ev) {
		args := append(make([]any, 0, 3), millis(ttl))
		for k := range part.keys() {
			var content Key
			if k == ev.ID {
				content = ev.Content
			}
			args = append(args, encode(status, content))
		}
		if err := r.run(ctx, commitScript, part, args...).Err(); err != nil {
			return failed("commit", err)
		}
	}
	return nil
}

// Release implements [Store].
func (r *Redis) Release(ctx context.Context, ev Event, t Token) error {
	if err := checkEvent(ev); err != nil {
		return fmt.Errorf("redis: release: %w", err)
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	return failed("release", r.release(ctx, r.parts(ev), t))
}

// release frees as many of the parts as it can.
func (r *Redis) release(ctx context.Context, parts []Event, t Token) error {
	var all error
	for _, part := range parts {
		if err := r.run(ctx, releaseScript, part, t[:]).Err(); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}

// Lookup implements [Store].
func (r *Redis) Lookup(ctx context.Context, k Key) (Record, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	rec, _, err := r.lookup(ctx, k)
	return rec, failed("lookup", err)
}

// Forget implements [Store]. Where the server's reply is lost and the call retried, the
// answer may be Absent although a record was removed.
func (r *Redis) Forget(ctx context.Context, id Key) (Record, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	for {
		rec, value, err := r.lookup(ctx, id)
		if err != nil {
			return Record{}, failed("forget", err)
		}
		if rec.State == Absent {
			return rec, nil
		}
		// The content key's name comes from the record, and scripts may only touch keys
		// that they are given: so it takes two steps, and the second makes sure of the first.
		removed, err := r.forget(ctx, Event{Content: rec.Content, ID: id}, value)
		if err != nil {
			return Record{}, failed("forget", err)
		}
		if removed {
			return rec, nil
		}
	}
}

// forget removes an event whose ID has the given value. False: something has changed
// since; look again.
func (r *Redis) forget(ctx context.Context, ev Event, value string) (bool, error) {
	parts := r.parts(ev)
	values := []string{value}
	if len(parts) > 1 {
		_, content, err := r.lookup(ctx, ev.Content)
		if err != nil {
			return false, err
		}
		values = []string{content, value} // an ID that names its content is finished
	}
	for i, part := range parts {
		if values[i] == "" {
			continue // ended before the ID, as it may
		}
		removed, err := r.run(ctx, forgetScript, part, values[i]).Int()
		switch {
		case err != nil:
			return false, err
		case removed < 0:
			return false, ErrInFlight
		case removed == 0:
			return false, nil
		}
	}
	return true, nil
}

func (r *Redis) lookup(ctx context.Context, k Key) (rec Record, value string, err error) {
	if k.IsZero() {
		return Record{State: Absent}, "", nil
	}
	reply, err := r.run(ctx, lookupScript, Event{ID: k}).Slice()
	if err != nil {
		return Record{}, "", err
	}
	value, ok := reply[0].(string)
	left, ok2 := reply[1].(int64)
	if !ok || !ok2 {
		return Record{}, "", errForeign
	}
	if rec, err = decode(value); err != nil || rec.State == Absent {
		return rec, value, err
	}
	rec.TTL = max(time.Duration(left)*time.Millisecond, 0)
	return rec, value, nil
}

// key is the name of k at the server.
func (r *Redis) key(k Key) string {
	name := append(make([]byte, 0, 64), r.prefix...)
	return string(base64.RawURLEncoding.AppendEncode(name, k[:]))
}

// errForeign is what a value under one of our keys means that we cannot have written.
var errForeign = errors.New("key holds something else: give the gateways a key_prefix or db of their own")

// encode makes a finished key's value. A bare status is an integer to Redis, which
// then needs no memory of its own.
func encode(status int, content Key) []byte {
	value := strconv.AppendInt(make([]byte, 0, 3+len(content)), int64(status), 10)
	if !content.IsZero() {
		value = append(value, content[:]...)
	}
	return value
}

// decode reads any value that the scripts store; "" is an absent key.
func decode(value string) (Record, error) {
	switch n := len(value); {
	case n == 0:
		return Record{State: Absent}, nil
	case value[0] == '*':
		return Record{State: InFlight}, nil
	case n != 3 && n != 3+len(Key{}):
		return Record{}, errForeign
	}
	status, err := strconv.ParseUint(value[:3], 10, 16)
	if err != nil {
		return Record{}, errForeign
	}
	rec := Record{State: Done, Status: int(status)}
	copy(rec.Content[:], value[3:])
	return rec, nil
}
