package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/remedy"
)

// jsonNode is a value in a configuration file, with the line it stands in. encoding/json
// alone takes the last of two keys, takes keys in any case, and stops at the first mistake.
// encoding/json/jsontext refuses two keys of one name by itself, but only the first pair, and it begins with Go 1.27: Go 1.26
// would go on needing this reader.
type jsonNode struct {
	line int
	// value is a string, or nil for what is neither string, object nor list.
	value   any
	members []jsonMember // of an object
	items   []*jsonNode  // of a list
	kind    byte         // '{', '[' or 0
}

type jsonMember struct {
	name  string
	value *jsonNode
}

// deepestFile bounds how deep a configuration file may nest; none is near it.
const deepestFile = 16

type jsonReader struct {
	d    *json.Decoder
	text []byte
	errs []error // keys that are there twice
}

// parseJSON reads a whole file. The error joins every key that is there twice, or is the
// one mistake that hides the rest.
func parseJSON(text []byte) (*jsonNode, error) {
	r := &jsonReader{d: json.NewDecoder(bytes.NewReader(text)), text: text}
	n, err := r.value("", deepestFile)
	if err == nil {
		if _, more := r.d.Token(); !errors.Is(more, io.EOF) {
			err = remedy.New("remove it", "line %d: there is text after the end", r.line())
		}
	}
	if err != nil {
		return nil, err
	}
	return n, errors.Join(r.errs...)
}

// line is where the decoder stands.
func (r *jsonReader) line() int {
	return 1 + bytes.Count(r.text[:min(int(r.d.InputOffset()), len(r.text))], []byte("\n"))
}

func (r *jsonReader) token() (json.Token, error) {
	t, err := r.d.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return t, nil
	case errors.As(err, &syntax) && syntax.Error() != "unexpected end of JSON input": // from Go 1.27 on that is a SyntaxError, too
		line := 1 + bytes.Count(r.text[:min(int(syntax.Offset), len(r.text))], []byte("\n"))
		return nil, fmt.Errorf("line %d: this is not JSON", line) // the decoder's own error quotes the file, which may be another than was meant
	}
	return nil, remedy.New("close what is open", "line %d: the file ends too early", r.line())
}

func (r *jsonReader) value(place string, depth int) (*jsonNode, error) {
	t, err := r.token()
	if err != nil {
		return nil, err
	}
	n := &jsonNode{line: r.line()}
	delimiter, _ := t.(json.Delim)
	if delimiter != 0 && depth == 0 {
		return nil, fmt.Errorf("line %d: %s is nested too deep", n.line, place)
	}
	switch n.kind = byte(delimiter); delimiter {
	case '{':
		return n, r.object(n, place, depth-1)
	case '[':
		return n, r.list(n, place, depth-1)
	}
	if s, ok := t.(string); ok {
		n.value = s
	}
	return n, nil
}

func (r *jsonReader) object(n *jsonNode, place string, depth int) error {
	seen := make(map[string]bool)
	for r.d.More() {
		t, err := r.token()
		if err != nil {
			return err
		}
		name, _ := t.(string) // the decoder takes nothing else for a key
		inner := join(place, name)
		if seen[name] {
			r.errs = append(r.errs, remedy.New("keep one", "line %d: %s is there twice", r.line(), inner))
		}
		seen[name] = true
		v, err := r.value(inner, depth)
		if err != nil {
			return err
		}
		n.members = append(n.members, jsonMember{name, v})
	}
	_, err := r.token()
	return err
}

func (r *jsonReader) list(n *jsonNode, place string, depth int) error {
	for r.d.More() {
		v, err := r.value(place+"["+strconv.Itoa(len(n.items))+"]", depth)
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
	}
	_, err := r.token()
	return err
}

// join names a member's place: policies.agent, or policies["a b"] for a name that is no word.
func join(place, name string) string {
	if !ascii.IsHostName(name) {
		name = denial.Quote(name)
	}
	if place == "" {
		return name
	}
	return place + "." + name
}
