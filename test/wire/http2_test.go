package wire

import (
	"bytes"
	"crypto/x509"
	bigendian "encoding/binary"
	"errors"
	"fmt"
	"go/version"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"evergate/test/corpus"
)

// The types and flags of frames that are sent or looked at here (RFC 9113, 6).
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameWindow, frameMore = 0, 1, 3, 4, 6, 7, 8, 9

	flagEnd, flagAck, flagEndHeaders = 1, 1, 4

	protocolError = 1
)

// stranger is a client of HTTP/2 that says what it is told to, right or wrong.
type stranger struct {
	conn  net.Conn
	block bytes.Buffer
	enc   *hpack.Encoder
	dec   *hpack.Decoder
	next  uint32
	ended map[uint32]string // how streams have ended
	parts map[uint32]string // what has come of them
	away  bool              // a GOAWAY has come that names no error
}

// stranger opens a tunnel for one. fields are further header lines of its CONNECT.
func (s *sidecar) stranger(t testing.TB, roots *x509.CertPool, fields string) *stranger {
	t.Helper()
	return strangerOn(t, s.inside(t, roots, "h2", fields))
}

// strangerOn begins to speak on a connection.
func strangerOn(t testing.TB, conn net.Conn) *stranger {
	t.Helper()
	c := &stranger{conn: conn, next: 1, dec: hpack.NewDecoder(4096, nil), ended: map[uint32]string{}, parts: map[uint32]string{}}
	c.enc = hpack.NewEncoder(&c.block)
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	if _, err := io.WriteString(c.conn, preface); err != nil {
		t.Fatal(err)
	}
	if err := c.send(frameSettings, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// send sends a frame.
func (c *stranger) send(kind, flags byte, id uint32, payload []byte) error {
	n := len(payload)
	frame := append([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags}, bigendian.BigEndian.AppendUint32(nil, id)...)
	_, err := c.conn.Write(append(frame, payload...))
	return err
}

// encode makes a block of fields, name and value in turn.
func (c *stranger) encode(fields ...string) []byte {
	c.block.Reset()
	for i := 0; i+1 < len(fields); i += 2 {
		_ = c.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(c.block.Bytes())
}

// begin opens a stream.
func (c *stranger) begin(end bool, fields ...string) (id uint32, err error) {
	id = c.next
	c.next += 2
	flags := byte(flagEndHeaders)
	if end {
		flags |= flagEnd
	}
	return id, c.send(frameHeaders, flags, id, c.encode(fields...))
}

// data sends a part of a body.
func (c *stranger) data(id uint32, end bool, part string) error {
	flags := byte(0)
	if end {
		flags = flagEnd
	}
	return c.send(frameData, flags, id, []byte(part))
}

// step reads a frame and acts on it as a client does.
func (c *stranger) step() error {
	var head [9]byte
	if _, err := io.ReadFull(c.conn, head[:]); err != nil {
		return err
	}
	payload := make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	if _, err := io.ReadFull(c.conn, payload); err != nil {
		return err
	}
	flags, id := head[4], bigendian.BigEndian.Uint32(head[5:])
	switch kind := head[3]; {
	case kind == frameSettings && flags&flagAck == 0:
		return c.send(frameSettings, flagAck, 0, nil)
	case kind == framePing && flags&flagAck == 0:
		return c.send(framePing, flagAck, 0, payload)
	case kind == frameHeaders:
		fields, err := c.dec.DecodeFull(payload) // Evergate's answers to what is asked here fit into one frame
		if err != nil {
			return err
		}
		if len(fields) > 0 && fields[0].Name == ":status" {
			c.parts[id] = fields[0].Value
		}
	case kind == frameData && len(payload) > 0:
		more := bigendian.BigEndian.AppendUint32(nil, uint32(len(payload)))
		if err := errors.Join(c.send(frameWindow, 0, 0, more), c.send(frameWindow, 0, id, more)); err != nil {
			return err
		}
	case kind == frameReset:
		c.finish(id, resetBy(bigendian.BigEndian.Uint32(payload)))
	case kind == frameGoAway:
		if code := bigendian.BigEndian.Uint32(payload[4:]); code != 0 {
			return errors.New("GOAWAY " + resetBy(code))
		}
		c.away = true
	}
	if kind := head[3]; (kind == frameHeaders || kind == frameData) && flags&flagEnd != 0 {
		c.finish(id, c.parts[id])
	}
	return nil
}

// resetBy names an error code.
func resetBy(code uint32) string {
	if code == protocolError {
		return reset
	}
	return fmt.Sprintf("error %d", code)
}

func (c *stranger) finish(id uint32, how string) {
	if c.ended[id] == "" { // an answer may be followed by a RST_STREAM that says that the rest of the body is not wanted
		c.ended[id] = how
	}
}

// outcome is the status of a stream's answer, or how it, or the connection, has ended.
func (c *stranger) outcome(id uint32) string {
	for c.ended[id] == "" {
		if err := c.step(); err != nil {
			return err.Error()
		}
	}
	return c.ended[id]
}

// pseudo is the pseudo-header of a request, and what comes behind it.
func pseudo(method, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", shopDomain, ":path", path}, more...)
}

const p = api + "/p.json"

// without drops a field.
func without(fields []string, name string) (rest []string) {
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != name {
			rest = append(rest, fields[i], fields[i+1])
		}
	}
	return rest
}

// with has a field of fields have another value.
func with(fields []string, name, value string) []string {
	fields = slices.Clone(fields)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] == name {
			fields[i+1] = value
		}
	}
	return fields
}

