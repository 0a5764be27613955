package shopsfile

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"evergate/internal/remedy"
)

const (
	// Largest bounds in bytes what is read of a file: three hundred bytes for each of fifty thousand shops.
	Largest = 16 << 20
	// mostNodes bounds the memory that a file can make YAML take, which is some two hundred bytes for each.
	mostNodes = 2_000_000
)

// document parses the one document of a file without looking into it; nil: the file is empty.
func document(text []byte, m *mistakes) (root *yaml.Node) {
	if len(text) > Largest {
		m.addf(0, "leave the shops that need no settings of their own to the store (stored: true)", "it is larger than %d MiB", Largest>>20)
		return nil
	}
	if line := unreadable(text); line > 0 {
		m.addf(line, "save it as UTF-8", "it holds bytes that are not UTF-8 text")
		return nil
	}
	if nodes(text) > mostNodes {
		m.addf(0, "leave the shops that need no settings of their own to the store (stored: true)", "it has more than %d entries", mostNodes)
		return nil
	}
	defer func() {
		if recover() != nil { // the library's own assertions
			m.addf(0, "see docs/reference/shops-file.md for how one is written", "it cannot be read as YAML")
			root = nil
		}
	}()
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte("\uFEFF"))))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		m.add(broken(err, text))
		return nil
	}
	switch err := decoder.Decode(&second); {
	case err == nil:
		m.addf(second.Line, "put all shops into one", "a second document begins here")
	case !errors.Is(err, io.EOF):
		m.add(broken(err, text))
	}
	return resolved(first.Content[0])
}

// unreadable returns the line in which something is no text; 0: all is.
func unreadable(text []byte) int {
	if i := bytes.IndexByte(text, 0); i >= 0 {
		return 1 + bytes.Count(text[:i], []byte("\n"))
	}
	valid := bytes.ToValidUTF8(text, nil)
	if len(valid) == len(text) {
		return 0
	}
	i := 0
	for i < len(valid) && valid[i] == text[i] {
		i++
	}
	return 1 + bytes.Count(text[:i], []byte("\n"))
}

// nodes is at least as many as YAML makes of a text: each has a character that separates it from the one before.
func nodes(text []byte) int {
	n := 0
	for i, c := range text {
		switch c {
		case ',', ':', '\n', '[', '{', '?':
			n++
		case '-', '!', '&', '*':
			if i+1 < len(text) && (text[i+1] == ' ' || text[i+1] == '\n' || text[i+1] == '\t') {
				n++
			}
		}
	}
	return n
}

// resolved is what an alias stands for.
func resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// broken says in which line YAML cannot be read, and why. The library repeats parts of the text in some of its messages, so
// that none of them is passed on that is not known.
func broken(err error, text []byte) (line int, _ error) {
	line = 1 // the library leaves it out
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if placed, ok := strings.CutPrefix(message, "line "); ok {
		number, rest, _ := strings.Cut(placed, ": ")
		if n, err := strconv.Atoi(number); err == nil {
			line, message = n, rest
		}
	}
	what, do := "is no YAML here", "see docs/reference/shops-file.md for how one is written"
	switch {
	case strings.Contains(message, "cannot start any token"):
		what, do = "has a character that begins no value", "indent with spaces, never with tabs, and put what begins with @, ` or % into quotation marks"
		if tab := tabbed(text, line); tab > 0 {
			line, what, do = tab, "is indented with a tab", "indent with spaces"
		}
	case strings.Contains(message, "unknown anchor"):
		what, do = "has an alias (*…) of an anchor that is not there", "put a value that begins with * into quotation marks"
		_, name, _ := strings.Cut(message, "'")
		name, _, _ = strings.Cut(name, "'")
		at := max(0, bytes.Index(text, []byte("*"+name)))
		line = 1 + bytes.Count(text[:at], []byte("\n"))
	case strings.Contains(message, "mapping values are not allowed"):
		what, do = "has a colon where none can be", "indent the keys of one mapping alike, and put a value that holds a colon and a space into quotation marks"
	case strings.Contains(message, "could not find expected ':'"), strings.Contains(message, "did not find expected key"):
		what, do = "has something where a key is expected", "write key: value, and indent the keys of one mapping alike"
	case strings.Contains(message, "quoted scalar"), strings.Contains(message, "escape"), strings.Contains(message, "end of stream"):
		what, do = "has quotation marks that do not enclose a value", `close them; in "…" a \ begins an escape sequence`
	case strings.Contains(message, "did not find expected"):
		what, do = "ends a list or a mapping in a way that cannot be", "close each [ and {, separate with commas, and indent with spaces"
	case strings.Contains(message, "control characters"):
		what, do = "holds a control character", "remove it"
	case strings.Contains(message, "exceeded max depth"):
		what, do = "is nested too deeply", "see docs/reference/shops-file.md for how one is written"
	}
	return line, remedy.New(do, "the file %s", what)
}

// tabbed finds a line that a tab indents, at one that the library complains of or beside it: it counts in different ways.
func tabbed(text []byte, line int) int {
	number := 0
	for l := range bytes.Lines(text) {
		if number++; number > line+1 {
			break
		}
		indent := l[:len(l)-len(bytes.TrimLeft(l, " \t"))]
		if number >= line-1 && bytes.IndexByte(indent, '\t') >= 0 {
			return number
		}
	}
	return 0
}
