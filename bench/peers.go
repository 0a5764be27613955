//go:build linux

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// benchToken is what the peers send that cannot obtain one.
const benchToken = "shpat_00000000000000000000000000000000"

// peer is a proxy that is measured.
type peer struct {
	name    string
	version string
	program string
	// start begins to run it in front of an upstream, with its files in a directory of its own. It does not wait.
	start func(p place) (*process, error)
	// shares says that it shares a file with another peer, OpenSSL for example.
	shares bool
	// ready asks whether it says itself that it is ready; nil: it has nothing to ask.
	ready func(p place) bool
	// config is what it was told, for the report.
	config string
}

// place is what a start of a peer has for itself.
type place struct {
	dir, upstream, ca string
	listen, admin     string // host:port
}

// rig is what all measurements share.
type rig struct {
	dir       string
	upstream  *process
	at        addresses
	peers     []*peer // nginx is the first
	evergate  string  // the binary
	starts    int
	logWriter func(format string, a ...any)
}

func newRig(dir string) (*rig, error) {
	r := &rig{dir: dir, logWriter: func(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }}
	if err := writeCertificates(r.file("ca.pem"), r.file("cert.pem"), r.file("key.pem")); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if r.upstream, r.at, err = startUpstream(self, r.file("cert.pem"), r.file("key.pem")); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

// place makes one for the next start.
func (r *rig) place(upstream string) (p place, err error) {
	r.starts++
	p = place{dir: r.file(fmt.Sprintf("start-%d", r.starts)), upstream: upstream, ca: r.file("ca.pem")}
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return p, err
	}
	var err2 error
	p.listen, err = freePort()
	p.admin, err2 = freePort()
	return p, errors.Join(err, err2)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// running is a peer that has answered.
type running struct {
	*process
	*peer
	place
	all      []int // its processes
	answered time.Time
}

// start runs a peer and waits until it has answered a call.
func (r *rig) start(p *peer, upstream string) (*running, error) {
	at, err := r.place(upstream)
	if err != nil {
		return nil, err
	}
	return r.startIn(p, at)
}

func (r *rig) startIn(p *peer, at place) (*running, error) {
	began, err := p.start(at)
	if err != nil {
		return nil, err
	}
	run := &running{process: began, peer: p, place: at}
	if err := run.await(); err != nil {
		began.stop()
		return nil, fmt.Errorf("%s: %w\n%s", p.name, err, began.output.Bytes())
	}
	run.all = began.pids()
	return run, nil
}

// startReady runs a peer and waits until it says that it is ready, or accepts connections where it has no such thing to say. It
// has passed nothing on by then.
func (r *rig) startReady(p *peer, upstream string) (*running, error) {
	at, err := r.place(upstream)
	if err != nil {
		return nil, err
	}
	began, err := p.start(at)
	if err != nil {
		return nil, err
	}
	ready := p.ready
	if ready == nil {
		ready = accepts
	}
	for deadline := time.Now().Add(patience); !ready(at); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			began.stop()
			return nil, fmt.Errorf("%s does not become ready\n%s", p.name, began.output.Bytes())
		}
	}
	return &running{process: began, peer: p, place: at, all: began.pids()}, nil
}

func accepts(p place) bool {
	c, err := net.Dial("tcp", p.listen)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// await asks until there is an answer to be proud of. It is busy while it asks, on the load's core.
func (r *running) await() error {
	var last error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		select {
		case <-r.ended:
			return errors.New("it has ended")
		default:
		}
		c, err := newClient(r.listen, 1, get(smallPath))
		if err != nil {
			last = err
			continue
		}
		_, err = c.once()
		c.close()
		if err == nil {
			r.answered = time.Now()
			return nil
		}
		last = err
	}
	return fmt.Errorf("no answer: %w", last)
}

func get(path string) []byte {
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\r\n", path, shop)
}

// post is a GraphQL call of 2 KiB.
func post(host string) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", graphPath, host, postSize)
	const open, end = `{"query":"query { products(first: 12) { nodes { id title } } }","variables":{"note":"`, `"}}`
	return []byte(head + open + strings.Repeat("x", postSize-len(open)-len(end)) + end)
}

// startUpstream runs the upstream on the load's core and returns where it listens.
func startUpstream(self, certFile, keyFile string) (p *process, at addresses, err error) {
	said, out, err := os.Pipe()
	if err != nil {
		return nil, at, err
	}
	defer func() { _ = said.Close() }()
	p, err = launchWith(loadCore(), nil, out, self, "-serve", "upstream", certFile, keyFile)
	_ = out.Close()
	if err != nil {
		return nil, at, err
	}
	if _, err := fmt.Fscan(said, &at.secure, &at.plain, &at.far); err != nil {
		p.stop()
		return nil, at, fmt.Errorf("the upstream does not say where it is: %w\n%s", err, p.output.Bytes())
	}
	return p, at, nil
}