var (
	get2  = pseudo("GET", p)
	post2 = pseudo("POST", p)
)

const (
	none  = "\x00" // no DATA: the stream ends with its header
	reset = "PROTOCOL_ERROR"
	// Where an answer needs no body, it may cross the body, with which something is wrong: whichever is first counts.
	crossed  = "400, or PROTOCOL_ERROR"
	atOnce   = "200, or PROTOCOL_ERROR"
	smuggle1 = "GET /admin/api/2026-10/hidden.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
)

// downgrades are requests of HTTP/2 that could be others in HTTP/1.1. A malformed one is a stream's error, of the type
// PROTOCOL_ERROR, or answered with 400 (RFC 9113, 8.1.1): which of them, is each case's own.
var downgrades = []struct {
	name    string
	fields  []string
	data    string
	outcome string
	arrives []string
}{
	{"a request", get2, none, "200", []string{"GET /p.json"}},
	{"a body", post2, "hello", "200", []string{"POST /p.json hello"}},
	{"a body of a declared length", append(post2[:8:8], "content-length", "5"), "hello", "200", []string{"POST /p.json hello"}},
	{"a body of nothing", post2, "", "200", []string{"POST /p.json"}},
	{"a method of one's own", with(get2, ":method", "QUERY"), none, "200", []string{"QUERY /p.json"}},
	{"a query", with(get2, ":path", p+"?a=%20b"), none, "200", []string{"GET /p.json?a=%20b"}},
	{"raw bytes", with(get2, ":path", api+"/\xc3\xa9.json"), none, "200", []string{"GET /\xc3\xa9.json"}},
	{"te of trailers", append(get2[:8:8], "te", "trailers"), none, "200", []string{"GET /p.json"}},
	{"credentials of a client's", append(get2[:8:8], "authorization", "Bearer x", "proxy-authorization", "Basic eDp5", "x-shopify-access-token", "shpat_x", "cookie", "a=b", "cookie", "c=d"), none, "200", []string{"GET /p.json"}},
	{"underscores", append(get2[:8:8], "x_shopify_access_token", "x", "content_length", "5", "proxy_authorization", "x", "transfer_encoding", "chunked"), none, "200", []string{"GET /p.json"}},
	{"the same host twice", append(get2[:8:8], "host", shopDomain), none, "200", []string{"GET /p.json"}},
	{"a host alone", append(without(get2, ":authority"), "host", shopDomain), none, "200", []string{"GET /p.json"}},

	{"content-length too large", append(post2[:8:8], "content-length", "6"), "hello", "400", nil},
	{"content-length too small", append(post2[:8:8], "content-length", "4"), "hello", reset, nil},
	{"content-length without a body", append(post2[:8:8], "content-length", "5"), none, reset, nil},
	{"content-length twice", append(post2[:8:8], "content-length", "5", "content-length", "5"), "hello", "200", []string{"POST /p.json hello"}},
	{"content-length twice and different", append(post2[:8:8], "content-length", "5", "content-length", "6"), "hello", reset, nil},
	{"content-length that is none", append(post2[:8:8], "content-length", "abc"), "hello", crossed, nil},
	{"content-length that is none, and no body", append(post2[:8:8], "content-length", "abc"), "", "400", nil},
	{"content-length with a sign", append(post2[:8:8], "content-length", "+5"), "hello", crossed, nil},
	{"content-length with a sign, and no body", append(post2[:8:8], "content-length", "+5"), "", "400", nil},
	{"content-length in hex", append(post2[:8:8], "content-length", "0x5"), "hello", crossed, nil},
	{"content-length in hex, and no body", append(post2[:8:8], "content-length", "0x5"), "", "400", nil},
	{"content-length that is negative", append(post2[:8:8], "content-length", "-1"), "hello", crossed, nil},
	{"content-length that is negative, and no body", append(post2[:8:8], "content-length", "-1"), "", "400", nil},
	{"content-length with a list", append(post2[:8:8], "content-length", "5, 5"), "hello", crossed, nil},
	{"content-length with a list, and no body", append(post2[:8:8], "content-length", "5, 5"), "", "400", nil},
	{"content-length beyond 64 bits", append(post2[:8:8], "content-length", "18446744073709551621"), "hello", crossed, nil},
	{"content-length beyond 64 bits, and no body", append(post2[:8:8], "content-length", "18446744073709551621"), "", "400", nil},
	{"transfer-encoding", append(post2[:8:8], "transfer-encoding", "chunked"), "0\r\n\r\n" + smuggle1, "400", nil},
	{"transfer-encoding of identity", append(post2[:8:8], "transfer-encoding", "identity"), smuggle1, "400", nil},
	{"connection", append(get2[:8:8], "connection", "x-shopify-access-token"), none, "400", nil},
	{"connection: close", append(get2[:8:8], "connection", "close"), none, "400", nil},
	{"proxy-connection", append(get2[:8:8], "proxy-connection", "close"), none, "400", nil},
	{"keep-alive", append(get2[:8:8], "keep-alive", "5"), none, "400", nil},
	{"upgrade", append(get2[:8:8], "upgrade", "h2c"), none, "400", nil},
	{"te of something else", append(get2[:8:8], "te", "gzip"), none, "400", nil},

	{"a line end in a value", append(get2[:8:8], "x-a", "b\r\nx-b: c"), none, reset, nil},
	{"a request in a value", append(get2[:8:8], "x-a", "b\r\n\r\n"+smuggle1), none, reset, nil},
	{"a bare LF in a value", append(get2[:8:8], "x-a", "b\nx-b: c"), none, reset, nil},
	{"a bare CR in a value", append(get2[:8:8], "x-a", "b\rx-b: c"), none, reset, nil},
	{"a NUL in a value", append(get2[:8:8], "x-a", "b\x00"), none, reset, nil},
	{"a line end in a name", append(get2[:8:8], "x-a: b\r\nx-b", "c"), none, reset, nil},
	{"a colon in a name", append(get2[:8:8], "x-a:", "c"), none, reset, nil},
	{"a space in a name", append(get2[:8:8], "x a", "c"), none, reset, nil},
	{"no name", append(get2[:8:8], "", "c"), none, reset, nil},
	{"capitals in a name", append(get2[:8:8], "X-A", "c"), none, reset, nil},
	{"a line end in the path", with(get2, ":path", p+" HTTP/1.1\r\nx-a: b"), none, reset, nil},
	{"a request in the path", with(get2, ":path", p+" HTTP/1.1\r\nHost: x\r\n\r\n"+smuggle1), none, reset, nil},
	{"a space in the path", with(get2, ":path", p+" HTTP/1.1"), none, "400", nil},
	{"a space in the query", with(get2, ":path", p+"?a HTTP/1.1"), none, "400", nil},
	{"a tab in the path", with(get2, ":path", p+"\tHTTP/1.1"), none, reset, nil},
	{"a NUL in the path", with(get2, ":path", p+"\x00"), none, reset, nil},
	{"no path", without(get2, ":path"), none, reset, nil},
	{"an empty path", with(get2, ":path", ""), none, reset, nil},
	{"a path without a slash", with(get2, ":path", "admin/api/2026-10/p.json"), none, reset, nil},
	{"an absolute path", with(get2, ":path", "https://"+shopDomain+p), none, reset, nil},
	{"an absolute path elsewhere", with(get2, ":path", "https://evil.example"+p), none, reset, nil},
	{"a network path", with(get2, ":path", "//evil.example"+p), none, "400", nil},
	{"dots in the path", with(get2, ":path", api+"/../../oauth/access_token"), none, "400", nil},
	{"a fragment", with(get2, ":path", p+"#x"), none, "400", nil},
	{"an asterisk", with(get2, ":path", "*"), none, "403", nil},
	{"a path of credentials", with(post2, ":path", "/admin/oauth/access_token"), smuggle1, "403", nil},
	{"a line end in the method", with(get2, ":method", "GET "+p+" HTTP/1.1\r\nx: y"), none, reset, nil},
	{"a space in the method", with(get2, ":method", "GET "+p+" HTTP/1.1"), none, "400", nil},
	{"a bracket in the method", with(get2, ":method", "G(T"), none, "400", nil},
	{"no method", without(get2, ":method"), none, reset, nil},
	{"an empty method", with(get2, ":method", ""), none, reset, nil},
	{"TRACE", with(get2, ":method", "TRACE"), none, "403", nil},
	{"no scheme", without(get2, ":scheme"), none, reset, nil},
	{"another scheme", with(get2, ":scheme", "ftp"), none, reset, nil},
	{"no authority", without(get2, ":authority"), none, "421", nil},
	{"another authority", with(get2, ":authority", "evil.example"), none, "421", nil},
	{"another shop", with(get2, ":authority", "other.myshopify.com"), none, "421", nil},
	{"an authority with a user", with(get2, ":authority", "x@"+shopDomain), none, reset, nil},
	{"an authority with a line end", with(get2, ":authority", shopDomain+"\r\nx: y"), none, reset, nil},
	{"an authority with a space", with(get2, ":authority", shopDomain+" evil.example"), none, "421", nil},
	{"another host beside the authority", append(get2[:8:8], "host", "evil.example"), none, "400", nil},
	{"the authority beside another host", append(with(get2, ":authority", "evil.example"), "host", shopDomain), none, "400", nil},
	{"two hosts", append(without(get2, ":authority"), "host", shopDomain, "host", "evil.example"), none, "400", nil},
	{"two paths", append(get2[:8:8], ":path", "/admin/oauth/access_token"), none, reset, nil},
	{"two methods", append(get2[:8:8], ":method", "DELETE"), none, reset, nil},
	{"two authorities", append(get2[:8:8], ":authority", "evil.example"), none, reset, nil},
	{"a pseudo-header behind a field", append([]string{"x-a", "b"}, get2...), none, reset, nil},
	{"a pseudo-header of an answer", append(get2[:8:8], ":status", "200"), none, reset, nil},
	{"a pseudo-header of nobody", append(get2[:8:8], ":x", "y"), none, reset, nil},

	{"CONNECT", []string{":method", "CONNECT", ":authority", shopDomain + ":443"}, none, "403", nil},
	{"CONNECT to another", []string{":method", "CONNECT", ":authority", "evil.example:443"}, none, "403", nil},
	{"CONNECT with a body", []string{":method", "CONNECT", ":authority", shopDomain + ":443"}, smuggle1, "403", nil},
	{"CONNECT with a path", with(get2, ":method", "CONNECT"), none, reset, nil},
	{"extended CONNECT", append(with(get2, ":method", "CONNECT"), ":protocol", "websocket"), none, reset, nil},
	{"a protocol without CONNECT", append(get2[:8:8], ":protocol", "websocket"), none, reset, nil},
}

