package disk

import "github.com/webhookguard/caddy-webhook-guard/dedupe"

// draft has the records that changes make, above those that are there already. Nobody else
// sees them yet.
type draft struct {
	records map[dedupe.Key]finished
	below   *checkpointer
}

// latest returns the newest record of k, whether or not its time is over.
func (d draft) latest(r records, k dedupe.Key) (finished, error) {
	if f, ok := d.records[k]; ok {
		return f, nil
	}
	return d.below.latest(r, k)
}

// apply adds the records that a change makes.
func (d draft) apply(r records, ch change) error {
	for k := range ch.event.Keys() {
		if ch.status == 0 {
			d.records[k] = finished{}
			continue
		}
		// A key that is finished already keeps its record, and its time is only ever
		// lengthened.
		f, err := d.latest(r, k)
		if err != nil {
			return err
		}
		switch {
		case f.expires <= r.now:
			f = finished{expires: ch.expires, status: int16(ch.status), reply: ch.reply}
			if k == ch.event.ID {
				f.content = ch.event.Content
			} else {
				f.idText = ch.idText
			}
		case ch.expires <= f.expires:
			continue
		default:
			f.expires = ch.expires
		}
		d.records[k] = f
	}
	return nil
}
