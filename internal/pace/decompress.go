package pace

import (
	"bytes"
	"io"
)

const (
	// largestCompressed bounds in bytes the copy that is kept of a compressed answer, and
	// largestPlain what is made of it. An answer beyond them teaches nothing; the next
	// short one, and every refusal is short, teaches all there is.
	largestCompressed = 256 << 10
	largestPlain      = 8 << 20
	// retainedCompressed is the size in bytes up to which the copy's memory is used again.
	retainedCompressed = 32 << 10
)

// decompressor keeps a copy of a compressed body, to be read when it is complete: the bytes on
// their way to the client are not held up by it.
type decompressor struct {
	codings    codings
	copied     []byte
	unreadable bool
	made       int // bytes of plain text made of this body in all looks at it
	nextLook   int // length of the copy that an incomplete body is looked at again for

	src   bytes.Reader
	chain chain
	plain [4 << 10]byte
}

// reset makes d ready for a body with this Content-Encoding.
func (d *decompressor) reset(by *decoders, encoding string) {
	of, known := by.parse(encoding)
	d.codings, d.copied, d.unreadable, d.made, d.nextLook = of, d.copied[:0], !known, 0, 0
}

// active reports whether the body is compressed.
func (d *decompressor) active() bool { return d.codings.count > 0 || d.unreadable }

// open returns what reads the plain text of compressed; d.chain.close must follow.
func (d *decompressor) open(compressed []byte) (io.Reader, error) {
	d.src.Reset(compressed)
	return d.chain.open(d.codings, &d.src, &d.made)
}

func (d *decompressor) write(p []byte) {
	if d.unreadable || len(d.copied)+len(p) > largestCompressed {
		d.unreadable, d.copied = true, d.copied[:0]
		return
	}
	d.copied = append(d.copied, p...)
}

// shrink lets go of memory that a usual answer does not need, and of the Pacer.
func (d *decompressor) shrink() {
	d.codings = codings{}
	if cap(d.copied) > retainedCompressed {
		d.copied = nil
	}
}

// scanInto decompresses what is there and shows it to s, which starts anew. Of an incomplete
// body it shows the beginning, and only when the copy is twice as long as at the last look:
// a body that comes in a thousand pieces is not decompressed a thousand times.
func (d *decompressor) scanInto(s *scanner, complete bool) {
	if d.unreadable || !complete && len(d.copied) < d.nextLook {
		return
	}
	d.nextLook = 2 * len(d.copied)
	s.reset()
	defer d.chain.close()
	r, err := d.open(d.copied)
	if err != nil {
		d.unreadable = complete
		return
	}
	for d.made < largestPlain {
		n, err := r.Read(d.plain[:])
		s.write(d.plain[:n])
		d.made += n
		if err != nil || n == 0 || !complete && s.data {
			return
		}
	}
	d.unreadable = true
}

// PlainBeginning is the beginning of a short text of which these are the header fields, whatever it is compressed with;
// nothing if it cannot be read. A nil Pacer can do it, too.
func (p *Pacer) PlainBeginning(h Header, text []byte) []byte {
	by := newDecoders()
	if p != nil {
		by = p.common.decoders
	}
	return by.plainBeginning(text, contentEncoding(h))
}

// plainBeginning is the beginning of a short text that may be compressed; nothing if it cannot
// be read. Only refusals are read this way.
func (by *decoders) plainBeginning(text []byte, encoding string) []byte {
	w := costWorks.Get().(*costWork)
	defer w.release()
	d := &w.compressed
	if d.reset(by, encoding); !d.active() {
		return text
	}
	if d.unreadable {
		return nil
	}
	defer d.chain.close()
	r, err := d.open(text)
	if err != nil {
		return nil
	}
	plain := make([]byte, len(d.plain))
	n, _ := io.ReadFull(r, plain) // a short text ends early
	return plain[:n]
}
