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
	// largestPacked bounds in bytes the copy that is kept of a compressed answer, and
	// largestUnpacked what is made of it. An answer beyond them teaches nothing; the next
	// short one, and every refusal is short, teaches all there is.
	largestPacked   = 256 << 10
	largestUnpacked = 8 << 20
)

// unpacker keeps a copy of a compressed body, to be read when it is complete: the bytes on
// their way to the client are not held up by it.
type unpacker struct {
	open       func(io.Reader) (io.Reader, error)
	done       func(io.Reader) // takes the reader back; nil: nobody does
	raw        []byte
	unreadable bool
}

// newUnpacker returns nil for a body that is not compressed.
func newUnpacker(encoding string) *unpacker {
	switch encoding {
	case "", "identity":
		return nil
	case "gzip", "x-gzip":
		return &unpacker{open: openGzip, done: func(r io.Reader) { gzips.Put(r) }}
	case "deflate":
		return &unpacker{open: func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) }}
	case "br":
		return &unpacker{open: func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil }}
	}
	return &unpacker{unreadable: true}
}

// gzips keeps readers, whose tables take 40 KiB each.
var gzips sync.Pool

func openGzip(r io.Reader) (io.Reader, error) {
	if z, ok := gzips.Get().(*gzip.Reader); ok {
		return z, z.Reset(r)
	}
	return gzip.NewReader(r)
}

func (u *unpacker) write(p []byte) {
	if u.unreadable || len(u.raw)+len(p) > largestPacked {
		u.unreadable, u.raw = true, nil
		return
	}
	u.raw = append(u.raw, p...)
}

// look decompresses what is there and shows it to a fresh scanner. Of an incomplete body
// it shows the beginning.
func (u *unpacker) look(s *scanner, complete bool) {
	if u.unreadable {
		return
	}
	*s = scanner{}
	r, err := u.open(bytes.NewReader(u.raw))
	if err != nil {
		u.unreadable = complete
		return
	}
	if u.done != nil {
		defer u.done(r)
	}
	var buf [4 << 10]byte
	for total := 0; total < largestUnpacked; {
		n, err := r.Read(buf[:])
		s.write(buf[:n])
		total += n
		if err != nil || n == 0 || !complete && s.data {
			return
		}
	}
	u.unreadable = true
}
