package pace

import (
	"io"

	"github.com/andybalholm/brotli"
)

// brotliReader undoes brotli. A body says in its first bits how far back it may refer, and the decoder makes room for
// all of that, up to 16 MiB, before it has made anything. As of zstd, largestWindow is enough here: while less has been made, nothing
// refers further back, so that a narrower window makes the same of the body. Where more would be made, it ends.
type brotliReader struct {
	decoder *brotli.Reader
	src     narrowed
	left    int // what may still be made; -1: as much as there is
}

// The format is that of RFC 7932: a first bit that is set, and three more that are not all zero, stand for
// windows of 2^18 to 2^24 bytes, less 16.
const (
	widestBrotli   = 21 // 2^21 is largestWindow
	brotliReserved = 16
)

func openBrotli(src io.Reader) (resetter, error) {
	b := &brotliReader{}
	b.decoder = brotli.NewReader(&b.src)
	return b, b.Reset(src)
}

// Reset implements resetter.
func (b *brotliReader) Reset(src io.Reader) error {
	b.src = narrowed{of: b, src: src, begins: true}
	b.left = -1
	return b.decoder.Reset(&b.src)
}

// Read implements io.Reader.
func (b *brotliReader) Read(p []byte) (int, error) {
	n, err := b.decoder.Read(p)
	if b.left < 0 {
		return n, err
	}
	if n > b.left {
		return 0, errTooMuch
	}
	b.left -= n
	return n, err
}

// narrowed passes a body on with a window that is not too wide.
type narrowed struct {
	of     *brotliReader
	src    io.Reader
	begins bool
}

// Read implements io.Reader.
func (r *narrowed) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	if n > 0 && r.begins {
		r.begins = false
		if wide := 17 + int(p[0]>>1&7); p[0]&1 == 1 && wide > widestBrotli {
			p[0] = p[0]&^0xf | 1 | (widestBrotli-17)<<1
			r.of.left = largestWindow - brotliReserved
		}
	}
	return n, err
}
