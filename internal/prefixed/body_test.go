package prefixed

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestEveryByteIsServedOnceHoweverMuchWasRead(t *testing.T) {
	t.Parallel()
	const text = "the quick brown fox"
	for limit := range len(text) + 2 {
		b := Read(io.NopCloser(strings.NewReader(text)), limit)
		if got, want := string(b.Prefix), text[:min(limit, len(text))]; got != want {
			t.Errorf("a limit of %d: the prefix is %q, want %q", limit, got, want)
		}
		if got, want := b.Whole(), limit > len(text); got != want {
			t.Errorf("a limit of %d: whole %v", limit, got)
		}
		if err := iotest.TestReader(b, []byte(text)); err != nil {
			t.Errorf("a limit of %d: %v", limit, err)
		}
	}
}

func TestWhatBrokeTheBodyOffComesAfterItsBytes(t *testing.T) {
	t.Parallel()
	reset := errors.New("connection reset")
	b := Read(io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(reset))), 100)
	got, err := io.ReadAll(b)
	if string(got) != "half" || !errors.Is(err, reset) || b.Whole() {
		t.Errorf("%q, %v, whole %v", got, err, b.Whole())
	}
}

func TestTheEndComesWithTheLastBytes(t *testing.T) {
	t.Parallel()
	b := Read(io.NopCloser(strings.NewReader("short")), 100)
	p := make([]byte, 32)
	if n, err := b.Read(p); n != 5 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type closeCounter struct {
	io.Reader
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestCloseClosesTheRestAndServesNothingMore(t *testing.T) {
	t.Parallel()
	rest := &closeCounter{Reader: bytes.NewReader(nil)}
	b := &Body{Prefix: []byte("left over"), Rest: rest}
	if err := b.Close(); err != nil || rest.closed != 1 {
		t.Errorf("%v, closed %d times", err, rest.closed)
	}
	if n, err := b.Read(make([]byte, 32)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes after Close, %v", n, err)
	}
}

func TestWhatIsHereIsTakenOnce(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]error{100: io.EOF, 4: nil} {
		b := Read(io.NopCloser(strings.NewReader("the quick")), limit)
		here, err := b.Here()
		rest, restErr := io.ReadAll(b)
		if string(here)+string(rest) != "the quick" || !errors.Is(err, want) || restErr != nil || len(b.Prefix) > 0 {
			t.Errorf("a limit of %d: %q, %v, and then %q, %v", limit, here, err, rest, restErr)
		}
	}
}
