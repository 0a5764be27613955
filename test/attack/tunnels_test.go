//go:build linux

package attack

import (
	"bytes"
	"crypto/tls"
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"evergate/test/process"

	"golang.org/x/net/http2/hpack"
)

const (
	shop    = "acme.myshopify.com"
	connect = "CONNECT " + shop + ":443 HTTP/1.1\r\nHost: " + shop + ":443\r\n\r\n"
)

// startTunnels serves tunnels to the shop with a local CA that ends with the process.
func startTunnels(t *testing.T, descriptors int, settings ...string) (*sidecar, *tls.Config) {
	t.Helper()
	s := start(t, descriptors, append(settings, "EVERGATE_CA_DIR=memory:")...)
	_, roots := process.LocalCA(t, s.admin)
	// Without a cache of sessions each handshake is a whole one.
	return s, &tls.Config{RootCAs: roots, ServerName: shop, MinVersion: tls.VersionTLS13}
}

// openTunnel opens a tunnel to the shop.
func openTunnel(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(answered))
	return process.OpenTunnel(c, connect)
}

// secured speaks TLS in a tunnel.
func secured(c net.Conn, config *tls.Config, protocol string) (*tls.Conn, error) {
	if err := openTunnel(c); err != nil {
		return nil, err
	}
	own := config.Clone()
	own.NextProtos = []string{protocol}
	inner := tls.Client(c, own)
	return inner, inner.Handshake()
}

// mustHoldLittle looks at the descriptors that are open, and logs the most memory that was needed; the cgroup bounds that.
func (s *sidecar) mustHoldLittle(t *testing.T, descriptors int) {
	t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if len(open) > descriptors {
		t.Errorf("%d descriptors are open, of %d", len(open), descriptors)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmHWM:") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

func TestTunnelsInWhichNobodySpeaks(t *testing.T) {
	s, _ := startTunnels(t, plenty)
	s.attack(t, 3000, func(c net.Conn, _ int) { _ = openTunnel(c) })
	s.survives(t, http.MethodGet, api+"shop.json", "")
	s.mustHoldLittle(t, plenty)
}

func TestTunnelsWhoseHandshakesDoNotEnd(t *testing.T) {
	s, _ := startTunnels(t, plenty)
	hello := clientHello(t)
	s.attack(t, 3000, func(c net.Conn, i int) {
		if openTunnel(c) == nil {
			_, _ = c.Write(hello[:len(hello)-i%2*len(hello)/2])
		}
	})
	s.survives(t, http.MethodGet, api+"shop.json", "")
	if n := len(s.Err.String()); n > mostLog {
		t.Errorf("the log has %d bytes", n)
	}
}

func TestTunnelsThatAskedOnce(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(strings.ReplaceAll(protocol, "/", ""), func(t *testing.T) {
			s, config := startTunnels(t, plenty)
			s.attack(t, 1500, func(c net.Conn, _ int) {
				inner, err := secured(c, config, protocol)
				switch {
				case err != nil:
				case protocol == "h2":
					_ = newStranger(inner).ask(true, pseudo("GET", api+"shop.json")...)
				default:
					_ = request(inner, "GET "+api+"shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
				}
			})
			s.survives(t, http.MethodGet, api+"shop.json", "")
			s.mustHoldLittle(t, plenty)
		})
	}
}

// pseudo is the pseudo-header of a request, and what comes behind it.
func pseudo(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", shop, ":path", path}, more...)
}

// stranger is a client of HTTP/2 that says what it is told to and acknowledges nothing.
type stranger struct {
	io.ReadWriter
	block bytes.Buffer
	enc   *hpack.Encoder
	next  uint32
}

func newStranger(c io.ReadWriter) *stranger {
	s := &stranger{ReadWriter: c, next: 1}
	s.enc = hpack.NewEncoder(&s.block)
	_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	_ = s.frame(4, 0, 0, nil)
	return s
}

func (s *stranger) frame(kind, flags byte, id uint32, payload []byte) error {
	n := len(payload)
	b := append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, bigendian.BigEndian.AppendUint32(nil, id)...)
	_, err := s.Write(append(b, payload...))
	return err
}

// fields makes a block, name and value in turn.
func (s *stranger) fields(all ...string) []byte {
	s.block.Reset()
	for i := 0; i+1 < len(all); i += 2 {
		_ = s.enc.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]})
	}
	return s.block.Bytes()
}

// begin opens a stream whose header fits into one frame, or into several.
func (s *stranger) begin(end bool, all ...string) (id uint32, err error) {
	const most = 16 << 10
	id = s.next
	s.next += 2
	block := s.fields(all...)
	flags := byte(0)
	if end {
		flags = 1
	}
	first, rest := block[:min(most, len(block))], block[min(most, len(block)):]
	if len(rest) == 0 {
		flags |= 4
	}
	err = s.frame(1, flags, id, first)
	for err == nil && len(rest) > 0 {
		n := min(most, len(rest))
		flags = 0
		if n == len(rest) {
			flags = 4
		}
		err = s.frame(9, flags, id, rest[:n])
		rest = rest[n:]
	}
	return id, err
}

