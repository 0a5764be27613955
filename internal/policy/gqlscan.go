package policy

import (
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"evergate/internal/ascii"
	"evergate/internal/denial"
)

// deepestGraphQL bounds how deep brackets of any kind may nest in a document. Shopify
// refuses far flatter ones for their cost; and a parser calls itself at every level.
const deepestGraphQL = 100

// scanGraphQL says what in a document two lexers could read differently, or "". The parser
// behind it is one reading; Shopify's is another, which nobody here can look at. Where the
// known ones part (what ends a comment, what ends a block string, what counts as white
// space), text that one takes for a comment is an operation for the other.
func scanGraphQL(doc string) (why string) {
	s := gqlScanner{doc: doc}
	for s.at < len(doc) && s.why == "" {
		s.token()
	}
	if s.why == "" && len(s.open) > 0 {
		return "a bracket that is never closed"
	}
	return s.why
}

type gqlScanner struct {
	doc  string
	at   int
	open []byte // the closing brackets that are awaited
	why  string
}

func (s *gqlScanner) token() {
	switch c := s.doc[s.at]; {
	case c == ' ' || c == '\t' || c == '\n' || c == ',' || strings.IndexByte("!$&:=@|", c) >= 0:
		s.at++
	case c == '\r':
		s.carriageReturn()
	case c == '#':
		s.comment()
	case c == '"':
		s.quoted()
	case 'a' <= ascii.Lower(c) && ascii.Lower(c) <= 'z' || c == '_':
		s.at += len(s.run(isNameByte))
	case '0' <= c && c <= '9' || c == '-':
		s.number()
	case c == '.':
		if n := len(s.run(func(c byte) bool { return c == '.' })); n != 3 {
			s.why = "dots that are no spread"
		}
		s.at += 3
	case strings.IndexByte("([{", c) >= 0:
		s.descend(c)
	case strings.IndexByte(")]}", c) >= 0:
		s.ascend(c)
	default:
		r, _ := utf8.DecodeRuneInString(s.doc[s.at:])
		s.why = "the character " + denial.Quote(string(r)) + " where none is allowed"
	}
}

// run returns the bytes from here on that belong.
func (s *gqlScanner) run(belongs func(byte) bool) string {
	end := s.at
	for end < len(s.doc) && belongs(s.doc[end]) {
		end++
	}
	return s.doc[s.at:end]
}

func isNameByte(c byte) bool {
	return 'a' <= ascii.Lower(c) && ascii.Lower(c) <= 'z' || '0' <= c && c <= '9' || c == '_'
}

// carriageReturn takes it before a line feed only: alone it ends a comment for some lexers.
func (s *gqlScanner) carriageReturn() {
	if s.at++; s.at == len(s.doc) || s.doc[s.at] != '\n' {
		s.why = "a carriage return without a line feed"
	}
}

// comment ends with the line. Whatever else could be taken for the end of one is refused,
// and so is the byte order mark, which some lexers skip and others do not know.
func (s *gqlScanner) comment() {
	for s.at < len(s.doc) && s.doc[s.at] != '\n' && s.why == "" {
		r, size := utf8.DecodeRuneInString(s.doc[s.at:])
		switch {
		case r == '\r':
			s.carriageReturn()
			continue
		case r != '\t' && unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == '\ufeff':
			s.why = "the character " + denial.Quote(string(r)) + " in a comment"
		}
		s.at += size
	}
}

var gqlNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)
})

// number takes all that could be part of one: lexers part over where 1a, 1.a or 0x1 ends.
func (s *gqlScanner) number() {
	n := s.run(func(c byte) bool { return isNameByte(c) || c == '.' || c == '+' || c == '-' })
	if !gqlNumber().MatchString(n) {
		s.why = "the number " + denial.Quote(n)
	}
	s.at += len(n)
}

func (s *gqlScanner) descend(c byte) {
	s.at++
	closing := map[byte]byte{'(': ')', '[': ']', '{': '}'}[c]
	if s.open = append(s.open, closing); len(s.open) > deepestGraphQL {
		s.why = tooDeep
	}
}

func (s *gqlScanner) ascend(c byte) {
	s.at++
	last := len(s.open) - 1
	if last < 0 || s.open[last] != c {
		s.why = "a bracket that closes none"
		return
	}
	s.open = s.open[:last]
}

const tooDeep = "too many brackets inside one another"

func (s *gqlScanner) quoted() {
	if len(s.open) == 0 {
		s.why = "a description, which few parsers know"
		return
	}
	switch quotes := len(s.run(isQuote)); quotes {
	case 1:
		s.at++
		s.string()
	case 2:
		s.at += 2 // an empty string
	case 3:
		s.at += 3
		s.blockString()
	default:
		s.why = runOfQuotes
	}
}

// runOfQuotes: the first three end a block string for one lexer, the last three for another.
const runOfQuotes = "more than three quotation marks in a row"

func isQuote(c byte) bool { return c == '"' }

func (s *gqlScanner) string() {
	for s.at < len(s.doc) {
		switch c := s.doc[s.at]; {
		case c == '"':
			s.at++
			return
		case c == '\\':
			if s.escape(); s.why != "" {
				return
			}
		case c < ' ' && c != '\t':
			s.why = "a line break or control character in a string"
			return
		default:
			s.at++
		}
	}
	s.why = "a string that is never closed"
}

// escape takes the escapes that every version of the language knows.
func (s *gqlScanner) escape() {
	rest := s.doc[s.at+1:]
	switch {
	case rest != "" && strings.IndexByte(`"\/bfnrt`, rest[0]) >= 0:
		s.at += 2
	case len(rest) >= 5 && rest[0] == 'u' && ascii.IsHex(rest[1]) && ascii.IsHex(rest[2]) && ascii.IsHex(rest[3]) && ascii.IsHex(rest[4]):
		s.at += 6
	default:
		s.why = "an unusual escape in a string"
	}
}

// blockString lets no quotation mark stand inside: a lexer from before 2018 knows no block
// strings and takes it for the end of a string.
func (s *gqlScanner) blockString() {
	for s.at < len(s.doc) && s.why == "" {
		switch c := s.doc[s.at]; {
		case c == '"':
			n := len(s.run(isQuote))
			if s.at += n; n == 3 {
				return
			}
			s.why = "a quotation mark in a block string, where a variable would do"
			if n > 3 {
				s.why = runOfQuotes
			}
		case c == '\\' && strings.HasPrefix(s.doc[s.at+1:], `"`):
			s.why = "a backslash before a quotation mark in a block string"
		case c == '\r':
			s.carriageReturn()
		case c < ' ' && c != '\t' && c != '\n':
			s.why = "a control character in a block string"
		default:
			s.at++
		}
	}
	if s.why == "" {
		s.why = "a block string that is never closed"
	}
}
