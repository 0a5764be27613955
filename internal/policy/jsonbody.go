package policy

import (
	"bytes"
	"encoding/json"

	"evergate/internal/ascii"
	"evergate/internal/denial"
)

// The functions of this file read JSON that encoding/json has found valid, so they need not
// look for mistakes, and every closing sign is there. They copy nothing and allocate nothing, because they stand in
// the request path; a file's reader, jsontree.go, names the line of every mistake and has no such bound. One reader for both
// would be the slower of the two in the request path, and say less of a file.

// keyed is a member of an object, both halves as they stand in the text.
type keyed struct {
	name  []byte // without its quotation marks, and without escapes
	value []byte
}

// mostMembers bounds an object that is judged, whose names are compared with each other: the request itself, which has
// four at most, and its extensions. Variables are not judged and may have as many as they like.
const mostMembers = 256

// membersOf appends the members of a JSON object to dst. Which of two of one name counts
// depends on the parser, so there must be one of each; a name with an escape has two spellings.
func membersOf(dst []keyed, text []byte) ([]keyed, error) {
	i := skipSpace(text, 0)
	if i == len(text) || text[i] != '{' {
		return nil, ambiguousDocument("JSON that is no object, such as a batch")
	}
	for i = skipSpace(text, i+1); text[i] != '}'; i = skipSpace(text, i) {
		if text[i] == ',' {
			i = skipSpace(text, i+1)
		}
		end := stringEnd(text, i)
		m := keyed{name: text[i+1 : end-1]}
		colon := skipSpace(text, end)
		i = skipSpace(text, colon+1)
		end = valueEnd(text, i)
		m.value, i = text[i:end], end
		switch {
		case bytes.IndexByte(m.name, '\\') >= 0:
			return nil, ambiguousDocument("a key with an escape in it")
		case len(dst) == mostMembers:
			return nil, tooLargeDocument("more than 256 keys in an object")
		}
		for _, other := range dst {
			if bytes.Equal(other.name, m.name) {
				return nil, ambiguousDocument("the key " + denial.Quote(string(m.name)) + " twice")
			}
		}
		dst = append(dst, m)
	}
	return dst, nil
}

// valueOf is the value of the member of that name; nil: there is none.
func valueOf(members []keyed, name string) []byte {
	for _, m := range members {
		if string(m.name) == name {
			return m.value
		}
	}
	return nil
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
		i++
	}
	return i
}

// stringEnd is where the string that begins at i is over.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is where the value that begins at i is over.
func valueEnd(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '"':
			i = stringEnd(text, i)
			if depth == 0 {
				return i
			}
			continue
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == '}' || c == ']' || skipSpace(text, i) > i):
			return i // a number or a word
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
		i++
	}
	return i
}

// stringIn is what a value means that is a string; false: it is none.
func stringIn(value []byte) (s string, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), true
	}
	return s, json.Unmarshal(value, &s) == nil
}

// doubtfulJSON says what in valid JSON two parsers could read differently, or "". Go
// replaces half a surrogate pair, others keep or refuse it; and a NUL ends a string in C.
func doubtfulJSON(b []byte) (why string) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && (c == '{' || c == '['):
			if depth++; depth > deepestJSON {
				return tooDeep
			}
		case !quoted && (c == '}' || c == ']'):
			depth--
		case c == '\\' && b[i+1] != 'u':
			i++
		case c == '\\':
			unit := codeUnit(b[i:])
			switch {
			case unit == 0:
				return "an escaped NUL"
			case isLow(unit), isHigh(unit) && !isLow(codeUnit(b[i+6:])):
				return "half a surrogate pair"
			case isHigh(unit):
				i += 6
			}
			i += 5
		}
	}
	return ""
}

// codeUnit reads \uXXXX; 0 if b begins with none.
func codeUnit(b []byte) (unit uint16) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	for _, c := range b[2:6] {
		unit = unit<<4 | uint16(ascii.Unhex(c))
	}
	return unit
}

func isHigh(unit uint16) bool { return unit>>10 == 0xd800>>10 }
func isLow(unit uint16) bool  { return unit>>10 == 0xdc00>>10 }
