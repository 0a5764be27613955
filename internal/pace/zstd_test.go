package pace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// frameOf is the beginning of a frame with this window, and nothing said of its length.
func frameOf(windowLog byte) []byte {
	return append(binary.LittleEndian.AppendUint32(nil, zstdMagic), 0, (windowLog-10)<<3)
}

func appendBlock(frame []byte, last bool, kind, size int, content string) []byte {
	header := kind<<1 | size<<3
	if last {
		header |= 1
	}
	return append(append(frame, byte(header), byte(header>>8), byte(header>>16)), content...)
}

// hostile are zstd bodies that a decoder must not take at their word.
func hostile() map[string][]byte {
	const mib = 1 << 20
	bomb := frameOf(21)
	for range 20_000 { // 2.4 GiB
		bomb = appendBlock(bomb, false, rleBlock, largestBlock, " ")
	}
	swelling := frameOf(27)
	for range 64 {
		swelling = appendBlock(swelling, false, rleBlock, largestBlock, " ")
	}
	single := append(binary.LittleEndian.AppendUint32(nil, zstdMagic), 3<<6|singleSegment)
	empty := frameOf(20)
	for range 80_000 {
		empty = appendBlock(empty, false, rawBlock, 0, "")
	}
	skippable := bytes.Repeat(append(binary.LittleEndian.AppendUint32(nil, skippableMagic), 0, 0, 0, 0), 3_000)
	return map[string][]byte{
		"bomb":               bomb,
		"window of 2 TiB":    appendBlock(frameOf(41), true, rawBlock, 2, "{}"),
		"swelling in 128 M":  swelling,
		"declares 512 MiB":   appendBlock(binary.LittleEndian.AppendUint64(bytes.Clone(single), 512*mib), true, rawBlock, 2, "{}"),
		"declares 2^64-1":    appendBlock(binary.LittleEndian.AppendUint64(bytes.Clone(single), 1<<64-1), true, rawBlock, 2, "{}"),
		"empty blocks":       empty,
		"skippable frames":   skippable,
		"skips 4 GiB":        append(binary.LittleEndian.AppendUint32(nil, skippableMagic), 0xff, 0xff, 0xff, 0xff),
		"many frames":        bytes.Repeat(appendBlock(frameOf(41), true, rleBlock, largestBlock, " "), 20_000),
		"empty deflate":      appendBlock(frameOf(20), false, rleBlock, largestBlock, "\x00"),
		"reserved block":     appendBlock(frameOf(20), true, 3, 1, "\x00"),
		"an unknown dict":    {0x28, 0xb5, 0x2f, 0xfd, 0x03, 0x50, 1, 2, 3, 4, 0x11, 0, 0, '{', '}'},
		"only a magic":       {0x28, 0xb5, 0x2f, 0xfd},
		"header breaks off":  {0x28, 0xb5, 0x2f, 0xfd, 0xe3, 0, 0, 0},
		"not zstd":           []byte("<html>" + strings.Repeat("x", 100)),
		"an older version":   {0x27, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0, 0},
		"checksum missing":   appendBlock([]byte{0x28, 0xb5, 0x2f, 0xfd, hasChecksum, 0x50}, true, rawBlock, 2, "{}"),
		"checksum wrong":     append(appendBlock([]byte{0x28, 0xb5, 0x2f, 0xfd, hasChecksum, 0x50}, true, rawBlock, 2, "{}"), 1, 2, 3, 4),
		"block of 2 MiB":     appendBlock(frameOf(30), true, rleBlock, 2*mib-1, " "),
		"literals of 1 MiB":  appendBlock(frameOf(30), true, 2, 5, "\xfd\xff\xff \x00"),
		"a throttled answer": []byte(zstandard(throttledBody)[:40]),
	}
}

// Not parallel: it counts what the process allocates.
func TestHostileZstdCostsLittleAndPassesUnharmed(t *testing.T) {
	for name, body := range hostile() {
		for _, encoding := range []string{"zstd", "gzip, zstd", "zstd, zstd"} {
			resp := response(200, string(body), "Content-Encoding", encoding)
			p := New(Options{MaxWait: time.Minute})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got, again := do(t, p, GraphQL, "{ a }", resp)
			runtime.ReadMemStats(&after)
			if got != string(body) || again {
				t.Errorf("%s as %s: %d of %d bytes came; a refusal: %v", name, encoding, len(got), len(body), again)
			}
			// What is allocated in all is more than what is held at a time: the body and the copies
			// that do not fit grow by and by.
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 16<<20 {
				t.Errorf("%s as %s: %d KiB were allocated", name, encoding, allocated>>10)
			}
		}
	}
}

// A short answer is compressed with a window of megabytes all the same.
func TestAShortZstdAnswerCostsLittleMemory(t *testing.T) {
	body := zstandard(throttledBody)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := openZstd(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(r)
	runtime.ReadMemStats(&after)
	if string(plain) != throttledBody || err != nil {
		t.Fatalf("%q, %v", plain, err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("%d KiB were allocated", allocated>>10)
	}
}

func TestLargeZstdAnswersAreLearntFrom(t *testing.T) {
	t.Parallel()
	large := strings.Replace(successBody, "Blue", strings.Repeat("x", 5<<20), 1)
	body := compressed(large, func(w io.Writer) io.WriteCloser { return zstdWriter(w, zstd.WithWindowSize(largestWindow)) })
	p := New(Options{MaxWait: time.Minute})
	do(t, p, GraphQL, "{ a }", response(200, body, "Content-Encoding", "zstd"))
	if states := p.States(); len(states) != 1 || states[0].Capacity != 4000 {
		t.Errorf("learnt %+v", states)
	}
}

func readZstd(body []byte) ([]byte, error) {
	r, err := openZstd(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, largestPlain+1))
}

// With a narrower window the decoder makes of a body what it made of it before.
func FuzzZstd(f *testing.F) {
	for _, body := range hostile() {
		if len(body) < 1<<10 {
			f.Add(body)
		}
	}
	long := strings.Repeat(throttledBody+successBody, 300)
	for _, plain := range []string{"", "{}", throttledBody, long} {
		f.Add([]byte(zstandard(plain)))
		f.Add([]byte(zstandard(plain) + "\x55\x2a\x4d\x18\x03\x00\x00\x00abc" + zstandard(plain)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) >= largestCompressed {
			return
		}
		given := bytes.Clone(body)
		got, gotErr := readZstd(body)
		if !bytes.Equal(body, given) {
			t.Fatal("the body itself was changed")
		}
		d, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecodeBuffersBelow(0), zstd.WithDecoderMaxWindow(largestWindow), zstd.WithDecoderMaxMemory(largestWindow))
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		want, wantErr := io.ReadAll(io.LimitReader(d, largestPlain+1))
		if errors.Is(wantErr, zstd.ErrWindowSizeExceeded) || errors.Is(wantErr, zstd.ErrDecoderSizeExceeded) {
			if !bytes.HasPrefix(got, want) {
				t.Fatalf("%q instead of %q", got, want)
			}
			return
		}
		if !bytes.Equal(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%d bytes and %v instead of %d and %v", len(got), gotErr, len(want), wantErr)
		}
	})
}
