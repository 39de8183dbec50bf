package signature

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The formats of a stamp. An empty format is detected from the value.
const (
	formatUnix    = "unix"
	formatUnixMS  = "unix_ms"
	formatRFC3339 = "rfc3339"
)

// msFrom is where a bare number is milliseconds: as seconds it is the year
// 5138, as milliseconds March 1973.
const msFrom = 100_000_000_000

// lastSecond is the end of the year 9999, the last that RFC 3339 can write.
const lastSecond = 253_402_300_799

var errStamp = errors.New("not a time")

func checkStampFormat(format string) error {
	switch format {
	case "", formatUnix, formatUnixMS, formatRFC3339:
		return nil
	}
	return fmt.Errorf("unknown format %q: use unix, unix_ms or rfc3339, or none to detect it from the value", format)
}

// ParseStamp reads a stamp: digits with an optional fraction (seconds for
// unix, milliseconds for unix_ms), or RFC 3339, which is UTC where it has no
// zone, and whose zone may have no colon. Signs, exponents and years after 9999 are refused. The error does not
// quote the text.
func ParseStamp(text, format string) (time.Time, error) {
	if format == "" {
		format = guessFormat(text)
	}
	switch format {
	case formatUnix:
		return parseNumber(text, time.Second)
	case formatUnixMS:
		return parseNumber(text, time.Millisecond)
	case formatRFC3339:
		return parseRFC3339(text)
	}
	return time.Time{}, checkStampFormat(format)
}

// parseRFC3339 also reads what senders write in place of RFC 3339: no zone, as
// Python's isoformat() leaves it out, a zone without a colon, as PHP, Java and
// strftime write it, and a space before the time of day.
func parseRFC3339(text string) (time.Time, error) {
	const seconds, end = len("2006-01-02T15:04:"), len("2006-01-02T15:04:05")
	// time.Parse takes an hour of one digit and a comma before the fraction
	// (golang.org/issue/54580), RFC 3339 does not.
	if len(text) < end || text[len("2006-01-02T15")] != ':' || text[seconds-1] != ':' || strings.Contains(text, ",") {
		return time.Time{}, errStamp
	}
	date, between, clock, rest := text[:len("2006-01-02")], text[len("2006-01-02")], text[len("2006-01-02T"):end], text[end:]
	if between != 'T' && between != 't' && between != ' ' {
		return time.Time{}, errStamp
	}
	leap := time.Duration(0)
	if text[seconds:end] == "60" { // a leap second is the next one here
		clock, leap = clock[:len("15:04:")]+"59", time.Second
	}
	switch fraction, dotted := strings.CutPrefix(rest, "."); {
	case rest == "", dotted && allDigits(fraction):
		rest += "Z"
	case strings.HasSuffix(rest, "z"):
		rest = rest[:len(rest)-1] + "Z"
	case endsInZone(rest, len("0000")):
		rest = rest[:len(rest)-len("00")] + ":" + rest[len(rest)-len("00"):]
	case endsInZone(rest, len("00")):
		rest += ":00"
	}
	t, err := time.Parse(time.RFC3339, date+"T"+clock+rest)
	if err != nil || t.Add(leap).UTC().Year() > 9999 {
		return time.Time{}, errStamp // the other quotes the text
	}
	return t.Add(leap), nil
}

// endsInZone reports whether a text ends in a sign and this many digits.
func endsInZone(text string, digits int) bool {
	sign := len(text) - digits - 1
	return sign >= 0 && (text[sign] == '+' || text[sign] == '-') && allDigits(text[sign+1:])
}

func guessFormat(text string) string {
	whole, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	switch {
	case err != nil:
		return formatRFC3339 // or no time at all, which the parser reports
	case n >= msFrom:
		return formatUnixMS
	}
	return formatUnix
}

// parseNumber reads digits[.digits] in units since 1970, exactly: a float
// would round the milliseconds of a fraction.
func parseNumber(text string, unit time.Duration) (time.Time, error) {
	perSecond := int64(time.Second / unit)
	n, digits := int64(0), 0
	for ; digits < len(text) && text[digits] >= '0' && text[digits] <= '9'; digits++ {
		n = 10*n + int64(text[digits]-'0')
		if n >= (lastSecond+1)*perSecond { // long before it overflows
			return time.Time{}, errStamp
		}
	}
	rest := text[digits:]
	fraction, dotted := strings.CutPrefix(rest, ".")
	if digits == 0 || rest != "" && !(dotted && allDigits(fraction)) {
		return time.Time{}, errStamp
	}
	nanos := time.Duration(n%perSecond) * unit
	for _, digit := range []byte(fraction) {
		unit /= 10
		nanos += time.Duration(digit-'0') * unit
	}
	return time.Unix(n/perSecond, int64(nanos)), nil
}

func allDigits(text string) bool {
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return text != ""
}

// FormatStamp writes a time as a sender would. An empty format is unix.
func FormatStamp(t time.Time, format string) string {
	switch format {
	case formatUnixMS:
		return strconv.FormatInt(t.UnixMilli(), 10)
	case formatRFC3339:
		return t.UTC().Format(time.RFC3339Nano)
	}
	return strconv.FormatInt(t.Unix(), 10)
}

// Window bounds the age of a request. Zero is no allowance at all, not no
// limit: the caller sets all of them.
type Window struct {
	// MaxAge is the greatest age of the stamp; just that age still passes.
	MaxAge time.Duration
	// MaxSkew is how far in the future stamp and event time may be.
	MaxSkew time.Duration
	// EventTTL is the greatest age of the event time.
	EventTTL time.Duration
}

// check judges a time that must not be older than maxAge.
func (w Window) check(t, now time.Time, maxAge time.Duration, stale Reason, what string) error {
	switch age := now.Sub(t); { // saturates, so no distance overflows
	case age > maxAge:
		return refuse(stale, "%s is %s old, the limit is %s", what, age.Round(time.Second), maxAge)
	case age < -w.MaxSkew:
		return refuse(TimestampFuture, "%s is %s ahead, the limit is %s", what, (-age).Round(time.Second), w.MaxSkew)
	}
	return nil
}
