package wire

import "bytes"

// last is what a client has said last below its request line. Most say the same again and again but for Content-Length, and what was found out
// about it holds for the same bytes.
type last struct {
	kept  bool   // there is one
	block []byte // the field lines with the empty line behind them
	// host and length are where the values of Host and Content-Length are in it; length is empty where there is none.
	host, length span
	closes       bool
}

// longestKept is how long the field lines may be in bytes that are kept: those of programs are shorter.
const longestKept = 1 << 10

// Keep has Parse keep what it has just Understood, before anything is changed in the buffer, to know it again. It reports whether it can.
func (r *Request) Keep() bool {
	block := r.buf[r.below:r.size]
	if r.last.kept = len(block) <= longestKept; !r.last.kept {
		return false
	}
	from := uint16(r.below)
	r.last.block = append(r.last.block[:0], block...)
	r.last.host, r.last.closes = span{r.host.from - from, r.host.to - from}, r.Close
	if r.last.length = (span{}); r.declared {
		r.last.length = span{r.declares.from - from, r.declares.to - from}
	}
	return true
}

// parseAgain reads field lines that begin at r.below, if they are those that were kept last, but for what Content-Length says. It
// leaves everything as it was if they are not.
func (r *Request) parseAgain() bool {
	l := &r.last
	if !l.kept {
		return false
	}
	b, at := r.buf[r.below:], l.length
	if at.to == 0 {
		if r.below+len(l.block) > MaxHead || !bytes.HasPrefix(b, l.block) {
			return false
		}
		r.sayAgain(len(l.block), 0)
		return true
	}
	if !bytes.HasPrefix(b, l.block[:at.from]) {
		return false
	}
	digits := b[at.from:]
	n := 0
	for n < len(digits) && n < mostLengthDigits && digits[n]-'0' <= 9 {
		n++
	}
	said, ok := length(digits[:n])
	if !ok || !bytes.HasPrefix(digits[n:], l.block[at.to:]) {
		return false
	}
	longer := n - int(at.to-at.from)
	if r.below+len(l.block)+longer > MaxHead {
		return false
	}
	r.sayAgain(len(l.block)+longer, longer)
	r.Length, r.declared = said, true
	return true
}

// sayAgain takes over what was kept of field lines of so many bytes, of which Content-Length has so many digits more.
func (r *Request) sayAgain(size, longer int) {
	l := &r.last
	r.Same, r.Close, r.size = true, l.closes, r.below+size
	from := r.below + int(l.host.from)
	if l.length.to > 0 && l.host.from > l.length.from {
		from += longer
	}
	r.host = span{uint16(from), uint16(from) + l.host.to - l.host.from}
}
