package wire

import (
	"bytes"
	"strconv"
)

// Doubt says why a head can be read in two ways; empty: it cannot. RFC 9112 lets a server read each of these (2.2, 5.2, 6.3), and servers differ in
// what they make of it, which is how a request is smuggled past one of them.
type Doubt string

// The doubts. They are parts of a sentence that says what the head has.
const (
	BareLF     Doubt = "a line that ends with LF alone"
	BareCR     Doubt = "a CR in the middle of a line"
	Folded     Doubt = "a line that begins with a blank"
	TwoLengths Doubt = "both Transfer-Encoding and Content-Length"
	// Unseen is a request whose head nobody has looked at, because net/http has found another end of the one before.
	Unseen Doubt = "a place behind another one whose end was not clear"
)

// Scan looks through a head that is not ordinary, as it comes. Its zero value is at the beginning of one; it does not look at a byte twice.
type Scan struct {
	// Size is how long the head is, in bytes.
	Size int
	// Length is the body's in bytes; -1: nobody knows, because it comes in chunks or in another coding, or Content-Length is no number.
	Length int64
	// Chunked says that there is a Transfer-Encoding, which is chunked or nothing that net/http reads.
	Chunked bool

	from, searched int // where the line begins that has not been looked at, and how far its end has been searched for
	declared       bool
}

// Look goes on with b, which begins with the head, and with what it began with before. Understood has no doubt about it; Foreign is no request at
// all, whatever follows.
func (s *Scan) Look(b []byte) (Doubt, Verdict) {
	for {
		i := bytes.IndexByte(b[s.searched:], '\n')
		if i < 0 {
			s.searched = len(b)
			return "", Incomplete
		}
		first := s.from == 0
		line := b[s.from : s.searched+i]
		s.from, s.searched = s.searched+i+1, s.searched+i+1
		if first && !bytes.Contains(line, []byte(" HTTP/")) {
			return "", Foreign
		}
		switch cr := bytes.IndexByte(line, '\r'); {
		case cr < 0:
			return BareLF, Understood
		case cr+1 < len(line):
			return BareCR, Understood
		case cr == 0:
			return s.end()
		case !first && isBlank(line[0]):
			return Folded, Understood
		}
		if !first {
			s.note(line[:len(line)-1])
		}
	}
}

// note takes what a field says of the body. A name with blanks around it is none to net/http, and one to others.
func (s *Scan) note(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch name = bytes.Trim(name, " \t"); {
	case equalFold(name, "transfer-encoding"):
		s.Chunked = true
	case equalFold(name, "content-length"):
		n, err := strconv.ParseInt(string(bytes.Trim(value, " \t")), 10, 64) // net/http, too, takes leading zeros
		if err != nil || s.declared && n != s.Length {
			n = -1
		}
		s.Length, s.declared = n, true
	}
}

func (s *Scan) end() (Doubt, Verdict) {
	s.Size = s.from
	if s.Chunked && s.declared {
		return TwoLengths, Understood
	}
	if s.Chunked {
		s.Length = -1
	}
	return "", Understood
}