// before127 are the cases that net/http leaves to us before Go 1.27, and their outcomes then.
var before127 = map[string]string{
	"content-length without a body":      "400",
	"content-length twice and different": "400",
	"an absolute path":                   "400",
	"an absolute path elsewhere":         "400",
}

// outcomeOf is what comes of a case with the toolchain that has built the binary, which is the test's own.
func outcomeOf(name, outcome string) string {
	if older, ok := before127[name]; ok && version.Compare(runtime.Version(), "go1.27") < 0 {
		return older
	}
	return outcome
}

func TestNoRequestOfHTTP2IsAnotherInHTTP1(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	roots := s.authority(t)
	for _, c := range downgrades {
		t.Run(c.name, func(t *testing.T) {
			client := s.stranger(t, roots, "")
			defer client.conn.Close()
			id, err := client.begin(c.data == none, c.fields...)
			if err != nil {
				t.Fatal(err)
			}
			if c.data != none {
				_ = client.data(id, true, c.data) // it may have been refused before
			}
			if got, want := client.outcome(id), outcomeOf(c.name, c.outcome); got != want && !(want == crossed && (got == "400" || got == reset)) {
				t.Errorf("%s, want %s", got, want)
			}
			if got := below(up.take(t)); !slices.Equal(got, c.arrives) {
				t.Errorf("arrived %q, want %q", got, c.arrives)
			}
			// What was refused is the stream's alone, or the connection has ended.
			id, _ = client.begin(true, pseudo("GET", api+"/probe.json")...)
			client.outcome(id)
			if got := below(up.take(t)); len(got) > 1 || len(got) == 1 && got[0] != "GET /probe.json" {
				t.Errorf("behind it arrived %q", got)
			}
		})
	}
	if broken := up.brokenOff(); len(broken) > 1 {
		t.Errorf("broken off: %q", broken)
	}
}

