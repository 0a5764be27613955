package pace

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
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
	coding     *coding // nil: the body is not compressed
	copied     []byte
	unreadable bool
	made       int // bytes of plain text made of this body in all looks at it
	nextLook   int // length of the copy that an incomplete body is looked at again for

	src   bytes.Reader
	plain [4 << 10]byte
}

// coding is a content coding. Its readers are pooled, because their tables are large: 40 KiB
// for gzip.
type coding struct {
	open func(io.Reader) (resetter, error) // nil: nobody can read it
	pool sync.Pool
}

// resetter is a decompressing reader that can be used again.
type resetter interface {
	io.Reader
	Reset(io.Reader) error
}

var (
	gzipCoding    = &coding{open: func(r io.Reader) (resetter, error) { return gzip.NewReader(r) }}
	deflateCoding = &coding{open: openZlib}
	brotliCoding  = &coding{open: func(r io.Reader) (resetter, error) { return brotli.NewReader(r), nil }}
	unknownCoding = &coding{}
)

func openZlib(r io.Reader) (resetter, error) {
	z, err := zlib.NewReader(r)
	if err != nil {
		return nil, err
	}
	return zlibReader{z}, nil
}

// zlibReader gives zlib's Reset the signature that the others have.
type zlibReader struct{ io.Reader }

func (z zlibReader) Reset(r io.Reader) error { return z.Reader.(zlib.Resetter).Reset(r, nil) }

func (c *coding) reader(src io.Reader) (resetter, error) {
	if r, ok := c.pool.Get().(resetter); ok {
		return r, r.Reset(src)
	}
	return c.open(src)
}

// reset makes d ready for a body with this Content-Encoding.
func (d *decompressor) reset(encoding string) {
	d.coding, d.copied, d.unreadable, d.made, d.nextLook = nil, d.copied[:0], false, 0, 0
	switch encoding {
	case "", "identity":
	case "gzip", "x-gzip":
		d.coding = gzipCoding
	case "deflate":
		d.coding = deflateCoding
	case "br":
		d.coding = brotliCoding
	default:
		d.coding, d.unreadable = unknownCoding, true
	}
}

func (d *decompressor) active() bool { return d.coding != nil }

func (d *decompressor) write(p []byte) {
	if d.unreadable || len(d.copied)+len(p) > largestCompressed {
		d.unreadable, d.copied = true, d.copied[:0]
		return
	}
	d.copied = append(d.copied, p...)
}

// shrink lets go of memory that a usual answer does not need.
func (d *decompressor) shrink() {
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
	d.src.Reset(d.copied)
	r, err := d.coding.reader(&d.src)
	if err != nil {
		d.unreadable = complete
		return
	}
	defer d.coding.pool.Put(r)
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

// plainBeginning is the beginning of a short text that may be compressed; nothing if it cannot
// be read. Only refusals are read this way.
func plainBeginning(text []byte, encoding string) []byte {
	w := costWorks.Get().(*costWork)
	defer w.release()
	d := &w.compressed
	if d.reset(encoding); !d.active() {
		return text
	}
	if d.unreadable {
		return nil
	}
	d.src.Reset(text)
	r, err := d.coding.reader(&d.src)
	if err != nil {
		return nil
	}
	defer d.coding.pool.Put(r)
	plain := make([]byte, len(d.plain))
	n, _ := io.ReadFull(r, plain) // a short text ends early
	return plain[:n]
}