// ask opens a stream and waits for the end of its answer.
func (s *stranger) ask(end bool, all ...string) error {
	id, err := s.begin(end, all...)
	if err != nil {
		return err
	}
	for {
		var head [9]byte
		if _, err := io.ReadFull(s, head[:]); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, s, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return err
		}
		if kind := head[3]; bigendian.BigEndian.Uint32(head[5:]) == id && (kind < 2 && head[4]&1 != 0 || kind == 3) {
			return nil
		}
	}
}

// floods are what a client of HTTP/2 can do on each of its connections.
var floods = []struct {
	name  string
	conns int
	act   func(*stranger) error
}{
	{"rapid reset", 32, func(s *stranger) error {
		for range 2000 {
			id, err := s.begin(true, pseudo("GET", long)...)
			if err = errors.Join(err, s.frame(3, 0, id, []byte{0, 0, 0, 8})); err != nil {
				return err
			}
		}
		return nil
	}},
	{"streams whose answers nobody reads", 400, func(s *stranger) error {
		for range 100 {
			if _, err := s.begin(true, pseudo("GET", long)...); err != nil {
				return err
			}
		}
		return nil
	}},
	{"streams whose bodies never end", 400, func(s *stranger) error {
		for range 100 {
			id, err := s.begin(false, pseudo("POST", graphQL, "content-type", "application/json")...)
			if err = errors.Join(err, s.frame(0, 0, id, []byte("{"))); err != nil {
				return err
			}
		}
		return nil
	}},
	{"a bomb of indexed fields", 100, func(s *stranger) error {
		if _, err := s.begin(true, pseudo("GET", long, "x-a", strings.Repeat("a", 3<<10))...); err != nil {
			return err
		}
		for range 100 {
			block := append(bytes.Clone(s.fields(pseudo("GET", long)...)), bytes.Repeat([]byte{0x80 | 62}, 8<<10)...) // the newest entry, 8192 times
			id := s.next
			s.next += 2
			if err := s.frame(1, 5, id, block); err != nil {
				return err
			}
		}
		return nil
	}},
	{"large headers of many streams at once", 200, func(s *stranger) error {
		large := strings.Repeat("a", 100<<10)
		for range 100 {
			if _, err := s.begin(true, pseudo("GET", long, "x-a", large)...); err != nil {
				return err
			}
		}
		return nil
	}},
	{"many empty fields of many streams at once", 200, func(s *stranger) error {
		var empty []string
		for i := range 900 {
			empty = append(empty, "x-"+strconv.Itoa(i), "")
		}
		for range 100 {
			if _, err := s.begin(true, pseudo("GET", long, empty...)...); err != nil {
				return err
			}
		}
		return nil
	}},
	{"a header that goes on without end", 100, func(s *stranger) error {
		err := s.frame(1, 1, 1, s.fields(pseudo("GET", long)...))
		for i := 0; err == nil && i < 2000; i++ {
			err = s.frame(9, 0, 1, s.fields("x-a", strings.Repeat("a", 8<<10)))
		}
		return err
	}},
	{"pings, settings and windows", 64, func(s *stranger) (err error) {
		for i := 0; err == nil && i < 5000; i++ {
			err = errors.Join(s.frame(6, 0, 0, make([]byte, 8)), s.frame(4, 0, 0, []byte{0, 4, 0, 0, 0, byte(i)}), s.frame(8, 0, 0, []byte{0, 0, 0, 1}))
		}
		return err
	}},
	{"windows that never open", 400, func(s *stranger) error {
		if err := s.frame(4, 0, 0, []byte{0, 4, 0, 0, 0, 0}); err != nil { // SETTINGS_INITIAL_WINDOW_SIZE: 0
			return err
		}
		for i := range 100 {
			if _, err := s.begin(true, pseudo("GET", []string{long, api + "shop.json"}[i%2])...); err != nil {
				return err
			}
		}
		return nil
	}},
	{"bodies that fill every window", 400, func(s *stranger) error {
		for range 4 {
			id, err := s.begin(false, pseudo("POST", graphQL, "content-type", "application/json", "content-length", "1048576")...)
			for i := 0; err == nil && i < 4; i++ {
				err = s.frame(0, 0, id, make([]byte, 16<<10-1))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}},
}

func TestFloodsOfHTTP2(t *testing.T) {
	const descriptors = 256
	for _, f := range floods {
		t.Run(strings.ReplaceAll(f.name, " ", "-"), func(t *testing.T) {
			s, config := startTunnels(t, descriptors)
			s.attack(t, f.conns, func(c net.Conn, _ int) {
				if inner, err := secured(c, config, "h2"); err == nil {
					_ = f.act(newStranger(inner))
				}
			})
			s.survives(t, http.MethodPost, graphQL, query)
			s.mustHoldLittle(t, descriptors)
			if n := len(s.Err.String()); n > mostLog {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}
