package process

import (
	"bytes"
	"sync"
)

// Tape keeps everything that is written to it and tells when there is more. The zero Tape
// is empty and ready.
type Tape struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	more chan struct{} // closed at the next write; nil when nobody waits
}

// Write implements io.Writer.
func (p *Tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more != nil {
		close(p.more)
		p.more = nil
	}
	return p.buf.Write(b)
}

// String returns what is there.
func (p *Tape) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// Next returns what is there and a channel that is closed when there is more.
func (p *Tape) Next() (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more == nil {
		p.more = make(chan struct{})
	}
	return p.buf.String(), p.more
}
