package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

const unlimited = 1 << 40

// bodyRequest is one whose body is announced, or chunked where size is -1.
func bodyRequest(from io.Reader, size int64) *http.Request {
	return &http.Request{Body: io.NopCloser(from), ContentLength: size, Header: http.Header{}}
}

func kindOf(err error) Kind {
	var e *Error
	_ = errors.As(err, &e)
	return e.Kind
}

func readWithin(r *http.Request, limit int64, b *Budget) (*Body, error) {
	return Read(httptest.NewRecorder(), r, limit, time.Minute, b)
}

func TestReadBodyTakesUpToItsLimitToTheByte(t *testing.T) {
	for _, size := range []int64{0, 1, firstChunk - 1, firstChunk, firstChunk + 1, 3*firstChunk + 7, 1 << 20} {
		data := bytes.Repeat([]byte("0123456789abcdef"), int(size/16)+1)[:size]
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole":             func(r io.Reader) io.Reader { return r },
			"in halves":         iotest.HalfReader,
			"with its last EOF": iotest.DataErrReader,
		} {
			for _, announced := range []int64{size, -1} {
				t.Run(fmt.Sprintf("%d bytes %s, announced %d", size, name, announced), func(t *testing.T) {
					budget := &Budget{limit: unlimited}
					got, refused := readWithin(bodyRequest(reader(bytes.NewReader(data)), announced), size, budget)
					if refused != nil {
						t.Fatal(refused)
					}
					if !bytes.Equal(got.data, data) {
						t.Errorf("got %d other bytes", len(got.data))
					}
					if int64(cap(got.data)) > got.upload.held || budget.held != got.upload.held {
						t.Errorf("holds %d bytes, counts %d, budget %d", cap(got.data), got.upload.held, budget.held)
					}
					got.Drop()
					wantBudget(t, budget, 0, 0)
				})
			}
		}
	}
}

func TestReadBodyRefusesAndHoldsNothingThen(t *testing.T) {
	const limit = 20_000
	long := strings.NewReader(strings.Repeat("x", 1<<20))
	broken := errors.New("the wire broke")
	for name, tc := range map[string]struct {
		r      *http.Request
		budget int64
		want   Kind
		text   string
	}{
		"one byte more, announced": {bodyRequest(iotest.ErrReader(errors.New("not to be read")), limit+1), unlimited, TooLarge, "20001 bytes"},
		"one byte more, chunked":   {bodyRequest(io.LimitReader(long, limit+1), -1), unlimited, TooLarge, "max_body, 20000"},
		"endless":                  {bodyRequest(long, -1), unlimited, TooLarge, "max_body"},
		"another handler's limit": {func() *http.Request {
			r := bodyRequest(strings.NewReader("12345678"), 8)
			r.Body = http.MaxBytesReader(nil, r.Body, 5)
			return r
		}(), unlimited, TooLarge, "more than 5 bytes"},
		"more than announced": {bodyRequest(strings.NewReader("12345"), 4), unlimited, Unreadable, "announced"},
		"cut off":             {bodyRequest(io.MultiReader(strings.NewReader("12"), iotest.ErrReader(io.ErrUnexpectedEOF)), 4), unlimited, Unreadable, "EOF"},
		"broken":              {bodyRequest(io.MultiReader(strings.NewReader("12"), iotest.ErrReader(broken)), -1), unlimited, Unreadable, "wire"},
		"too slow":            {bodyRequest(iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)), -1), unlimited, TimedOut, "body_timeout, 1m0s"},
		"no room at all":      {bodyRequest(strings.NewReader("12"), 2), 1, NoRoom, "max_buffered"},
		"no room any more":    {bodyRequest(io.LimitReader(long, limit), -1), 3 * firstChunk, NoRoom, "max_buffered"},
	} {
		t.Run(name, func(t *testing.T) {
			budget := &Budget{limit: tc.budget}
			got, refused := readWithin(tc.r, limit, budget)
			if got != nil || refused == nil {
				t.Fatal("not refused")
			}
			if kindOf(refused) != tc.want {
				t.Errorf("kind %d, want %d", kindOf(refused), tc.want)
			}
			if !strings.Contains(refused.Error(), tc.text) {
				t.Errorf("error %q does not hold %q", refused, tc.text)
			}
			wantBudget(t, budget, 0, 0)
		})
	}
}

func TestReadBodyOfNothingHoldsNothing(t *testing.T) {
	budget := new(Budget) // without any room
	for _, r := range []*http.Request{{}, {ContentLength: -1}, {Body: http.NoBody}} {
		got, refused := readWithin(r, 10, budget)
		if refused != nil || len(got.data) != 0 {
			t.Errorf("%v, %v", got, refused)
		}
	}
}

