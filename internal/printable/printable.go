// Package printable makes texts in which others have a hand fit for a terminal and for whoever reads a log.
//
// Invariants:
//
//   - What comes out holds nothing that a terminal obeys (controls of ASCII and of Latin-1) or that changes
//     how what stands beside it is read (direction, joiners, spaces of other widths), and is valid UTF-8.
//   - What was there is shown as JSON escapes it, so that the same is done to a line of JSON and leaves its
//     value as it was.
//   - Text that is fit already costs a look at its bytes and no allocation.
package printable

import (
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line is s as a piece of one line: white space of every kind is a space.
func Line(s string) string { return clean(s, false) }

// Lines is s with its line breaks and tabs.
func Lines(s string) string { return clean(s, true) }

func clean(s string, lines bool) string {
	if fit(s, lines) == len(s) {
		return s
	}
	b := make([]byte, 0, len(s)+16)
	for _, r := range s { // of invalid UTF-8 it makes U+FFFD, which is shown as it is
		switch {
		case strconv.IsPrint(r), lines && (r == '\n' || r == '\t'):
			b = utf8.AppendRune(b, r)
		case !lines && unicode.IsSpace(r):
			b = append(b, ' ')
		default:
			b = appendEscaped(b, r)
		}
	}
	return string(b)
}

// fit is how many bytes at the beginning of text are plain ASCII that needs no cleaning.
func fit[T string | []byte](text T, lines bool) int {
	for i := range len(text) {
		if c := text[i]; (c < ' ' || c > '~') && (!lines || c != '\n' && c != '\t') {
			return i
		}
	}
	return len(text)
}

func appendEscaped(b []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != unicode.ReplacementChar {
		return appendEscaped(appendEscaped(b, high), low)
	}
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

// Writer passes text on as Lines makes it, whatever the pieces that it is written in. It is safe for concurrent use.
type Writer struct {
	to     io.Writer
	escape string // what Escape returns

	mu      sync.Mutex
	pending []byte // the beginning of a character or of an escape, whose rest has not come yet
	buf     []byte
}

// NewWriter returns a Writer that has no escape of its own.
func NewWriter(to io.Writer) *Writer { return &Writer{to: to} }

// NewTerminal returns a Writer to a terminal. nonce is a text that nobody else can know.
func NewTerminal(to io.Writer, nonce string) *Writer {
	return &Writer{to: to, escape: "\x1b" + nonce}
}

// Escape is what this program writes for the escape character that it means. The terminal gets no other. It is
// empty if there is none.
func (w *Writer) Escape() string { return w.escape }

// On returns a Writer to another place that has the same escape.
func (w *Writer) On(to io.Writer) *Writer { return &Writer{to: to, escape: w.escape} }

// Unwrap is what the Writer writes to.
func (w *Writer) Unwrap() io.Writer { return w.to }

// Write takes all of p, or returns the error of the writer below.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.pending) == 0 && fit(p, true) == len(p) {
		return w.to.Write(p)
	}
	text := p
	if len(w.pending) > 0 {
		text = slices.Concat(w.pending, p)
	}
	w.buf = w.buf[:0]
	for len(text) > 0 {
		n := fit(text, true)
		w.buf = append(w.buf, text[:n]...)
		if text = text[n:]; len(text) == 0 || w.begins(text) {
			break
		}
		if w.escape != "" && len(text) >= len(w.escape) && string(text[:len(w.escape)]) == w.escape {
			w.buf, text = append(w.buf, '\x1b'), text[len(w.escape):]
			continue
		}
		r, size := utf8.DecodeRune(text)
		if strconv.IsPrint(r) {
			w.buf = utf8.AppendRune(w.buf, r)
		} else {
			w.buf = appendEscaped(w.buf, r)
		}
		text = text[size:]
	}
	w.pending = append([]byte(nil), text...)
	if len(w.buf) > 0 {
		if _, err := w.to.Write(w.buf); err != nil {
			return 0, err
		}
	}
	if cap(w.buf) > largestKept {
		w.buf = nil
	}
	return len(p), nil
}

// largestKept is the largest buffer that is kept from one Write to the next.
const largestKept = 16 << 10

// begins reports whether text is the beginning of something that only its rest makes whole.
func (w *Writer) begins(text []byte) bool {
	if text[0] == '\x1b' {
		return len(text) < len(w.escape) && strings.HasPrefix(w.escape, string(text))
	}
	return !utf8.FullRune(text)
}
