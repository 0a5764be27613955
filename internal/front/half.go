package front

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"evergate/internal/socket"
)

// A client whose sending has ended may be gone, or have said all that it has to say and wait for its answer: both look the same. It is asked.
// Where nobody reads any more, what is sent brings the end of the connection, and the next write, or read, fails of it. What is sent is an interim answer,
// which a client of HTTP/1.1 reads past (RFC 9110, section 15.2); those that know one kind only know this one.

const (
	// answersAsk is how long the kernel of a client that is gone, on the same machine or one beside it, may take to say so when it has been asked.
	answersAsk = 10 * time.Millisecond
	// firstAsk is how long a client that has been asked once is left alone until it is asked again.
	firstAsk = 250 * time.Millisecond
	// longestAsk is how long it is left alone between two interim answers at most. From the first to that each pause is twice the one before.
	longestAsk = 8 * time.Second
	// unasked is how long one is waited for that cannot be asked, because HTTP/1.0 has no interim answers.
	unasked = 5 * time.Second
	// unwritten is how long an answer that has begun may have nothing to write, in which nobody can be asked either, before the client is taken to be gone.
	unwritten = 10 * time.Second
)

var (
	interim  = []byte("HTTP/1.1 100 Continue\r\n\r\n")
	interims = []byte("HTTP/1.1 1") // what all interim answers begin with
)

// half asks a client whose sending has ended whether it is there. Its zero value is of use.
type half struct {
	mu      sync.Mutex
	begun   bool // the answer has
	writing bool // a piece of it is being written
	moved   bool // or has been since somebody looked
	mute    bool // the client knows no interim answers
}

// write writes to the client. Nothing comes between the pieces of an answer.
func (h *half) write(client io.Writer, p []byte) (int, error) {
	h.mark(p, true)
	defer h.mark(nil, false)
	return client.Write(p)
}

func (h *half) mark(p []byte, writing bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writing, h.moved = writing, true
	h.begun = h.begun || writing && !bytes.HasPrefix(p, interims)
}

// silence says that the client knows no interim answers.
func (h *half) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mute = true
}

// wait returns nil when the request is over, or an error when the client is gone. It is asked at once: a request that waits here for a token or for the rate
// limit is not to be sent when nobody waits for it any more.
func (h *half) wait(client net.Conn, over <-chan struct{}) error {
	if err := h.look(client, 0, true); err != nil {
		return err
	}
	tick := time.NewTicker(answersAsk)
	defer tick.Stop()
	still, next, pause := time.Duration(0), firstAsk, firstAsk // how long nothing has been written, and when it is asked
	for first := true; ; first = false {
		select {
		case <-over:
			return nil
		case <-tick.C:
		}
		if err := lost(client); err != nil {
			return err
		}
		if first {
			tick.Reset(firstAsk)
			continue
		}
		if still += firstAsk; h.moves() {
			still, next, pause = 0, firstAsk, firstAsk
		}
		asks := still >= next
		if asks {
			pause = min(2*pause, longestAsk)
			next += pause
		}
		if err := h.look(client, still, asks); err != nil {
			return err
		}
	}
}

// moves reports whether anything has been written since it was asked last, or is being written, which fails by itself.
func (h *half) moves() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	moved := h.moved || h.writing
	h.moved = false
	return moved
}

// look asks the client, if it can be asked and is to be, and returns an error when it is taken to be gone.
func (h *half) look(client net.Conn, still time.Duration, asks bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.begun && still >= unwritten, h.mute && !h.begun && still >= unasked:
		return io.EOF
	case h.begun, h.mute, !asks:
		return nil
	}
	_, err := client.Write(interim)
	return err
}

// lost returns why a connection on which the end has been read has ended on our side as well: the client's kernel refused what was sent, or somebody here has
// closed it. Behind the end that it has sent Linux tells a reader of no refusal, but who writes, even if it is nothing. In TLS the end may be that of TLS
// alone, and what is below would wait: it is not read.
func lost(client net.Conn) error {
	below := socket.Innermost(client)
	if _, ok := below.(syscall.Conn); ok {
		if _, err := below.Write(nil); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	if _, secured := client.(*tls.Conn); secured {
		return nil
	}
	var b [1]byte
	_, err := client.Read(b[:])
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}