// watched calls look before every read of what it wraps.
type watched struct {
	io.Reader
	look func()
}

func (w watched) Read(p []byte) (int, error) {
	w.look()
	return w.Reader.Read(p)
}

func TestWhatIsHeldFollowsWhatHasArrivedNotWhatIsAnnounced(t *testing.T) {
	const announced, limit = 64 << 20, 100 << 20
	for _, sent := range []int{0, 10, firstChunk, 5 * firstChunk, 1 << 20} {
		budget := &Budget{limit: unlimited}
		arrived := iotest.OneByteReader(strings.NewReader(strings.Repeat("x", sent)))
		if sent > 10 {
			arrived = strings.NewReader(strings.Repeat("x", sent))
		}
		most := int64(0)
		from := watched{io.MultiReader(arrived, iotest.ErrReader(io.ErrUnexpectedEOF)), func() { most = max(most, budget.Bytes()) }}
		if _, refused := readWithin(bodyRequest(from, announced), limit, budget); refused == nil {
			t.Fatal("a body that was cut off was taken")
		}
		if bound := int64(max(firstChunk, 4*sent)); most > bound {
			t.Errorf("%d bytes of %d sent, %d held, more than %d", sent, announced, most, bound)
		}
		wantBudget(t, budget, 0, 0)
	}
}

func TestCapacityNeverExceedsWhatIsCounted(t *testing.T) {
	budget := &Budget{limit: unlimited}
	b := newBody(budget)
	up := b.upload
	from := watched{iotest.HalfReader(strings.NewReader(strings.Repeat("x", 300_000))), func() {
		if c := int64(cap(b.data)); c > up.held || up.held != budget.Bytes() {
			t.Errorf("capacity %d, counted %d, budget %d", c, up.held, budget.Bytes())
		}
	}}
	if err := b.read(from, -1, 1<<20); err != nil {
		t.Fatal(err)
	}
}

func TestABodyIsCountedOnceHoweverManyShareIt(t *testing.T) {
	budget := &Budget{limit: unlimited}
	b, refused := readWithin(bodyRequest(strings.NewReader("12345"), 5), 10, budget)
	if refused != nil {
		t.Fatal(refused)
	}
	held := budget.Bytes()
	wantBudget(t, budget, held, held)
	b.MarkVerified()
	wantBudget(t, budget, held, 0)
	if !b.Share() {
		t.Fatal("a body in use was not shared")
	}
	b.MarkVerified() // only the first time counts
	wantBudget(t, budget, held, 0)
	b.Drop()
	wantBudget(t, budget, held, 0)
	b.Drop()
	wantBudget(t, budget, 0, 0)
}

// What the server reads of a body before it answers must end, and what it reads after
// one to learn of a hang-up must not.
func TestReadBodyBoundsWhatIsReadAfterIt(t *testing.T) {
	const now, atTimeout, never = 0, time.Minute, -1
	late := watched{strings.NewReader("1"), func() {
		time.Sleep(2 * time.Minute)
		synctest.Wait()
	}}
	for name, tc := range map[string]struct {
		from io.Reader
		size int64
		want []time.Duration
	}{
		"not at all where all is read":                   {strings.NewReader("1"), 1, nil},
		"where the body breaks":                          {iotest.ErrReader(io.ErrUnexpectedEOF), 1, []time.Duration{atTimeout}},
		"where it is too large":                          {strings.NewReader("1"), 11, []time.Duration{atTimeout}},
		"no more where all came just after the time-out": {late, 1, []time.Duration{now, never}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &deadlineWriter{}
				start, b := time.Now(), &Budget{limit: unlimited}
				_, _ = Read(w, bodyRequest(tc.from, tc.size), 10, time.Minute, b)
				var got []time.Duration
				for _, at := range w.deadlines {
					switch {
					case at.IsZero():
						got = append(got, never)
					case at.Before(start):
						got = append(got, now)
					default:
						got = append(got, at.Sub(start))
					}
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("deadlines %v, want %v", got, tc.want)
				}
			})
		})
	}
}

type deadlineWriter struct {
	http.ResponseWriter
	deadlines []time.Time
}

func (w *deadlineWriter) SetReadDeadline(at time.Time) error {
	w.deadlines = append(w.deadlines, at)
	return nil
}

// A sender that stops in the middle is given up, and a real server does so.
func TestASlowSenderGetsBodyTimeout(t *testing.T) {
	got := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, refused := Read(w, r, 100, 20*time.Millisecond, &Budget{limit: unlimited})
		got <- refused
	}))
	defer server.Close()
	stalled, end := io.Pipe()
	defer end.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, stalled)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if resp, err := server.Client().Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	if refused := <-got; refused == nil || kindOf(refused) != TimedOut {
		t.Errorf("got %v", refused)
	}
}
