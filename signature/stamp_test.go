package signature

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseStamp(t *testing.T) {
	at := time.Date(2025, 11, 24, 16, 0, 0, 0, time.UTC) // 1764000000
	for _, test := range []struct {
		text, format string
		want         time.Time
	}{
		{"1764000000", "unix", at},
		{"1764000000", "", at},
		{"1764000000.25", "unix", at.Add(250 * time.Millisecond)},
		{"1764000000.1234567899", "", at.Add(123456789)},
		{"1764000000000", "unix_ms", at},
		{"1764000000250", "", at.Add(250 * time.Millisecond)},
		{"1764000000250.5", "unix_ms", at.Add(250500 * time.Microsecond)},
		{"0001764000000", "unix", at},
		{"0", "", time.Unix(0, 0)},
		{"99999999999", "", time.Unix(99999999999, 0)},
		{"100000000000", "", time.UnixMilli(100000000000)},
		{"2025-11-24T16:00:00Z", "", at},
		{"2025-11-24T16:00:00.000Z", "rfc3339", at},
		{"2025-11-24T18:00:00+02:00", "rfc3339", at},
		{"2025-11-24T09:00:00.5-07:00", "", at.Add(500 * time.Millisecond)},
		{"2025-11-24T16:00:00.123456+00:00", "", at.Add(123456 * time.Microsecond)},
		// Without a zone, as Python's isoformat() and Orb write it.
		{"2025-11-24T16:00:00.551", "rfc3339", at.Add(551 * time.Millisecond)},
		{"2025-11-24T16:00:00.123456", "", at.Add(123456 * time.Microsecond)},
		{"2025-11-24T16:00:00", "", at},
		{"2025-11-24 16:00:00", "", at},
		{"2025-11-24 16:00:00.25", "rfc3339", at.Add(250 * time.Millisecond)},
		{"2025-11-24 16:00:00Z", "", at},
		{"2025-11-24 18:00:00+02:00", "", at},
		// With a zone as ISO 8601's basic form has it, and PHP's DATE_ISO8601, Java's Z and
		// strftime's %z write it; or with its hours only, as PostgreSQL writes it.
		{"2025-11-24T16:00:00+0000", "", at},
		{"2025-11-24T18:00:00.000+0200", "rfc3339", at},
		{"2025-11-24T08:30:00.5-0730", "", at.Add(500 * time.Millisecond)},
		{"2025-11-24 16:00:00.25+00", "", at.Add(250 * time.Millisecond)},
		{"2025-11-24T18:00:00+02", "rfc3339", at},
		{"2025-11-24T17:59:60+0200", "", at},
		// RFC 3339 has lower case and leap seconds too.
		{"2025-11-24t16:00:00z", "", at},
		{"2025-11-24t16:00:00.5z", "rfc3339", at.Add(500 * time.Millisecond)},
		{"2025-11-24T15:59:60Z", "", at},
		{"2025-11-24T17:59:60.5+02:00", "", at.Add(500 * time.Millisecond)},
		{"2025-11-24T15:59:60", "rfc3339", at},
	} {
		got, err := ParseStamp(test.text, test.format)
		if err != nil || !got.Equal(test.want) {
			t.Errorf("%q as %q: got %v, %v, want %v", test.text, test.format, got, err, test.want)
		}
	}
}

func TestParseStampRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "-1", "+1", " 1764000000", "1764000000 ", "1764000000\n", "1.", ".5", "1.2.3", "1.-2", "1_000", "1,5", "1e9", "1764000000e0",
		"0x6924000", "NaN", "nan", "Inf", "-Infinity", "١٧٦٤٠٠٠٠٠٠", "now", "99999999999999999999", "253402300800000", "1764000000000000", "9223372036854775807",
		"18446744073709551617", strings.Repeat("9", 400), strings.Repeat("0", 400) + "x",
		"2025-11-24", "2025-11-24T16:00", "2025-11-24T16:00:00.", "2025-11-24T16:00:00.Z", "2025-11-24T16:00:00.5.5", "2025-11-24_16:00:00Z", "2025-11-24T16:00:00,5Z",
		"2025-11-24T16:00:61Z", "2025-11-24T16:60:60Z", "2025-11-24T16:00:00zz", "2025-11-24T16:00:00+2", "2025-11-24T16:00:00+020", "2025-11-24T16:00:00+02:0", "2025-11-24T16:00:00+0", "2025-11-24T16:00:00+", "2025-11-24T16:00:00.+0000", "2025-11-24T16:00:00+9900", "2025-11-24T16:00:00+0099", "2025-11-24T16:00:00+99", "2025-11-24T16:00:00++200", "2025-11-24T16:00:00+0200Z", "2025-11-24T16:00:00Z+0200", "2025-11-24T16:00:00 +0000", "2025-11-24T16:00:00+00000", "9999-12-31T23:59:60Z", "2025-11-24T16:00:00,5", "2025-11-24T6:00:00.5", "2025-11-24T6:00:00Z", "2025-13-24T16:00:00Z",
		"2025-11-24T25:00:00Z", "10000-11-24T16:00:00Z", "2025-11-24T16:00:00Z ", "2025-11-24T16:00:00+99:00", "Mon, 24 Nov 2025 16:00:00 GMT",
	} {
		for _, format := range []string{"", "unix", "unix_ms", "rfc3339"} {
			if got, err := ParseStamp(text, format); err == nil {
				t.Errorf("%q as %q: got %v", text, format, got)
			} else if strings.Contains(err.Error(), text) && len(text) > 4 {
				t.Errorf("the error quotes the value: %v", err)
			}
		}
	}
	if _, err := ParseStamp("1", "unix_us"); err == nil || errors.Is(err, errStamp) {
		t.Errorf("an unknown format: got %v", err)
	}
}

func TestFormatStamp(t *testing.T) {
	at := time.Date(2025, 11, 24, 17, 0, 0, 250e6, time.FixedZone("", 3600))
	for format, want := range map[string]string{
		"": "1764000000", "unix": "1764000000", "unix_ms": "1764000000250", "rfc3339": "2025-11-24T16:00:00.25Z",
	} {
		if got := FormatStamp(at, format); got != want {
			t.Errorf("%q: got %s, want %s", format, got, want)
		}
	}
}

// TestWindow checks that a time just at a bound passes, a nanosecond more does not, and no
// distance overflows into freshness.
func TestWindow(t *testing.T) {
	now := time.Unix(1764000000, 0)
	w := Window{MaxAge: 5 * time.Minute, MaxSkew: time.Minute}
	for _, test := range []struct {
		at   time.Time
		want Reason
	}{
		{now, ""},
		{now.Add(-w.MaxAge), ""},
		{now.Add(-w.MaxAge - 1), TimestampStale},
		{now.Add(w.MaxSkew), ""},
		{now.Add(w.MaxSkew + 1), TimestampFuture},
		{time.Unix(0, 0), TimestampStale},
		{time.Time{}, TimestampStale},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), TimestampFuture},
		{time.Unix(math.MaxInt64>>8, 0), TimestampFuture},
	} {
		err := w.check(test.at, now, w.MaxAge, TimestampStale, "it")
		if test.want == "" {
			if err != nil {
				t.Errorf("%v: %v", test.at, err)
			}
			continue
		}
		wantReason(t, err, test.want)
	}
	// A window of nothing is no allowance, not no limit.
	if (Window{}).check(now.Add(-1), now, 0, TimestampStale, "it") == nil {
		t.Error("the zero window let an old stamp pass")
	}
}
