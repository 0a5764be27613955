//go:build linux

package kill

import (
	"encoding/binary"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// moment is when a process is killed.
type moment string

const (
	atRandom    moment = "at_random"    // anywhere in the cycle
	burst       moment = "burst"        // right after the start
	noteBegun   moment = "note_begun"   // the note's temporary file has been made
	noteWritten moment = "note_written" // the note is in its place, the request is about to be sent
	neverSent   moment = "never_sent"   // the request was sent and does not arrive
	sentLate    moment = "sent_late"    // the request arrives when others have refreshed since
	committed   moment = "committed"    // Shopify has replaced the refresh token, the answer has not been sent
	answered    moment = "answered"     // the answer has been sent
	pairBegun   moment = "pair_begun"   // the pair's temporary file has been made
	pairWritten moment = "pair_written" // the pair is in its place, its token was never used
)

// aimed are the moments that something announces.
var aimed = []moment{noteBegun, noteWritten, neverSent, sentLate, committed, answered, pairBegun, pairWritten}

// trap kills a process at a moment.
type trap struct {
	mu     sync.Mutex
	at     moment
	victim *sidecar
	sprung chan struct{}
	late   chan struct{} // holds back a request that is to arrive late
	onPost func()        // called when a request for a token arrives; may be nil
	held   int64         // requests that are held back
	owed   bool          // Shopify has committed something that has not been written
}

// set arms the trap and returns a channel that is closed when it has killed.
func (p *trap) set(at moment, victim *sidecar) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at, p.victim, p.sprung = at, victim, make(chan struct{})
	if at == sentLate {
		p.late = make(chan struct{})
	}
	return p.sprung
}

// release lets a request arrive that was held back.
func (p *trap) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.late != nil {
		close(p.late)
		p.late = nil
	}
}

// spring kills if it is the moment. The caller holds mu.
func (p *trap) spring(now moment) bool {
	if p.victim == nil || p.at != now {
		return false
	}
	_ = p.victim.Cmd.Process.Kill()
	close(p.sprung)
	p.victim = nil
	return true
}

// onArrival has f called for every request for a token that arrives from now on.
func (p *trap) onArrival(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.onPost = f
}

// is reports whether it is the victim who uses this way to Shopify.
func (p *trap) is(url string) bool { return p.victim != nil && p.victim.upstream == url }

// arrived is told of a request for a token. False means that it is to be forgotten.
func (p *trap) arrived(url string, over <-chan struct{}) bool {
	p.mu.Lock()
	if p.is(url) && p.spring(neverSent) {
		p.mu.Unlock()
		return false
	}
	late, onPost := p.late, p.onPost
	hold := p.is(url) && p.spring(sentLate)
	if hold {
		p.held++
	}
	p.mu.Unlock()
	if onPost != nil {
		onPost()
	}
	if hold {
		select {
		case <-late:
		case <-over:
		}
		p.mu.Lock()
		p.held--
		p.mu.Unlock()
	}
	return true
}

// holding is how many requests are held back.
func (p *trap) holding() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.held
}

// minted is told that Shopify has committed.
func (p *trap) minted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owed = true
}

// committed is told that an answer is about to be sent.
func (p *trap) committed(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owed && p.is(url) {
		p.spring(committed)
	}
}

func (p *trap) answered(url string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.is(url) {
		p.spring(answered)
	}
}

// changed is told what happens in the store's directory: the first write after a commit is
// that of the pair, any other is a note.
func (p *trap) changed(name string, renamed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case strings.HasSuffix(name, ".tmp") && !renamed && p.owed:
		p.spring(pairBegun)
	case strings.HasSuffix(name, ".tmp") && !renamed:
		p.spring(noteBegun)
	case strings.HasSuffix(name, ".json") && renamed && p.owed:
		p.spring(pairWritten)
		p.owed = false
	case strings.HasSuffix(name, ".json") && renamed:
		p.spring(noteWritten)
	}
}

// watch has the trap see the directory until the test ends.
func (p *trap) watch(t *testing.T, dir string) {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_CREATE|syscall.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	ended := make(chan struct{})
	t.Cleanup(func() { _ = f.Close(); <-ended })
	go func() {
		defer close(ended)
		buf := make([]byte, 64<<10)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return
			}
			// struct inotify_event: wd, mask, cookie, len, name
			for b := buf[:n]; len(b) >= syscall.SizeofInotifyEvent; {
				mask, size := binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[12:])
				end := syscall.SizeofInotifyEvent + int(size)
				name := strings.TrimRight(string(b[syscall.SizeofInotifyEvent:end]), "\x00")
				p.changed(name, mask&syscall.IN_MOVED_TO != 0)
				b = b[end:]
			}
		}
	}()
}
