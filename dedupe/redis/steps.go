package redis

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"time"

	"github.com/webhookguard/caddy-webhook-guard/dedupe"
)

// parts splits an event into what one script call may touch: all of it, or in a Cluster
// each key by itself, content before ID.
func (r *Store) parts(ev dedupe.Event) []dedupe.Event {
	if !r.apart || ev.Content.IsZero() || ev.ID.IsZero() {
		return []dedupe.Event{ev}
	}
	return []dedupe.Event{{Content: ev.Content}, {ID: ev.ID}}
}

// Claim implements [dedupe.Store].
func (r *Store) Claim(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) (dedupe.Answer, error) {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return dedupe.Answer{}, err
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	parts := r.parts(ev)
	for _, part := range parts {
		reply, err := r.run(ctx, claimScript, part, t[:], dedupe.Millis(lease)).Text()
		if err != nil {
			return dedupe.Answer{}, err
		}
		if reply == "" {
			continue
		}
		if len(parts) > 1 {
			// Nobody keeps one key while being refused the other, and a claim that is
			// repeated may hold either.
			if err := r.release(ctx, parts, t); err != nil {
				return dedupe.Answer{}, err
			}
		}
		rec, err := decode(reply[1:])
		if err != nil {
			return dedupe.Answer{}, err
		}
		return rec.Answer(ev, reply[0] == '1' && !part.Content.IsZero()), nil
	}
	return dedupe.Answer{State: dedupe.Claimed}, nil
}

