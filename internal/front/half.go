package front

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// A client whose sending has ended may be gone, or have said all that it has to say and wait for its answer: both look the same. It is asked.
// Where nobody reads any more, what is sent brings the end of the connection, and the next write fails of it. What is sent is an interim answer,
// which a client of HTTP/1.1 reads past (RFC 9110, section 15.2); those that know one kind only know this one.

const (
	// firstAsk is how long such a client is left alone: most are answered by then.
	firstAsk = 250 * time.Millisecond
	// longestAsk is how long it is left alone between two interim answers at most. From the first to that each pause is twice the one before.
	longestAsk = 8 * time.Second
	// unasked is how long one is waited for that cannot be asked, because HTTP/1.0 has no interim answers.
	unasked = 5 * time.Second
)

var (
	interim  = []byte("HTTP/1.1 100 Continue\r\n\r\n")
	interims = []byte("HTTP/1.1 1") // what all interim answers begin with
)

// half asks a client whose sending has ended whether it is there. Its zero value is of use.
type half struct {
	mu    sync.Mutex
	begun bool // the answer has
	mute  bool // the client knows no interim answers
}

// writes is told what is about to be written to the client. Nothing comes between the pieces of an answer.
func (h *half) writes(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun = h.begun || !bytes.HasPrefix(p, interims)
}

// silence says that the client knows no interim answers.
func (h *half) silence() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mute = true
}

// wait returns nil when the request is over, or an error when the client is gone. Once the answer has begun it is its writes that fail.
func (h *half) wait(client io.Writer, over <-chan struct{}) error {
	for pause := firstAsk; passes(pause, over); pause = min(2*pause, longestAsk) {
		begun, mute, err := h.ask(client)
		if mute && !begun {
			if !passes(unasked-firstAsk, over) {
				return nil
			}
			if begun, _, _ = h.ask(client); !begun {
				return io.EOF
			}
		}
		switch {
		case err != nil:
			return err
		case begun:
			<-over
			return nil
		}
	}
	return nil
}

// ask asks the client, if it can be asked.
func (h *half) ask(client io.Writer) (begun, mute bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.begun && !h.mute {
		_, err = client.Write(interim)
	}
	return h.begun, h.mute, err
}

// passes reports whether so much time passes before the request is over.
func passes(d time.Duration, over <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-over:
		return false
	case <-timer.C:
		return true
	}
}
