package recent

import (
	"testing"
	"time"
)

func TestSecretsInUse(t *testing.T) {
	var w Witness
	if s := w.Seen(); !s.Verified.IsZero() || s.Secrets != nil || s.Skew != nil {
		t.Errorf("before the first request: %+v", s)
	}
	at := func(n int) time.Time { return begin.Add(time.Duration(n) * time.Second) }
	// A rotation: the old secret, the new one, a late retry under the old one, the new one.
	for n, index := range []int{1, 1, 0, 1, 0} {
		w.Verified(at(n), time.Time{}, index)
	}
	s := w.Seen()
	want := []Secret{{Index: 0, Since: at(2), Last: at(4)}, {Index: 1, Since: at(0), Last: at(3)}}
	if len(s.Secrets) != 2 || s.Secrets[0] != want[0] || s.Secrets[1] != want[1] {
		t.Errorf("%+v, want %+v", s.Secrets, want)
	}
	if !s.Verified.Equal(at(4)) || s.Skew != nil {
		t.Errorf("%+v", s)
	}
}

// A list of keys that is fetched may be of any length.
func TestSecretsAreBounded(t *testing.T) {
	var w Witness
	for n := range 10 * mostSecrets {
		w.Verified(begin.Add(time.Duration(n)), time.Time{}, n)
	}
	w.Verified(begin.Add(time.Hour), time.Time{}, -1)
	s := w.Seen()
	if len(s.Secrets) != mostSecrets || s.Secrets[0].Index != 10*mostSecrets-1 {
		t.Errorf("%d secrets, the last one is %d", len(s.Secrets), s.Secrets[0].Index)
	}
}

func TestSkew(t *testing.T) {
	var w Witness
	for n := range 1000 {
		w.Verified(begin, begin.Add(-time.Duration(n)*time.Second), 0)
	}
	w.Verified(begin, begin.Add(5*time.Second), 0) // the sender's clock is ahead
	want := Skew{Last: -5 * time.Second, Min: -5 * time.Second, Median: 968 * time.Second, Max: 999 * time.Second, N: mostSkews}
	if s := w.Seen(); s.Skew == nil || *s.Skew != want {
		t.Errorf("%+v, want %+v", s.Skew, want)
	}
}
