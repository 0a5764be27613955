package pace

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
)

// document identifies a GraphQL request for the memory of costs. Shopify computes a
// request's cost from the query and from the numbers in it: how long a page is, how many
// ids are asked for. So whole is a hash over the body in which every string among the
// variables counts as nothing but a string: the pages of a listing differ in their cursor
// and cost the same. text is a hash over the query and the operation's name alone, for the
// first request with other numbers.
type document struct {
	text, whole uint64
	known       bool
}

// seed makes the hashes differ between processes, so that nobody can prepare two documents
// that are taken for one.
var seed = maphash.MakeSeed()

// readDocument reads a request's body. It allocates nothing and accepts any bytes: what is
// no JSON object is hashed as it is, as application/graphql is meant to be.
func readDocument(body []byte) document {
	if len(body) == 0 {
		return document{}
	}
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' || !looksLikeJSON(trimmed) {
		h := maphash.Bytes(seed, body)
		return document{h, h, true}
	}
	r := documentReader{rest: body}
	r.text.SetSeed(seed)
	r.whole.SetSeed(seed)
	r.read()
	text := r.text.Sum64()
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], text)
	_, _ = r.whole.Write(b[:]) // which saves hashing a long text twice
	return document{text, r.whole.Sum64(), true}
}

// looksLikeJSON tells {"query": …} from the { shop { name } } of application/graphql.
func looksLikeJSON(object []byte) bool {
	inside := bytes.TrimLeft(object[1:], " \t\r\n")
	return len(inside) > 0 && (inside[0] == '"' || inside[0] == '}')
}

// documentReader walks over the tokens of a JSON text without judging it.
type documentReader struct {
	rest        []byte
	text, whole maphash.Hash // whole has all but the text
	depth       int
	key         []byte // the top-level key whose value is being read
	value       bool   // within a value of the top-level object
}

func (r *documentReader) read() {
	for len(r.rest) > 0 {
		switch c := r.rest[0]; c {
		case '"':
			r.str()
			continue
		case '{', '[':
			r.depth++
		case '}', ']':
			r.depth--
		case ':':
			r.value = r.value || r.depth == 1
		case ',':
			if r.depth == 1 {
				r.value, r.key = false, nil
			}
		case ' ', '\t', '\r', '\n':
			r.rest = r.rest[1:]
			continue
		}
		r.other()
	}
}

// other takes a number, a word or a mark.
func (r *documentReader) other() {
	n := 1
	for n < len(r.rest) && isPlain(r.rest[n-1]) && isPlain(r.rest[n]) {
		n++
	}
	if r.value {
		_, _ = r.whole.Write(r.rest[:n])
	}
	r.rest = r.rest[n:]
}

func isPlain(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

func (r *documentReader) str() {
	end := stringEnd(r.rest)
	s := r.rest[:end]
	r.rest = r.rest[end:]
	switch {
	case !r.value && r.depth == 1:
		r.key = s
	case r.depth == 1: // the query, the operation's name
		_, _ = r.text.Write(r.key)
		_, _ = r.text.Write(s)
	default:
		_ = r.whole.WriteByte('"')
	}
}

// stringEnd is the length of the JSON string at the start of b, or of all of b if it does
// not end.
func stringEnd(b []byte) int {
	for at := 1; at < len(b); {
		quote := bytes.IndexByte(b[at:], '"')
		if quote < 0 {
			return len(b)
		}
		at += quote + 1
		backslashes := 0
		for i := at - 2; i > 0 && b[i] == '\\'; i-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return at
		}
	}
	return len(b)
}
