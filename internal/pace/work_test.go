package pace

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"math/bits"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// encoders apply a coding.
var encoders = map[string]func(io.Writer) io.WriteCloser{
	"gzip":    func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"deflate": func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) },
	"br": func(w io.Writer) io.WriteCloser {
		return brotli.NewWriterOptions(w, brotli.WriterOptions{Quality: 5, LGWin: 24})
	},
	"zstd": func(w io.Writer) io.WriteCloser {
		z, _ := zstd.NewWriter(w)
		return z
	},
}

// encode applies codings one upon another.
func encode(t *testing.T, plain []byte, names ...string) []byte {
	t.Helper()
	for _, name := range names {
		var b bytes.Buffer
		w := encoders[name](&b)
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		plain = b.Bytes()
	}
	return plain
}

// noise is text that hardly any coding makes shorter.
func noise(size int) []byte {
	text := make([]byte, size)
	x := uint32(1)
	for i := range text {
		x = x*1664525 + 1013904223
		text[i] = '!' + byte(x>>24)%90
	}
	return text
}

// TestACompressedAnswerCostsLittleHoweverItComes counts what is made of an answer that comes in pieces of eight bytes, in all
// looks at it together, and what is allocated for it.
func TestACompressedAnswerCostsLittleHoweverItComes(t *testing.T) {
	bodies := map[string][]byte{
		"noise": append([]byte(`{"errors":"`), noise(12<<10)...),
		"much":  append([]byte(`{"errors":"`), noise(300<<10)...),
		"bomb":  bytes.Repeat([]byte(" "), 16<<20),
	}
	for _, names := range [][]string{{"gzip"}, {"deflate"}, {"br"}, {"zstd"}, {"gzip", "gzip"}, {"br", "zstd"}, {"zstd", "br", "gzip"}, {"br", "br", "br"}} {
		for kind, plain := range bodies {
			body := encode(t, plain, names...)
			size := len(body)
			by := newDecoders() // so that the first reader of each coding is counted
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var d decompressor
			var s scanner
			s.reset()
			d.reset(by, strings.Join(names, ", "))
			looks := 0
			for len(body) > 0 {
				n := min(8, len(body))
				d.write(body[:n])
				if body = body[n:]; !d.unreadable && len(d.copied) >= d.nextLook {
					looks++
				}
				d.scanInto(&s, len(body) == 0)
			}
			runtime.ReadMemStats(&after)
			allocated := int(after.TotalAlloc - before.TotalAlloc)
			t.Logf("%v, %s of %d bytes: %d looks, %d bytes made, %d KiB allocated", names, kind, size, looks, d.made, allocated>>10)
			// Each look is at twice as much as the one before, so all of them make twice the text in each stage.
			if most := min(largestPlain, 4*len(names)*len(plain)) + len(names)*len(d.plain); d.made > most {
				t.Errorf("%v, %s: %d bytes were made of %d, want at most %d", names, kind, d.made, len(plain), most)
			}
			if most := 2 + bits.Len(uint(largestCompressed)); looks > most {
				t.Errorf("%v, %s: it was looked at %d times, want at most %d", names, kind, looks, most)
			}
			if most := (4 + 4*len(names)) << 20; allocated > most {
				t.Errorf("%v, %s: %d bytes were allocated, want at most %d", names, kind, allocated, most)
			}
		}
	}
}

// TestAWideWindowOfBrotliMakesTheSame has text that refers far back.
func TestAWideWindowOfBrotliMakesTheSame(t *testing.T) {
	t.Parallel()
	by := newDecoders()
	for _, size := range []int{1, 100, 900 << 10, largestWindow/2 - brotliReserved, largestWindow} {
		once := noise(size)
		plain := append(bytes.Clone(once), once...)
		r, err := by.named("br").reader(bytes.NewReader(encode(t, plain, "br")))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if fits := len(plain) <= largestWindow-brotliReserved; fits != (err == nil && bytes.Equal(got, plain)) {
			t.Errorf("%d bytes twice: %d bytes, %v", size, len(got), err)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("%d bytes twice: something else was made of them", size)
		}
		by.brotli.pool.Put(r)
	}
}
