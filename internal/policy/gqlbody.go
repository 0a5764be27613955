package policy

import (
	"bytes"
	"encoding/json"
	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/request"
	"net/http"
	"strings"
	"unicode/utf8"
)

// LargestJudgedBody is the size in bytes up to which the body of a GraphQL call is read and
// judged. Longer ones are refused where it matters what they ask for.
const LargestJudgedBody = 256 << 10

// deepestJSON bounds how deep arrays and objects may nest: Ruby's parser ends at 100.
const deepestJSON = 100

// The media types of a GraphQL request's body.
const (
	typeJSON    = "application/json"
	typeGraphQL = "application/graphql"
)

// judgeGraphQL says what a GraphQL request with this header and body will run, or why
// nobody can know.
func judgeGraphQL(h request.Fields, body []byte) (operation, error) {
	media, why := mediaType(h)
	switch {
	case why != "":
		return operation{}, ambiguousDocument(why)
	case media != typeJSON && media != typeGraphQL:
		return operation{}, ambiguousDocument("a Content-Type other than application/json")
	case len(body) > LargestJudgedBody:
		return operation{}, tooLargeDocument("more than 256 KiB")
	case !utf8.Valid(body):
		return operation{}, ambiguousDocument("bytes that are not UTF-8")
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return operation{}, ambiguousDocument("a byte order mark")
	case media == typeGraphQL:
		return classify(string(body), "")
	}
	document, name, err := unwrap(body)
	if err != nil {
		return operation{}, err
	}
	return classify(document, name)
}

// mediaType returns the type of the body in small letters, or says why it could be read in
// two ways: it is given twice, hidden, encoded, or in another charset.
func mediaType(h request.Fields) (media, why string) {
	for name := range h.Names {
		switch plain := hyphened(name); {
		case plain == "Content-Encoding":
			return "", "a Content-Encoding"
		case plain == "Content-Type" && name != plain:
			return "", "a Content-Type in a spelling of its own"
		}
	}
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); strings.HasPrefix(name, "Content-") {
				return "", "a Connection header that takes " + denial.Quote(name) + " away" // it would not be forwarded
			}
		}
	}
	values := h.Values("Content-Type")
	if len(values) != 1 {
		return "", "no Content-Type, or several"
	}
	media, parameter, more := strings.Cut(values[0], ";")
	name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
	if more && !(ascii.EqualFold(name, "charset") && (ascii.EqualFold(value, "utf-8") || ascii.EqualFold(value, `"utf-8"`))) {
		return "", "a Content-Type with more than charset=utf-8"
	}
	return strings.ToLower(strings.TrimSpace(media)), ""
}

// hyphened is a header's name as servers read it that hand it on in the environment of a
// program, where a hyphen and an underscore are the same.
func hyphened(name string) string {
	if strings.IndexByte(name, '_') < 0 {
		return name
	}
	return http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
}

// unwrap takes document and operation name out of a JSON body.
func unwrap(body []byte) (document, operationName string, _ error) {
	if !json.Valid(body) {
		return "", "", malformedDocument("a mistake in its JSON, or text after it")
	}
	switch why := doubtfulJSON(body); why {
	case "":
	case tooDeep:
		return "", "", tooLargeDocument(why)
	default:
		return "", "", ambiguousDocument(why)
	}
	members, err := membersOf(body)
	if err != nil {
		return "", "", err
	}
	if members["query"] == nil {
		return "", "", malformedDocument("no query: Evergate sends no stored one")
	}
	for name := range members {
		switch name {
		case "query", "operationName", "variables":
		case "extensions":
			if err := checkExtensions(members[name]); err != nil {
				return "", "", err
			}
		default:
			return "", "", ambiguousDocument("the key " + denial.Quote(name) + " beside query, operationName, variables and extensions")
		}
	}
	if json.Unmarshal(members["query"], &document) != nil || isNull(members["query"]) {
		return "", "", malformedDocument("a query that is no string")
	}
	if name := members["operationName"]; name != nil && json.Unmarshal(name, &operationName) != nil {
		return "", "", malformedDocument("an operationName that is no string")
	}
	return document, operationName, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// checkExtensions refuses what stands for a document that is not in the request.
func checkExtensions(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	members, err := membersOf(raw)
	if err != nil {
		return err
	}
	for name := range members {
		if ascii.EqualFold(name, "persistedQuery") {
			return ambiguousDocument("a persisted query")
		}
	}
	return nil
}

// membersOf returns the members of a JSON object. Which of two of one name counts depends
// on the parser, so there must be one of each; a name with an escape has two spellings.
func membersOf(object []byte) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, ambiguousDocument("JSON that is no object, such as a batch")
	}
	members := make(map[string]json.RawMessage)
	for d.More() {
		before := d.InputOffset()
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, malformedDocument("a mistake in its JSON") // it is valid, so this cannot happen
		}
		if bytes.IndexByte(object[before:d.InputOffset()], '\\') >= 0 {
			return nil, ambiguousDocument("a key with an escape in it")
		}
		if members[name] != nil {
			return nil, ambiguousDocument("the key " + denial.Quote(name) + " twice")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, malformedDocument("a mistake in its JSON")
		}
		members[name] = value
	}
	return members, nil
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