// Whether a request without a body is still answered when a body comes behind it is a matter of which is first. The body is nobody's.
func TestABodyBehindALengthOfNothingIsNobodys(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	client := s.stranger(t, s.authority(t), "")
	id, err := client.begin(false, append(post2[:8:8], "content-length", "0")...)
	if err = errors.Join(err, client.data(id, true, smuggle1)); err != nil {
		t.Fatal(err)
	}
	if got := client.outcome(id); got != "200" && got != reset {
		t.Error(got)
	}
	if id, err = client.begin(true, pseudo("GET", api+"/probe.json")...); err != nil {
		t.Fatal(err)
	}
	if got := client.outcome(id); got != "200" {
		t.Error(got)
	}
	for _, got := range below(up.take(t)) {
		if got != "POST /p.json" && got != "GET /probe.json" {
			t.Errorf("arrived %q", got)
		}
	}
}

// The corpus of HTTP/1.1, as far as it can be said in HTTP/2, means the same there.
func TestHTTP2IsHeldToTheSameRules(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, withCA)
	roots := s.authority(t)
	said := 0
	for _, list := range [][]corpus.Attack{corpus.Fields, corpus.Targets, corpus.Hosts, corpus.Methods, corpus.Offers, corpus.Lengths} {
		for _, a := range list {
			m, ok := sayable(a)
			if !ok {
				continue
			}
			said++
			t.Run(a.Name, func(t *testing.T) {
				client := s.stranger(t, roots, "")
				defer client.conn.Close()
				all := []string{":method", m.method, ":scheme", "https", ":path", m.target}
				if host := m.get("Host"); len(host) == 1 {
					all = append(all, ":authority", host[0])
				}
				for _, f := range m.fields {
					if name := strings.ToLower(f.name); name != "host" && name != "content-length" {
						all = append(all, name, f.value)
					}
				}
				id, err := client.begin(m.body == "", all...)
				if err != nil {
					t.Fatal(err)
				}
				if m.body != "" {
					if err := client.data(id, true, m.body); err != nil {
						t.Fatal(err)
					}
				}
				if got, want := client.outcome(id), fmt.Sprint(a.Answers[0]); got != want {
					t.Errorf("%s, want %s", got, want)
				}
				if got := below(up.take(t)); !slices.Equal(got, a.Arrives) {
					t.Errorf("arrived %q, want %q", got, a.Arrives)
				}
			})
		}
	}
	if said < 60 {
		t.Errorf("%d cases can be said in HTTP/2", said)
	}
	t.Logf("%d cases", said)
}

// sayable returns a case that is one whole request of HTTP/1.1, without what HTTP/2 has other words for.
func sayable(a corpus.Attack) (message, bool) {
	all, rest := sent(a.Bytes())
	if len(all) != 1 || rest != nil || len(a.Answers) != 1 || a.Ends || all[0].version != "HTTP/1.1" || !strings.HasPrefix(all[0].target, "/") && all[0].target != "*" {
		return message{}, false
	}
	m := all[0]
	for _, f := range m.fields {
		switch strings.ToLower(f.name) {
		case "connection", "proxy-connection", "keep-alive", "upgrade", "transfer-encoding", "te", "trailer", "expect":
			return m, false
		}
	}
	return m, true
}
