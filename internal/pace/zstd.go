package pace

import (
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/zstd"
)

// largestWindow bounds in bytes how far back a zstd body may refer, which is what the decoder keeps
// of the plain text. It is what zstd's usual levels ask for; an answer that needs more teaches nothing.
const largestWindow = 2 << 20

// zstdReader undoes zstd. A body is compressed with a window of megabytes, whatever its
// length, if its length was not known when its compression began; the decoder would make room for
// all of that, so the body gets the window that it can make use of.
type zstdReader struct {
	decoder *zstd.Decoder
	body    []byte
	src     bodyReader
}

// bodyReader reads a slice. It is no bytes.Reader, because zstd.Decoder takes liberties with what
// has the methods of one.
type bodyReader struct{ rest []byte }

// Read implements io.Reader.
func (b *bodyReader) Read(p []byte) (int, error) {
	if len(b.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func openZstd(src io.Reader) (resetter, error) {
	// With a concurrency of one it has no goroutines, and needs no Close.
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(largestWindow), zstd.WithDecoderMaxMemory(largestWindow))
	if err != nil {
		return nil, err
	}
	z := &zstdReader{decoder: d}
	return z, z.Reset(src)
}

// Reset implements resetter. It reads src to its end, or to where an answer is too long to be read.
func (z *zstdReader) Reset(src io.Reader) error {
	if cap(z.body) > retainedCompressed {
		z.body = nil
	}
	z.body = z.body[:0]
	for len(z.body) < largestCompressed {
		if len(z.body) == cap(z.body) {
			z.body = append(z.body, make([]byte, 4<<10)...)[:len(z.body)]
		}
		n, err := src.Read(z.body[len(z.body):cap(z.body)])
		z.body = z.body[:len(z.body)+n]
		if err != nil { // the decoder sees whether that was the end
			break
		}
	}
	narrowWindows(z.body)
	z.src.rest = z.body
	return z.decoder.Reset(&z.src)
}

// Read implements io.Reader.
func (z *zstdReader) Read(p []byte) (int, error) { return z.decoder.Read(p) }

// The format is that of RFC 8878.
const (
	zstdMagic      = 0xFD2FB528
	skippableMagic = 0x184D2A50 // and the fifteen numbers after it
	largestBlock   = 128 << 10

	singleSegment = 1 << 5 // of the frame header's descriptor: there is no window's, the content is all in it
	hasChecksum   = 1 << 2

	rawBlock = 0
	rleBlock = 1
)

// narrowWindows goes through the frames that begin in body and gives each, in its header, the window
// that it can make use of, if that is smaller than its own: nothing refers back beyond the
// frame's beginning. What it does not understand it leaves to the decoder.
func narrowWindows(body []byte) {
	for len(body) >= 8 {
		switch magic := binary.LittleEndian.Uint32(body); {
		case magic == zstdMagic:
			body = narrowWindow(body)
		case magic&^0xf == skippableMagic:
			size := uint64(binary.LittleEndian.Uint32(body[4:]))
			if uint64(len(body)) < 8+size {
				return
			}
			body = body[8+size:]
		default:
			return
		}
	}
}

// narrowWindow does so for the frame at the beginning of body, and returns what follows it.
func narrowWindow(body []byte) (rest []byte) {
	descriptor := body[4]
	window := &body[5]
	header := 6 + [4]int{0, 1, 2, 4}[descriptor&3] + [4]int{0, 2, 4, 8}[descriptor>>6]
	if descriptor&singleSegment != 0 {
		window = nil
		header--
		if descriptor>>6 == 0 {
			header++ // then the length of the content is one byte
		}
	}
	if len(body) < header {
		return nil
	}
	rest = body[header:]
	content, ended := 0, false
	for !ended && len(rest) >= 3 {
		block := int(rest[0]) | int(rest[1])<<8 | int(rest[2])<<16
		size := block >> 3
		made := size
		switch block >> 1 & 3 {
		case rawBlock:
		case rleBlock:
			size = 1
		default:
			made = largestBlock
		}
		content = min(content+made, largestWindow+1)
		ended = block&1 != 0
		rest = rest[min(3+size, len(rest)):]
	}
	if window != nil {
		*window = min(*window, smallestWindow(content))
	}
	if ended && descriptor&hasChecksum != 0 {
		rest = rest[min(4, len(rest)):]
	}
	return rest
}

// smallestWindow is the descriptor of the smallest window that is a power of two and has room for
// content, and for a block, whose size the window bounds.
func smallestWindow(content int) byte {
	log := 17
	for 1<<log < content {
		log++
	}
	return byte(log-10) << 3
}
