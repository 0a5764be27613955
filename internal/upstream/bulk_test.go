package upstream

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"

	"evergate/internal/certtest"
	"evergate/internal/trust"
)

// TestNothingThatHasComeOfABodyIsWaitedWith has a server go on with a body only when what it has sent has been read, over a way that cuts records of TLS
// anywhere.
func TestNothingThatHasComeOfABodyIsWaitedWith(t *testing.T) {
	t.Parallel()
	certificate := certtest.SelfSigned(t, x509.Certificate{DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true})
	random := rand.New(rand.NewPCG(13, 1))
	pieces, whole := make([][]byte, 40), []byte(nil)
	for i := range pieces {
		pieces[i] = bytes.Repeat([]byte{byte('a' + i%26)}, 1+random.IntN(60<<10))
		whole = append(whole, pieces[i]...)
	}
	read := make(chan int) // how much has been
	serve := func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(whole))
			sent := 0
			for _, p := range pieces {
				if _, err := c.Write(p); err != nil {
					return
				}
				for sent += len(p); <-read < sent; {
				}
			}
		}
	}
	for _, secure := range []bool{true, false} {
		front, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = front.Close() })
		go func() {
			for {
				c, err := front.Accept()
				if err != nil {
					return
				}
				mine, theirs := net.Pipe() // each write is a piece
				if secure {
					go serve(tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{certificate}}))
				} else {
					go serve(theirs)
				}
				go func() { _, _ = io.Copy(mine, c); _ = mine.Close() }()
				go func() {
					defer c.Close()
					cut := rand.New(rand.NewPCG(13, 2))
					for b := make([]byte, 20<<10); ; {
						n, err := mine.Read(b[:1+cut.IntN(len(b))])
						if _, werr := c.Write(b[:n]); err != nil || werr != nil {
							return
						}
					}
				}()
			}
		}()
		_, port, _ := net.SplitHostPort(front.Addr().String())
		url := map[bool]string{true: "https", false: "http"}[secure] + "://localhost:" + port
		tr := New(Options{Base: parse(t, url), Roots: trust.Only(certtest.Pool(certificate)), HeaderTimeout: testTimeout})
		t.Cleanup(tr.CloseIdleConnections)
		for range 2 { // the second comes on a connection that was used
			resp, err := tr.RoundTrip(request(t, http.MethodGet, url))
			if err != nil {
				t.Fatal(err)
			}
			var got []byte
			for b := make([]byte, 32<<10); err == nil; {
				var n int
				n, err = resp.Body.Read(b)
				if got = append(got, b[:n]...); n > 0 {
					read <- len(got)
				}
			}
			if _ = resp.Body.Close(); err != io.EOF || !bytes.Equal(got, whole) { //nolint:errorlint // it is io.EOF itself
				t.Errorf("%d bytes of %d, %v", len(got), len(whole), err)
			}
		}
	}
}
