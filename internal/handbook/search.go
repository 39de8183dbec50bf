package handbook

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/webhookguard/caddy-webhook-guard/config"
)

// How well a sender matches what is searched for: the less the better.
const (
	matchName = iota
	matchStart
	matchWord
	matchPart
	matchDocs
	matchComment
	noMatch
)

// Found has the names of senders that match a query, the best first.
type Found struct {
	Senders, Unsupported []string
	// Similar means that none matches, and that the names look like the query.
	Similar bool
}

// Search finds the senders that match all words of a query.
func Search(catalogue config.Catalogue, query string) Found {
	words := strings.Fields(strings.ToLower(query))
	ranks := make(map[string]int)
	for name, p := range catalogue {
		comment, _, err := config.EntryText(name)
		if err != nil {
			comment = "" // a provider of one's own
		}
		ranks[name] = rankAll(words, name, p.Title, p.Docs, comment)
	}
	gaps := make(map[string]int)
	for name, gap := range config.Unsupported {
		gaps[name] = rankAll(words, name, gap.Title, "", "")
	}
	found := Found{Senders: best(ranks), Unsupported: best(gaps)}
	if len(found.Senders)+len(found.Unsupported) == 0 && len(words) == 1 {
		return Found{config.Similar(words[0], catalogue.Names()), config.Similar(words[0], slices.Sorted(maps.Keys(config.Unsupported))), true}
	}
	return found
}

// best lists the names that match, the best first.
func best(ranks map[string]int) []string {
	names := slices.SortedFunc(maps.Keys(ranks), func(a, b string) int {
		return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b))
	})
	return slices.DeleteFunc(names, func(name string) bool { return ranks[name] == noMatch })
}

// rankAll is the rank of the word that matches worst.
func rankAll(words []string, name, title, docs, comment string) int {
	worst := matchName
	if len(words) == 0 {
		return noMatch
	}
	for _, word := range words {
		worst = max(worst, rank(word, strings.ToLower(name), strings.ToLower(title), docs, strings.ToLower(comment)))
	}
	return worst
}

func rank(word, name, title, docs, comment string) int {
	host := ""
	if u, err := url.Parse(docs); err == nil {
		host = u.Host
	}
	begins := func(w string) bool { return strings.HasPrefix(w, word) }
	switch {
	case name == word || title == word:
		return matchName
	case begins(name), begins(title):
		return matchStart
	case slices.ContainsFunc(wordsOf(name+" "+title), begins):
		return matchWord
	case strings.Contains(name, word), strings.Contains(title, word):
		return matchPart
	case strings.Contains(host, word):
		return matchDocs
	case slices.Contains(wordsOf(comment), word):
		return matchComment
	}
	return noMatch
}

// wordsOf cuts a text at everything but letters and digits.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool {
		return c != '\'' && !('a' <= c && c <= 'z') && !('0' <= c && c <= '9') && c < 0x80
	})
}
