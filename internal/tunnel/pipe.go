package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"evergate/internal/clock"
	"evergate/internal/denial"
	"evergate/internal/limit"
	"evergate/internal/netfail"
	"evergate/internal/socket"
)

const (
	// dialTimeout bounds the way to another host, look-up included.
	dialTimeout = 20 * time.Second
	// silence ends a tunnel to another host through which nothing goes either way.
	silence = 10 * time.Minute
	// few bytes are on their way at a time, in each direction; a piece while so many come that the few are not enough, and
	// until for a lull nothing does. A piece is taken from the budget, so that tunnels that are silent do not use it up.
	few   = 512
	piece = 16 << 10
	lull  = 100 * time.Millisecond
	// resting is the silence after which a tunnel to another host is ended by a shutdown.
	resting = 500 * time.Millisecond
)

// connectOther opens a tunnel to another host. The dialled connection decides whether it may be one.
func (s *Server) connectOther(w http.ResponseWriter, r *http.Request, host string) error {
	ctx, stop := context.WithTimeout(r.Context(), dialTimeout)
	defer stop()
	out, err := s.opt.Dial(ctx, net.JoinHostPort(trimBrackets(host), "443"))
	if err != nil {
		return denialOf(host, err)
	}
	in, err := hijack(w)
	if err != nil {
		_ = out.Close()
		return err
	}
	p := &pipe{in: in, out: out, server: s, conn: limit.ConnOf(in)}
	p.conn.CarriesOthers()
	p.moved.Store(clock.Mono())
	if !s.begin(p) {
		p.end()
		return nil
	}
	go func() {
		p.run()
		s.finish(p)
	}()
	return nil
}

func trimBrackets(host string) string {
	if len(host) > 2 && host[0] == '[' {
		return host[1 : len(host)-1]
	}
	return host
}

// ErrNotPublic says that a host's address is on this machine or its network.
var ErrNotPublic = errors.New("its address is on this machine or its network")

func denialOf(host string, err error) error {
	if errors.Is(err, ErrNotPublic) {
		return denial.New(http.StatusForbidden, denial.CodeDeniedConnect,
			"A tunnel leads neither to this machine nor to its network, and "+denial.Quote(host)+" is there. Have the client go there without a proxy (NO_PROXY).")
	}
	status := http.StatusBadGateway
	code := denial.CodeUpstreamUnreachable
	if network, ok := errors.AsType[net.Error](err); ok && network.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		status, code = http.StatusGatewayTimeout, denial.CodeUpstreamTimeout
	}
	return denial.New(status, code, "Evergate cannot connect to "+denial.Quote(host)+": "+netfail.Say(err))
}

// begin takes p in, unless the server is shut down.
func (s *Server) begin(p *pipe) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.pipes[p] = struct{}{}
	s.all.Add(1)
	return true
}

func (s *Server) finish(p *pipe) {
	s.mu.Lock()
	delete(s.pipes, p)
	s.mu.Unlock()
	s.all.Done()
}

// Shutdown ends the tunnels to other hosts: at once those through which nothing goes, the others when ctx ends. Nobody may
// call Connect for a new one any more, or is refused it.
func (s *Server) Shutdown(ctx context.Context) {
	done := make(chan struct{})
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	go func() { s.all.Wait(); close(done) }()
	tick := time.NewTicker(resting / 2)
	defer tick.Stop()
	for {
		s.endThose(func(p *pipe) bool { return ctx.Err() != nil || p.silent() > resting })
		select {
		case <-done:
			return
		case <-ctx.Done():
			s.endThose(func(*pipe) bool { return true })
			<-done
			return
		case <-tick.C:
		}
	}
}

func (s *Server) endThose(which func(*pipe) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.pipes {
		if which(p) {
			p.end()
		}
	}
}

// pipe is a tunnel to another host.
type pipe struct {
	in, out net.Conn
	server  *Server
	conn    *limit.Conn // in, as it is counted; may be nil
	moved   atomic.Int64
	once    sync.Once
}

func (p *pipe) silent() time.Duration { return time.Duration(clock.Mono() - p.moved.Load()) }

// end closes both ends.
func (p *pipe) end() {
	p.once.Do(func() {
		_ = p.in.Close()
		_ = p.out.Close()
	})
}

// run copies both ways until both have ended, one has failed, or nothing has gone through for long.
func (p *pipe) run() {
	var other sync.WaitGroup
	other.Go(func() { p.copy(p.out, p.in) })
	p.copy(p.in, p.out)
	other.Wait()
	p.end()
}

// copy passes on what src says until it ends, and tells dst that it has.
func (p *pipe) copy(dst, src net.Conn) {
	buf := make([]byte, few)
	for {
		n, ok := p.step(dst, src, buf, silence)
		if !ok || n == few && !p.copyMuch(dst, src) {
			return
		}
	}
}

// copyMuch is copy for as long as much comes. It reports false when nothing more does.
func (p *pipe) copyMuch(dst, src net.Conn) bool {
	s := p.server
	if !s.opt.Memory.Take(piece) {
		return true
	}
	defer s.opt.Memory.Give(piece)
	buf := s.pieces.Get().(*[piece]byte) //nolint:forcetypeassert // there is nothing else in it
	defer s.pieces.Put(buf)
	for {
		if n, ok := p.step(dst, src, buf[:], lull); !ok || n == 0 {
			return ok
		}
	}
}

// step passes on what src says next. It reports false when nothing more is to come, or to be passed on.
func (p *pipe) step(dst, src net.Conn, buf []byte, within time.Duration) (n int, ok bool) {
	_ = src.SetReadDeadline(time.Now().Add(within))
	n, err := src.Read(buf)
	if n > 0 {
		p.moved.Store(clock.Mono())
		p.conn.Moved()
		_ = dst.SetWriteDeadline(time.Now().Add(silence))
		if _, err := dst.Write(buf[:n]); err != nil {
			p.end()
			return n, false
		}
	}
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded) && p.silent() < silence: // the other way is not silent
		return n, true
	case errors.Is(err, io.EOF):
		if closeWrite(dst) != nil {
			p.end()
		}
	default:
		p.end()
	}
	return n, false
}

// closeWrite tells the other side that nothing more comes.
func closeWrite(c net.Conn) error {
	for layer := c; layer != nil; layer = socket.Below(layer) {
		if w, ok := layer.(interface{ CloseWrite() error }); ok {
			return w.CloseWrite()
		}
	}
	return errors.ErrUnsupported
}
