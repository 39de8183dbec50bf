package capture

import (
	"errors"
	"strconv"
	"strings"
)

// errVariable is returned for what only the shell can expand.
var errVariable = errors.New("the command has a shell variable or a command substitution: replace it with its value")

// shellWords splits a command line as a POSIX shell does, up to the end of the first
// command. It knows quotes, backslashes, $'…' and line continuations.
func shellWords(text string) ([]string, error) {
	s := &shell{text: strings.ReplaceAll(text, "\r\n", "\n")}
	for s.pos < len(s.text) {
		if done, err := s.step(); err != nil || done {
			return s.words, err
		}
	}
	s.endWord()
	return s.words, nil
}

type shell struct {
	text   string
	pos    int
	words  []string
	word   strings.Builder
	inWord bool // an empty quoted word is a word too
}

func (s *shell) endWord() {
	if s.inWord {
		s.words = append(s.words, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

func (s *shell) put(c byte) {
	s.word.WriteByte(c)
	s.inWord = true
}

// step reads one character or one quoted part. done reports the end of the command.
func (s *shell) step() (done bool, err error) {
	c := s.text[s.pos]
	s.pos++
	switch c {
	case ' ', '\t':
		s.endWord()
	case '\n', '|', ';', '&', '<', '>':
		s.endWord()
		return len(s.words) > 0, nil
	case '#':
		if !s.inWord {
			s.skipLine()
			return false, nil
		}
		s.put(c)
	case '\\':
		s.escaped()
	case '\'':
		return false, s.singleQuoted()
	case '"':
		return false, s.doubleQuoted()
	case '`':
		return false, errVariable
	case '$':
		if s.pos < len(s.text) && s.text[s.pos] == '\'' {
			s.pos++
			return false, s.ansiQuoted()
		}
		if s.variableHere() {
			return false, errVariable
		}
		s.put(c)
	default:
		s.put(c)
	}
	return false, nil
}

func (s *shell) skipLine() {
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		s.pos++
	}
}

// escaped reads a backslash outside of quotes: it removes a line break and keeps
// every other character.
func (s *shell) escaped() {
	if s.pos == len(s.text) {
		return
	}
	c := s.text[s.pos]
	s.pos++
	if c != '\n' {
		s.put(c)
	}
}

// variableHere reports whether the dollar before pos begins an expansion.
func (s *shell) variableHere() bool {
	if s.pos == len(s.text) {
		return false
	}
	c := s.text[s.pos]
	return c == '{' || c == '(' || c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
}

var errQuote = errors.New("the command has a quote that is not closed")

func (s *shell) singleQuoted() error {
	end := strings.IndexByte(s.text[s.pos:], '\'')
	if end < 0 {
		return errQuote
	}
	s.word.WriteString(s.text[s.pos : s.pos+end])
	s.inWord = true
	s.pos += end + 1
	return nil
}

func (s *shell) doubleQuoted() error {
	s.inWord = true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		switch {
		case c == '"':
			return nil
		case c == '`', c == '$' && s.variableHere():
			return errVariable
		case c == '\\' && s.pos < len(s.text) && strings.IndexByte("\"\\$`\n", s.text[s.pos]) >= 0:
			if s.text[s.pos] != '\n' {
				s.put(s.text[s.pos])
			}
			s.pos++
		default:
			s.put(c)
		}
	}
	return errQuote
}

var ansiEscapes = map[byte]byte{
	'n': '\n', 't': '\t', 'r': '\r', 'a': '\a', 'b': '\b', 'f': '\f', 'v': '\v', 'e': 0x1b, '\\': '\\', '\'': '\'', '"': '"', '?': '?',
}

// ansiQuoted reads $'…', which browsers write for a body with a quote in it.
func (s *shell) ansiQuoted() error {
	s.inWord = true
	for s.pos < len(s.text) {
		c := s.text[s.pos]
		s.pos++
		if c == '\'' {
			return nil
		}
		if c != '\\' || s.pos == len(s.text) {
			s.put(c)
			continue
		}
		c = s.text[s.pos]
		s.pos++
		plain, known := ansiEscapes[c]
		switch {
		case known:
			s.put(plain)
		case c == 'x':
			s.number(16, 2)
		case c == 'u':
			s.number(16, 4)
		case c == 'U':
			s.number(16, 8)
		case c >= '0' && c <= '7':
			s.pos--
			s.number(8, 3)
		default:
			s.put('\\')
			s.put(c)
		}
	}
	return errQuote
}

// number reads a numeric escape: up to two hex or three octal digits are a byte, more
// are a code point.
func (s *shell) number(base, most int) {
	end := s.pos
	for end < len(s.text) && end-s.pos < most {
		if _, err := strconv.ParseUint(s.text[end:end+1], base, 8); err != nil {
			break
		}
		end++
	}
	n, _ := strconv.ParseUint(s.text[s.pos:end], base, 32)
	s.pos = end
	if most < 4 {
		s.put(byte(n))
	} else {
		s.word.WriteRune(rune(n))
	}
}
