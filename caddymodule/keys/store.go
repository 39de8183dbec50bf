package keys

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"time"

	"go.uber.org/zap"
)

// Store keeps documents across restarts. Caddy's storage is one.
type Store interface {
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
	Delete(ctx context.Context, key string) error
	List(ctx context.Context, prefix string, recursive bool) ([]string, error)
}

// storedIn is the folder of what is stored.
const storedIn = "webhook_guard/keys"

// record is what is stored of one source.
type record struct {
	Title    string    `json:"url"` // its URL, as a rule
	Fetched  time.Time `json:"fetched"`
	Until    time.Time `json:"until"`
	Document string    `json:"document"`
}

func (s *Source) storedAs() string {
	sum := sha256.Sum256([]byte(s.title))
	return storedIn + "/" + hex.EncodeToString(sum[:16]) + ".json"
}

// recall takes up the set that was kept, if there is one. What cannot be read is fetched.
func (s *Source) recall(ctx context.Context) {
	if s.store == nil {
		return
	}
	text, err := s.store.Load(ctx, s.storedAs())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var kept record
	if err == nil {
		err = json.Unmarshal(text, &kept)
	}
	if err == nil && kept.Title != s.title {
		err = errors.New("it is of another URL")
	}
	var held set
	if err == nil {
		held.keys, err = s.parse([]byte(kept.Document))
	}
	if err != nil {
		s.logger.Warn("the sender's keys that were kept cannot be read: they are fetched", zap.Error(err))
		return
	}
	held.fetched = kept.Fetched
	held.until = kept.Until
	if latest := kept.Fetched.Add(maxFresh); held.until.After(latest) {
		held.until = latest
	}
	s.held.Store(&held)
}

// remember keeps a set for the next process.
func (s *Source) remember(ctx context.Context, document []byte, fetched *set) {
	if s.store == nil {
		return
	}
	text, err := json.Marshal(record{Title: s.title, Fetched: fetched.fetched, Until: fetched.until, Document: string(document)})
	if err == nil {
		err = s.store.Store(ctx, s.storedAs(), text)
	}
	if err != nil {
		s.logger.Warn("the sender's keys cannot be kept for the next start", zap.Error(err))
	}
}

// forget deletes what was kept for the next process.
func (s *Source) forget(ctx context.Context) {
	if s.store == nil {
		return
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if err := s.store.Delete(ctx, s.storedAs()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.logger.Warn("a key that was kept cannot be deleted", zap.Error(err))
	}
}
