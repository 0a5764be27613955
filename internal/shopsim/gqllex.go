package shopsim

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// gqlPos is a place in a document, counted from 1 as GraphQL errors do.
type gqlPos struct {
	Line   int `json:"line"`
	Column int `json:"column"`
}

type gqlTokenKind int

const (
	gqlEOF    gqlTokenKind = iota
	gqlPunct               // one of ! $ & ( ) ... : = @ [ ] { | }
	gqlName                // a name or keyword
	gqlInt                 // 12
	gqlFloat               // 1.5e3
	gqlString              // "text" or """text""", unquoted
)

type gqlToken struct {
	kind gqlTokenKind
	text string
	pos  gqlPos
}

// String is how a token is named in an error message.
func (t gqlToken) String() string {
	if t.kind == gqlEOF {
		return "end of file"
	}
	return strconv.Quote(t.text)
}

// gqlSyntaxError is a document that could not be read.
type gqlSyntaxError struct {
	msg string
	pos gqlPos
}

func (e *gqlSyntaxError) Error() string {
	return fmt.Sprintf("syntax error, %s at [%d, %d]", e.msg, e.pos.Line, e.pos.Column)
}

// gqlLexer cuts a document into tokens.
type gqlLexer struct {
	src  string
	off  int
	line int
	bol  int // offset of the current line's first byte
}

func newGQLLexer(src string) *gqlLexer {
	return &gqlLexer{src: strings.TrimPrefix(src, "\ufeff"), line: 1}
}

func (l *gqlLexer) pos() gqlPos {
	return gqlPos{Line: l.line, Column: utf8.RuneCountInString(l.src[l.bol:l.off]) + 1}
}

func (l *gqlLexer) fail(format string, args ...any) error {
	return &gqlSyntaxError{msg: fmt.Sprintf(format, args...), pos: l.pos()}
}

// skip passes over what means nothing: white space, commas, comments.
func (l *gqlLexer) skip() {
	for l.off < len(l.src) {
		switch c := l.src[l.off]; c {
		case ' ', '\t', ',', '\r':
			l.off++
		case '\n':
			l.newline()
		case '#':
			for l.off < len(l.src) && l.src[l.off] != '\n' {
				l.off++
			}
		default:
			return
		}
	}
}

func (l *gqlLexer) newline() {
	l.off++
	l.line++
	l.bol = l.off
}

// next returns the next token.
func (l *gqlLexer) next() (gqlToken, error) {
	l.skip()
	t := gqlToken{pos: l.pos()}
	if l.off == len(l.src) {
		return t, nil
	}
	var err error
	switch c := l.src[l.off]; {
	case strings.HasPrefix(l.src[l.off:], "..."):
		t.kind, t.text = gqlPunct, "..."
		l.off += 3
	case strings.IndexByte("!$&():=@[]{|}", c) >= 0:
		t.kind, t.text = gqlPunct, string(c)
		l.off++
	case c == '"':
		t.kind = gqlString
		t.text, err = l.str()
	case c == '-' || isDigit(c):
		t.kind, t.text, err = l.number()
	case isNameStart(c):
		t.kind, t.text = gqlName, l.take(func(c byte) bool { return isNameStart(c) || isDigit(c) })
	default:
		r, _ := utf8.DecodeRuneInString(l.src[l.off:])
		err = l.fail("unexpected character %q", r)
	}
	return t, err
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (l *gqlLexer) take(want func(byte) bool) string {
	start := l.off
	for l.off < len(l.src) && want(l.src[l.off]) {
		l.off++
	}
	return l.src[start:l.off]
}

func (l *gqlLexer) number() (gqlTokenKind, string, error) {
	start, kind := l.off, gqlInt
	l.accept("-")
	digits := l.take(isDigit)
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return kind, "", l.fail("malformed number")
	}
	if l.accept(".") {
		kind = gqlFloat
		if l.take(isDigit) == "" {
			return kind, "", l.fail("malformed number")
		}
	}
	if l.accept("eE") {
		kind = gqlFloat
		l.accept("+-")
		if l.take(isDigit) == "" {
			return kind, "", l.fail("malformed number")
		}
	}
	if l.off < len(l.src) && (isNameStart(l.src[l.off]) || l.src[l.off] == '.') {
		return kind, "", l.fail("malformed number")
	}
	return kind, l.src[start:l.off], nil
}

// accept steps over one byte if it is among chars.
func (l *gqlLexer) accept(chars string) bool {
	if l.off < len(l.src) && strings.IndexByte(chars, l.src[l.off]) >= 0 {
		l.off++
		return true
	}
	return false
}

// str reads a quoted string of either kind.
func (l *gqlLexer) str() (string, error) {
	if strings.HasPrefix(l.src[l.off:], `"""`) {
		return l.blockString()
	}
	l.off++
	var b strings.Builder
	for l.off < len(l.src) {
		switch c := l.src[l.off]; c {
		case '"':
			l.off++
			return b.String(), nil
		case '\n', '\r':
			return "", l.fail("unterminated string")
		case '\\':
			if err := l.escape(&b); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
			l.off++
		}
	}
	return "", l.fail("unterminated string")
}

const gqlEscapes, gqlEscaped = `"\/bfnrt`, "\"\\/\b\f\n\r\t"

func (l *gqlLexer) escape(b *strings.Builder) error {
	rest := l.src[l.off+1:]
	if rest == "" {
		return l.fail("unterminated string")
	}
	if i := strings.IndexByte(gqlEscapes, rest[0]); i >= 0 {
		b.WriteByte(gqlEscaped[i])
		l.off += 2
		return nil
	}
	if rest[0] == 'u' && len(rest) >= 5 {
		if n, err := strconv.ParseUint(rest[1:5], 16, 16); err == nil {
			b.WriteRune(rune(n))
			l.off += 6
			return nil
		}
	}
	return l.fail("bad escape in string")
}

// blockString keeps the text as it is but for surrounding blank space; common
// indentation is not removed, which no field of this schema would show.
func (l *gqlLexer) blockString() (string, error) {
	l.off += 3
	start := l.off
	for l.off < len(l.src) {
		switch {
		case strings.HasPrefix(l.src[l.off:], `\"""`):
			l.off += 4
		case strings.HasPrefix(l.src[l.off:], `"""`):
			text := l.src[start:l.off]
			l.off += 3
			return strings.TrimSpace(strings.ReplaceAll(text, `\"""`, `"""`)), nil
		case l.src[l.off] == '\n':
			l.newline()
		default:
			l.off++
		}
	}
	return "", l.fail("unterminated block string")
}
