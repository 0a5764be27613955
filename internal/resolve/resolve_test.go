package resolve

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// server is a name server that answers with what reply makes of a question, over UDP and TCP.
func server(t *testing.T, reply func(q dnsmessage.Message, tcp bool) []dnsmessage.Message) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Skip("the port is taken for TCP") // another test's, by chance
	}
	t.Cleanup(func() { _, _ = udp.Close(), tcp.Close() })
	answers := func(question []byte, overTCP bool) (all [][]byte) {
		var q dnsmessage.Message
		if q.Unpack(question) != nil {
			return nil
		}
		for _, m := range reply(q, overTCP) {
			packed, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			all = append(all, packed)
		}
		return all
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, a := range answers(buf[:n], false) {
				_, _ = udp.WriteTo(a, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			_, _ = io.ReadFull(conn, size[:])
			question := make([]byte, binary.BigEndian.Uint16(size[:]))
			_, _ = io.ReadFull(conn, question)
			for _, a := range answers(question, true) {
				_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
			}
			_ = conn.Close()
		}
	}()
	return udp.LocalAddr().String()
}

func name(text string) dnsmessage.Name { return dnsmessage.MustNewName(text) }

func answerTo(q dnsmessage.Message, resources ...dnsmessage.Resource) dnsmessage.Message {
	return dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true}, Questions: q.Questions, Answers: resources}
}

func a(owner, ip string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()}}
}

func aaaa(owner, ip string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET}, Body: &dnsmessage.AAAAResource{AAAA: netip.MustParseAddr(ip).As16()}}
}

func cname(owner, to string) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name(owner), Class: dnsmessage.ClassINET}, Body: &dnsmessage.CNAMEResource{CNAME: name(to)}}
}

const shop = "acme.myshopify.com."

func TestLookup(t *testing.T) {
	t.Parallel()
	refused := func(q dnsmessage.Message, code dnsmessage.RCode) dnsmessage.Message {
		m := answerTo(q)
		m.RCode = code
		return m
	}
	for what, c := range map[string]struct {
		reply func(q dnsmessage.Message, tcp bool) []dnsmessage.Message
		want  []string
		fail  string
	}{
		"addresses": {want: []string{"23.227.38.65", "2620:127::1"}, reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			if q.Questions[0].Type == dnsmessage.TypeA {
				return []dnsmessage.Message{answerTo(q, a(shop, "23.227.38.65"))}
			}
			return []dnsmessage.Message{answerTo(q, aaaa(shop, "2620:127::1"))}
		}},
		"aliases": {want: []string{"1.2.3.4"}, reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			if q.Questions[0].Type == dnsmessage.TypeA {
				return []dnsmessage.Message{answerTo(q, cname("SHOPS.example.", "edge.example."), a("edge.example.", "1.2.3.4"), cname(shop, "shops.example."), a("other.example.", "6.6.6.6"))}
			}
			return []dnsmessage.Message{answerTo(q, cname(shop, "shops.example."))}
		}},
		"a circle of aliases": {fail: "no such host", reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			return []dnsmessage.Message{answerTo(q, cname(shop, "b.example."), cname("b.example.", shop))}
		}},
		"no such name": {fail: "no such host", reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			return []dnsmessage.Message{refused(q, dnsmessage.RCodeNameError)}
		}},
		"a server that fails": {fail: "no name server gave an answer", reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			return []dnsmessage.Message{refused(q, dnsmessage.RCodeServerFailure)}
		}},
		"another's address": {fail: "no such host", reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			return []dnsmessage.Message{answerTo(q, a("evil.example.", "6.6.6.6"))}
		}},
		"forged answers first": {want: []string{"1.2.3.4"}, reply: func(q dnsmessage.Message, _ bool) []dnsmessage.Message {
			wrongID, wrongName, noResponse := answerTo(q, a(shop, "6.6.6.6")), answerTo(q, a(shop, "6.6.6.6")), answerTo(q, a(shop, "6.6.6.6"))
			wrongID.ID++
			wrongName.Questions = []dnsmessage.Question{{Name: name("evil.example."), Type: q.Questions[0].Type, Class: dnsmessage.ClassINET}}
			noResponse.Response = false
			real := answerTo(q)
			if q.Questions[0].Type == dnsmessage.TypeA {
				real = answerTo(q, a(shop, "1.2.3.4"))
			}
			return []dnsmessage.Message{wrongID, wrongName, noResponse, real}
		}},
		"too large for UDP": {want: []string{"1.2.3.4"}, reply: func(q dnsmessage.Message, tcp bool) []dnsmessage.Message {
			m := answerTo(q)
			if m.Truncated = !tcp; tcp && q.Questions[0].Type == dnsmessage.TypeA {
				m = answerTo(q, a(shop, "1.2.3.4"))
			}
			return []dnsmessage.Message{m}
		}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			r, err := Parse(server(t, c.reply))
			if err != nil {
				t.Fatal(err)
			}
			found, err := r.Lookup(t.Context(), "acme.myshopify.com")
			var got []string
			for _, ip := range found {
				got = append(got, ip.String())
			}
			if c.fail != "" {
				if dns, ok := errors.AsType[*net.DNSError](err); !ok || dns.Err != c.fail {
					t.Errorf("%v %v", got, err)
				}
			} else if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("%v %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestASilentServerIsNotWaitedForLongerThanTheCaller(t *testing.T) {
	t.Parallel()
	r, err := Parse(server(t, func(dnsmessage.Message, bool) []dnsmessage.Message { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if _, err := r.Lookup(ctx, "acme.myshopify.com"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestServersAreNamedByAddress(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{"10.0.0.2": "10.0.0.2:53", "10.0.0.2:5353": "10.0.0.2:5353", "fd00::1": "[fd00::1]:53", "[fd00::1]": "[fd00::1]:53", "[fd00::1]:5353": "[fd00::1]:5353"} {
		if got, err := serverAddress(spec); got != want || err != nil {
			t.Errorf("%s: %s %v", spec, got, err)
		}
	}
	for _, spec := range []string{"", "dns.example", "10.0.0.2:0", "10.0.0.2:x", "10.0.0.2:", "udp://10.0.0.2", "10.0.0.2,10.0.0.3"} {
		if _, err := Parse(spec); err == nil {
			t.Errorf("%q is taken", spec)
		}
	}
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte("# nameserver 9.9.9.9\nsearch example\nnameserver 10.0.0.2\nnameserver\t fd00::1 \nnameserver x\nnameserver 10.0.0.4\nnameserver 10.0.0.5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := serversOf(path); err != nil || strings.Join(got, " ") != "10.0.0.2:53 [fd00::1]:53 10.0.0.4:53" {
		t.Errorf("%v %v", got, err)
	}
	if _, err := serversOf("/dev/zero"); err == nil || !strings.Contains(err.Error(), "/dev/zero") {
		t.Errorf("a file without an end: %v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	q := dnsmessage.Question{Name: name(shop), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	asked := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{q}}
	for _, m := range []dnsmessage.Message{answerTo(asked), answerTo(asked, a(shop, "1.2.3.4")), answerTo(asked, cname(shop, "b."), a("b.", "1.2.3.4"))} {
		packed, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		all, truncated, err := read(answer, 7, q)
		if len(all) > 0 && (err != nil || truncated) {
			t.Fatalf("%v beside %t and %v", all, truncated, err)
		}
	})
}
