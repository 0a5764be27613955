// Package plain reads what people typed, pasted or saved in a file: a value of one line that shows every character it has.
package plain

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"evergate/internal/remedy"
)

// Mark is the byte order mark, which some editors and PowerShell put before a text in UTF-8.
const Mark = "\uFEFF"

// Value returns the value of a setting as it was meant: without a byte order mark and the white space
// around it, which files, here-documents and editors add. What nobody can see and no setting
// has is refused, because it would reach Shopify, or become part of a file's name, as it is. The error
// goes behind the name of the setting and repeats nothing of the value.
func Value(value string) (string, error) {
	if IsUTF16(value) {
		return "", remedy.New("save it as UTF-8, without a byte order mark", "is UTF-16 text")
	}
	value = Unmarked(value)
	for i, r := range value {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(value[i:], "\uFFFD"):
			return "", remedy.New("save it as UTF-8", "holds bytes that are not UTF-8")
		case r == '\n' || r == '\r':
			return "", remedy.New("keep the value alone", "holds more than one line")
		case !IsVisible(r):
			return "", remedy.New("type it anew", "holds a character that cannot be seen (%U%s)", r, nameOf(r))
		}
	}
	if IsQuoted(value) {
		return "", remedy.New("remove them", "has quotation marks around it, which are taken as part of the value")
	}
	return value, nil
}

// Text returns a text of many lines without its byte order marks, and says beside it which line holds what nobody can see:
// a reader that finds a mistake there can say nothing more useful.
func Text(text string) (unmarked string, hidden error) {
	for strings.HasPrefix(text, Mark) {
		text = text[len(Mark):]
	}
	line := 1
	for i, r := range text {
		switch {
		case r == '\n':
			line++
		case r == '\r', r == '\t':
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD"):
			return text, remedy.New("save it as UTF-8", "line %d holds bytes that are not UTF-8", line)
		case !IsVisible(r):
			return text, remedy.New("type that line anew", "line %d holds a character that cannot be seen (%U%s)", line, r, nameOf(r))
		}
	}
	return text, nil
}

// Unmarked takes byte order marks and white space off; two files put together have two marks.
func Unmarked(value string) string {
	value = strings.TrimSpace(value)
	for strings.HasPrefix(value, Mark) {
		value = strings.TrimSpace(value[len(Mark):])
	}
	return value
}

// IsUTF16 knows text in UTF-16 by its byte order mark, and without one by the NUL beside each ASCII letter.
func IsUTF16(s string) bool {
	if strings.HasPrefix(s, "\xff\xfe") || strings.HasPrefix(s, "\xfe\xff") {
		return true
	}
	nul := strings.Count(s, "\x00")
	return nul > 0 && nul >= len(s)/2-1 && len(s) >= 4
}

// IsVisible reports whether a character shows itself, or is the space.
func IsVisible(r rune) bool {
	switch {
	case r == ' ':
		return true
	case !strconv.IsPrint(r): // controls, formats such as those of direction, other spaces
		return false
	}
	return !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && !unicode.Is(unicode.Variation_Selector, r) && r != '\u2800'
}

// nameOf names the characters that people meet, for those who do not know them by their numbers.
func nameOf(r rune) string {
	switch r {
	case 0:
		return ", a NUL"
	case '\t':
		return ", a tab"
	case '\u00A0', '\u202F':
		return ", a space that does not break"
	case '\u00AD':
		return ", a soft hyphen"
	case '\u200B', '\u200C', '\u200D', '\u2060', '\uFEFF':
		return ", of no width"
	}
	return ""
}

// IsQuoted finds quotation marks that an env file, a YAML file or a text editor left around a value.
func IsQuoted(value string) bool {
	first, n := utf8.DecodeRuneInString(value)
	last, m := utf8.DecodeLastRuneInString(value)
	if len(value) < n+m {
		return false
	}
	switch first {
	case '"', '\'', '`':
		return last == first
	case '“', '”', '„', '‟':
		return strings.ContainsRune(`“”"`, last)
	case '‘', '’', '‚', '‛':
		return strings.ContainsRune(`‘’'`, last)
	case '«':
		return last == '»'
	}
	return false
}