// Renew implements [dedupe.Store].
func (r *Store) Renew(ctx context.Context, ev dedupe.Event, t dedupe.Token, lease time.Duration) error {
	if err := dedupe.CheckClaim(ev, lease); err != nil {
		return err
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	parts := r.parts(ev)
	leases := []int64{dedupe.Millis(lease)}
	if len(parts) > 1 {
		leases = []int64{0, dedupe.Millis(lease)} // look at all first
	}
	for _, ms := range leases {
		for _, part := range parts {
			held, err := r.run(ctx, renewScript, part, t[:], ms).Int()
			if err == nil && held == 0 {
				err = dedupe.ErrLost
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Commit implements [dedupe.Store].
func (r *Store) Commit(ctx context.Context, ev dedupe.Event, success dedupe.Success, ttl time.Duration) error {
	if err := dedupe.CheckCommit(ev, success, ttl); err != nil {
		return err
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	for _, part := range r.parts(ev) {
		args := append(make([]any, 0, 3), dedupe.Millis(ttl))
		if !part.Content.IsZero() {
			args = append(args, encodeContent(success))
		}
		if !part.ID.IsZero() {
			args = append(args, encodeID(success, ev.Content))
		}
		if err := r.run(ctx, commitScript, part, args...).Err(); err != nil {
			return err
		}
	}
	return nil
}

// Release implements [dedupe.Store].
func (r *Store) Release(ctx context.Context, ev dedupe.Event, t dedupe.Token) error {
	if err := dedupe.CheckEvent(ev); err != nil {
		return err
	}
	ctx, cancel := r.step(ctx)
	defer cancel()
	return r.release(ctx, r.parts(ev), t)
}

// release frees as many of the parts as it can.
func (r *Store) release(ctx context.Context, parts []dedupe.Event, t dedupe.Token) (all error) {
	for _, part := range parts {
		all = errors.Join(all, r.run(ctx, releaseScript, part, t[:]).Err())
	}
	return all
}

// Lookup implements [dedupe.Store].
func (r *Store) Lookup(ctx context.Context, k dedupe.Key) (dedupe.Record, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	rec, _, err := r.lookup(ctx, k)
	return rec, err
}

// Forget implements [dedupe.Store]. If a reply is lost and the call retried, the result may
// be Absent although a record was removed.
func (r *Store) Forget(ctx context.Context, id dedupe.Key) (dedupe.Record, error) {
	ctx, cancel := r.step(ctx)
	defer cancel()
	for {
		rec, value, err := r.lookup(ctx, id)
		if err != nil {
			return dedupe.Record{}, err
		}
		if rec.State == dedupe.Absent {
			return rec, nil
		}
		// Scripts may only touch keys that they are given, and the content key is named by
		// the record. So it takes two steps, and the second checks that the record is the same.
		removed, err := r.forget(ctx, dedupe.Event{Content: rec.Content, ID: id}, value)
		if err != nil {
			return dedupe.Record{}, err
		}
		if removed {
			return rec, nil
		}
	}
}

// forget removes an event whose ID has the given value. It returns false where the value
// has changed meanwhile, and the caller looks again.
func (r *Store) forget(ctx context.Context, ev dedupe.Event, value string) (bool, error) {
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
			return false, dedupe.ErrInFlight
		case removed == 0:
			return false, nil
		}
	}
	return true, nil
}

func (r *Store) lookup(ctx context.Context, k dedupe.Key) (rec dedupe.Record, value string, err error) {
	if k.IsZero() {
		return dedupe.Record{State: dedupe.Absent}, "", nil
	}
	reply, err := r.run(ctx, lookupScript, dedupe.Event{ID: k}).Slice()
	if err != nil {
		return dedupe.Record{}, "", err
	}
	if len(reply) != 2 {
		return dedupe.Record{}, "", errForeign
	}
	value, ok := reply[0].(string)
	left, ok2 := reply[1].(int64)
	if !ok || !ok2 {
		return dedupe.Record{}, "", errForeign
	}
	if rec, err = decode(value); err != nil || rec.State == dedupe.Absent {
		return rec, value, err
	}
	rec.TTL = max(time.Duration(left)*time.Millisecond, 0)
	return rec, value, nil
}

// keyName is the name of k at the server.
func keyName(prefix string, k dedupe.Key) string {
	name := append(make([]byte, 0, 64), prefix...)
	return string(base64.RawURLEncoding.AppendEncode(name, k[:]))
}

// errForeign reports a value under one of our keys that we cannot have written.
var errForeign = errors.New("key holds something else: give the gateways a key_prefix or db of their own")

// namedMark begins the value of a content key that has the text of an ID.
const namedMark = '='

// encodeContent makes the value of a content key that is finished. A bare status is an
// integer to Redis, which then needs no memory of its own.
func encodeContent(success dedupe.Success) []byte {
	text := success.IDText
	if text == "" {
		return encodeID(success, dedupe.Key{})
	}
	reply := success.Reply.Pack()
	value := append(make([]byte, 0, 5+len(text)+len(reply)), namedMark)
	value = strconv.AppendInt(value, int64(success.Status), 10)
	value = append(value, byte(len(text))) // MaxIDText at most
	return append(append(value, text...), reply...)
}

// encodeID makes the value of an ID that is finished with a content key, or of any key
// without one. A reply stands behind a content key, if of zeros.
func encodeID(success dedupe.Success, content dedupe.Key) []byte {
	reply := success.Reply.Pack()
	value := strconv.AppendInt(make([]byte, 0, 3+len(content)+len(reply)), int64(success.Status), 10)
	if !content.IsZero() || reply != "" {
		value = append(value, content[:]...)
	}
	return append(value, reply...)
}

// decode reads any value that the scripts store; "" is an absent key.
func decode(value string) (rec dedupe.Record, err error) {
	if value == "" {
		return dedupe.Record{State: dedupe.Absent}, nil
	}
	switch value[0] {
	case '*':
		return dedupe.Record{State: dedupe.InFlight}, nil
	case namedMark:
		return decodeNamed(value[1:])
	}
	reply := ""
	switch n := len(value); {
	case n >= 3+len(rec.Content):
		copy(rec.Content[:], value[3:])
		reply = value[3+len(rec.Content):]
	case n != 3:
		return dedupe.Record{}, errForeign
	}
	return decodeDone(rec, value[:3], reply)
}

// decodeNamed reads what follows namedMark.
func decodeNamed(value string) (rec dedupe.Record, err error) {
	if len(value) < 4 {
		return rec, errForeign
	}
	size, rest := int(value[3]), value[4:]
	if size == 0 || size > dedupe.MaxIDText || size > len(rest) {
		return rec, errForeign
	}
	rec.IDText = rest[:size]
	return decodeDone(rec, value[:3], rest[size:])
}

// decodeDone adds a finished key's status and reply to its record.
func decodeDone(rec dedupe.Record, status, packed string) (dedupe.Record, error) {
	code, err := strconv.ParseUint(status, 10, 16)
	reply, ok := dedupe.UnpackReply(packed)
	if err != nil || !ok || code < 200 || code > 999 { // no answer has another status
		return dedupe.Record{}, errForeign
	}
	rec.State, rec.Status, rec.Reply = dedupe.Done, int(code), reply
	return rec, nil
}
