package inbox

import (
	"encoding/base64"
	"encoding/binary"
	"time"
)

// MostLooked is how many events a page of a queue looks at, for each that it may have.
const MostLooked = 10

// Cursor is where a walk through the lists of a queue goes on: in which list, and behind which
// event there. At is the event's place in the list, such as a time.
type Cursor struct {
	List int // up to 255
	At   int64
	Key  Key
}

// String is the cursor as a [Page] has it.
func (c Cursor) String() string {
	b := binary.BigEndian.AppendUint64([]byte{byte(c.List)}, uint64(c.At))
	return base64.RawURLEncoding.EncodeToString(append(b, c.Key[:]...))
}

// ReadCursor reads a cursor of a walk through the given number of lists. It returns ErrCursor
// for any other text.
func ReadCursor(text string, lists int) (c Cursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != 1+8+len(c.Key) || int(b[0]) >= lists {
		return c, ErrCursor
	}
	return Cursor{List: int(b[0]), At: int64(binary.BigEndian.Uint64(b[1:])), Key: Key(b[9:])}, nil
}

// CeilMilli is a time in ms since 1970, rounded up: the first one of a list by ms that is not
// before it.
func CeilMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }
