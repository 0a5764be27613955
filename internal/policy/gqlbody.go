package policy

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"

	"evergate/internal/ascii"
	"evergate/internal/denial"
	"evergate/internal/request"
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

// judgeGraphQL says what a GraphQL request with this header and body will run: the operation that it
// is, and those that it carries, or why nobody can know.
func judgeGraphQL(h request.Fields, body []byte) (op operation, carried []operation, _ error) {
	media, why := mediaType(h)
	switch {
	case why != "":
		return operation{}, nil, ambiguousDocument(why)
	case media != typeJSON && media != typeGraphQL:
		return operation{}, nil, ambiguousDocument("a Content-Type other than application/json")
	case len(body) > LargestJudgedBody:
		return operation{}, nil, tooLargeDocument("more than 256 KiB")
	case !utf8.Valid(body):
		return operation{}, nil, ambiguousDocument("bytes that are not UTF-8")
	case bytes.HasPrefix(body, []byte("\ufeff")):
		return operation{}, nil, ambiguousDocument("a byte order mark")
	case media == typeGraphQL:
		return judgeDocument(string(body), "", nil)
	}
	document, name, variables, err := unwrap(body)
	if err != nil {
		return operation{}, nil, err
	}
	return judgeDocument(document, name, variables)
}

func judgeDocument(document, operationName string, variables []byte) (operation, []operation, error) {
	op, err := classify(document, operationName)
	if err != nil {
		return operation{}, nil, err
	}
	carried, err := op.carried(variables)
	return op, carried, err
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

// unwrap takes document and operation name out of a JSON body, and the variables as they stand there.
func unwrap(body []byte) (document, operationName string, variables []byte, _ error) {
	if !json.Valid(body) {
		return "", "", nil, malformedDocument("a mistake in its JSON, or text after it")
	}
	switch why := doubtfulJSON(body); why {
	case "":
	case tooDeep:
		return "", "", nil, tooLargeDocument(why)
	default:
		return "", "", nil, ambiguousDocument(why)
	}
	var buf [8]keyed
	members, err := membersOf(buf[:0], body)
	if err != nil {
		return "", "", nil, err
	}
	query, name := valueOf(members, "query"), valueOf(members, "operationName")
	if query == nil {
		return "", "", nil, malformedDocument("no query: Evergate sends no stored one")
	}
	for _, m := range members {
		switch string(m.name) {
		case "query", "operationName", "variables":
		case "extensions":
			if err := checkExtensions(m.value); err != nil {
				return "", "", nil, err
			}
		default:
			return "", "", nil, ambiguousDocument("the key " + denial.Quote(string(m.name)) + " beside query, operationName, variables and extensions")
		}
	}
	document, ok := stringIn(query)
	if !ok {
		return "", "", nil, malformedDocument("a query that is no string")
	}
	if operationName, ok = stringIn(name); !ok && name != nil && !isNull(name) {
		return "", "", nil, malformedDocument("an operationName that is no string")
	}
	return document, operationName, valueOf(members, "variables"), nil
}

func isNull(value []byte) bool { return string(value) == "null" }

// checkExtensions refuses what stands for a document that is not in the request.
func checkExtensions(value []byte) error {
	if isNull(value) {
		return nil
	}
	members, err := membersOf(nil, value)
	if err != nil {
		return err
	}
	for _, m := range members {
		if ascii.EqualFold(m.name, "persistedQuery") {
			return ambiguousDocument("a persisted query")
		}
	}
	return nil
}
