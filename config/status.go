package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Statuses is a set of HTTP status codes.
type Statuses []statusRange

type statusRange struct{ low, high int }

// ParseStatuses reads codes (`202`), classes (`2xx`) and ranges (`400-407`).
func ParseStatuses(words []string) (Statuses, error) {
	set := make(Statuses, 0, len(words))
	for _, word := range words {
		r, ok := parseStatusRange(word)
		if !ok {
			return nil, fmt.Errorf("%q is not a status: write 2xx, 202 or 200-204", word)
		}
		set = append(set, r)
	}
	return set, nil
}

func parseStatusRange(word string) (statusRange, bool) {
	if len(word) == 3 && strings.HasSuffix(word, "xx") && word[0] >= '1' && word[0] <= '5' {
		low := int(word[0]-'0') * 100
		return statusRange{low, low + 99}, true
	}
	first, last, isRange := strings.Cut(word, "-")
	low, err := strconv.Atoi(first)
	if err != nil {
		return statusRange{}, false
	}
	high := low
	if isRange {
		if high, err = strconv.Atoi(last); err != nil {
			return statusRange{}, false
		}
	}
	return statusRange{low, high}, low >= 100 && high <= 599 && low <= high
}

// Has reports whether the status is in the set.
func (s Statuses) Has(status int) bool {
	return slices.ContainsFunc(s, func(r statusRange) bool { return r.low <= status && status <= r.high })
}
