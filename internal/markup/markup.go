// Package markup writes HTML pages. It is what is needed of html/template, without linking
// it: templates look methods up by name, so that the linker has to keep every exported
// method of the binary.
//
// Invariants:
//   - What is not a constant of the program is escaped. A format can only be a constant,
//     because its type has no name outside; Trusted is the one exception, to be found by grep.
//   - Values go where text goes, or between the double quotes of an attribute. Nothing is
//     escaped for a script, a style or a URL: no value belongs there.
package markup

import (
	"html"
	"io"
	"strings"
)

// constant is a string that only a constant can become outside of this package.
type constant string

// Page is a page being written. The zero Page is empty.
type Page struct{ b strings.Builder }

// Put writes a constant with each {} in it replaced by the next value, escaped. It panics
// when the number of values is not that of places: that is a mistake in the program, which
// the first test of the page finds.
func (p *Page) Put(format constant, values ...string) {
	rest := string(format)
	for _, v := range values {
		before, after, ok := strings.Cut(rest, "{}")
		if !ok {
			panic("markup: more values than places in " + string(format))
		}
		p.b.WriteString(before)
		p.b.WriteString(html.EscapeString(v))
		rest = after
	}
	if strings.Contains(rest, "{}") {
		panic("markup: fewer values than places in " + string(format))
	}
	p.b.WriteString(rest)
}

// Trusted writes text as it is: an embedded style or script.
func (p *Page) Trusted(text string) { p.b.WriteString(text) }

// WriteTo implements io.WriterTo.
func (p *Page) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, p.b.String())
	return int64(n), err
}

// String returns the page.
func (p *Page) String() string { return p.b.String() }
