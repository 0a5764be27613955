package pace

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A GraphQL answer is one JSON object. Three of its members matter here: errors and
// extensions, which are kept as they are written, and data, which a refusal has not. The
// scanner is handed the answer piece by piece, as it passes.

const (
	// largestErrors and largestExtensions bound in bytes what is kept of a member.
	largestErrors     = 8 << 10
	largestExtensions = 32 << 10 // with cost debugging there is an entry for each field
	// retainedMember is the size in bytes up to which a member's memory is used again.
	retainedMember = 4 << 10
)

// scanner finds the members of the object that is written to it. Whatever is no JSON does
// no harm: then nothing is found. The zero scanner is ready.
type scanner struct {
	depth   int
	inStr   bool
	escaped bool
	colon   bool // a member's value has begun
	key     []byte
	kept    *[]byte // where the value of the current member goes; nil: nowhere
	bound   int
	broken  bool // not an object, or more than one

	errors, extensions []byte
	data               bool // data is there, if only as null
	ended              bool // the object is complete
}

// reset makes s ready for another object. What it has found before is gone.
func (s *scanner) reset() {
	*s = scanner{key: s.key[:0], errors: s.errors[:0], extensions: s.extensions[:0]}
}

// shrink lets go of memory that a usual answer does not need.
func (s *scanner) shrink() {
	if cap(s.errors) > retainedMember {
		s.errors = nil
	}
	if cap(s.extensions) > retainedMember {
		s.extensions = nil
	}
}

// write takes the next piece.
func (s *scanner) write(p []byte) {
	for i := 0; i < len(p) && !s.broken; {
		if s.inStr {
			i = s.str(p, i)
			continue
		}
		if s.depth > 1 {
			next := s.pass(p, i)
			s.keep(p[i:next])
			i = next
			continue
		}
		i = s.mark(p, i)
	}
}

// pass goes on to the end of a value, to the beginning of a string that is not all here or has escapes, or to the end of p. Nothing in it matters but what
// opens and closes: nearly all of an answer is passed like this.
func (s *scanner) pass(p []byte, from int) int {
	for i := from; i < len(p); i++ {
		switch p[i] {
		case '"':
			end := plainEnd(p, i+1)
			if end == len(p) || p[end] == '\\' {
				s.inStr = true
				return i + 1
			}
			i = end
		case '{', '[':
			s.depth++
		case '}', ']':
			if s.depth--; s.depth == 1 {
				return i + 1
			}
		}
	}
	return len(p)
}

// str goes on to the end of a string, or of p.
func (s *scanner) str(p []byte, from int) int {
	i, ends := from, false
	for quote := from - 1; i < len(p) && !ends; {
		if s.escaped {
			s.escaped = false
			i++
			continue
		}
		if quote < i { // the last one found has been passed, or was escaped
			quote = indexByte(p, i, '"')
		}
		if backslash := indexByte(p[:quote], i, '\\'); backslash < quote {
			s.escaped = true
			i = backslash + 1
			continue
		}
		ends = quote < len(p)
		i = min(quote+1, len(p))
	}
	s.inStr = !ends
	if s.depth == 1 && !s.colon {
		s.key = appendBounded(s.key, p[from:i], 16)
	} else {
		s.keep(p[from:i])
	}
	return i
}

// plainEnd is where the first quote or backslash is in p, from an index on; len(p) if there is none. Most strings are so short that this takes less than
// to call what finds a byte in a long text.
func plainEnd(p []byte, from int) int {
	const each, high = 0x0101010101010101, 0x80 * 0x0101010101010101
	i := from
	for ; i+8 <= len(p); i += 8 {
		if i-from == shortString {
			quote := indexByte(p, i, '"')
			return indexByte(p[:quote], i, '\\')
		}
		x := binary.LittleEndian.Uint64(p[i:])
		quote, backslash := x^'"'*each, x^'\\'*each
		// The highest bit of a byte says that it is zero; the lowest one that is set is never wrong.
		if found := ((quote-each)&^quote | (backslash-each)&^backslash) & high; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(p) && p[i] != '"' && p[i] != '\\' {
		i++
	}
	return i
}

const shortString = 64

// indexByte is where c is in p, from an index on; len(p) if it is not.
func indexByte(p []byte, from int, c byte) int {
	if i := bytes.IndexByte(p[from:], c); i >= 0 {
		return from + i
	}
	return len(p)
}

// mark takes bytes outside of strings up to the next one that means something.
func (s *scanner) mark(p []byte, from int) int {
	for i := from; i < len(p); i++ {
		switch p[i] {
		case '"', '{', '[', '}', ']', ',', ':':
			s.keep(p[from:i])
			s.structure(p[i : i+1])
			return i + 1
		case ' ', '\t', '\r', '\n':
		default:
			if s.depth == 0 {
				s.broken = true
				return len(p)
			}
		}
	}
	s.keep(p[from:])
	return len(p)
}

// structure takes a byte that opens, closes or separates.
func (s *scanner) structure(c []byte) {
	switch c[0] {
	case '"':
		s.inStr = true
		if s.depth == 0 {
			s.broken = true
			return
		}
		if s.depth == 1 && !s.colon {
			s.key = s.key[:0]
			return
		}
	case ':':
		if s.depth == 1 && !s.colon {
			s.begin()
			return
		}
	case ',':
		if s.depth == 1 {
			s.colon, s.kept = false, nil
			return
		}
	case '{', '[':
		s.depth++
		if s.depth == 1 && (s.ended || c[0] == '[') {
			s.broken = true
			return
		}
	case '}', ']':
		s.depth--
		if s.depth <= 0 {
			s.ended, s.broken = s.depth == 0, s.depth < 0
			s.colon, s.kept = false, nil
			return
		}
	}
	s.keep(c)
}

// begin starts the value of a member.
func (s *scanner) begin() {
	s.colon = true
	switch string(s.key) {
	case `data"`:
		s.data = true
	case `errors"`:
		s.errors, s.kept, s.bound = s.errors[:0], &s.errors, largestErrors
	case `extensions"`:
		s.extensions, s.kept, s.bound = s.extensions[:0], &s.extensions, largestExtensions
	}
}

func (s *scanner) keep(p []byte) {
	if s.kept != nil {
		*s.kept = appendBounded(*s.kept, p, s.bound)
	}
}

// appendBounded stops at the bound: what is longer is no value any more, and parsing it fails.
func appendBounded(to, p []byte, bound int) []byte {
	return append(to, p[:max(0, min(len(p), bound-len(to)))]...)
}
