//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// serveRelay is about the least that a proxy in Go can do for these loads: for each connection of a client one to the
// upstream, and the head of each request written again with the token. It checks nothing. It is here as the limit that a
// proxy which does check can be measured by.
func serveRelay(listen, upstream, caFile string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	config := &tls.Config{RootCAs: roots, ServerName: shop, MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64)}
	accept(l, func(c net.Conn) {
		if err := relay(c, upstream, config); err != nil && !errors.Is(err, io.EOF) {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	return nil
}

// relay needs one buffer for either way, because a request has been sent before its answer comes.
func relay(c net.Conn, upstream string, config *tls.Config) error {
	up, err := tls.Dial("tcp", upstream, config)
	if err != nil {
		return err
	}
	defer func() { _ = up.Close() }()
	in, back := bufio.NewReaderSize(c, 16<<10), bufio.NewReaderSize(up, 64<<10)
	out := make([]byte, 0, 64<<10)
	for {
		head, size, err := readHead(in)
		if err != nil {
			return err
		}
		out = append(out[:0], head[:len(head)-2]...)
		out = append(out, "X-Shopify-Access-Token: "+benchToken+"\r\n\r\n"...)
		if err := pass(up, in, out, len(head), size); err != nil {
			return err
		}
		if head, size, err = readHead(back); err != nil {
			return err
		}
		if err := pass(c, back, head, len(head), size); err != nil {
			return err
		}
	}
}

// readHead returns a head that is still in the reader's buffer, and the size of the body behind it.
func readHead(in *bufio.Reader) (head []byte, size int, err error) {
	for n := 1; ; n = in.Buffered() + 1 {
		if _, err := in.Peek(n); err != nil {
			return nil, 0, err
		}
		text, _ := in.Peek(in.Buffered())
		end := bytes.Index(text, headEnd)
		if end < 0 {
			continue
		}
		head = text[:end+len(headEnd)]
		if at := foldIndex(head, lengthField); at >= 0 {
			for _, digit := range head[at+len(lengthField):] {
				if digit < '0' || digit > '9' {
					break
				}
				size = size*10 + int(digit-'0')
			}
		}
		return head, size, nil
	}
}

// pass writes a head, and the body that follows headSize bytes of the reader: in one write as far as it is there.
func pass(to net.Conn, from *bufio.Reader, head []byte, headSize, size int) error {
	there := min(from.Buffered()-headSize, size)
	text, _ := from.Peek(headSize + there)
	if len(head) == headSize && &head[0] == &text[0] {
		head = text
	} else {
		head = append(head, text[headSize:]...)
	}
	if _, err := to.Write(head); err != nil {
		return err
	}
	_, _ = from.Discard(headSize + there) // they are in its buffer
	for left := size - there; left > 0; {
		n := min(left, max(1, from.Buffered()), from.Size())
		text, err := from.Peek(n)
		if err != nil {
			return err
		}
		if more := min(left, from.Buffered()); more > n {
			text, _ = from.Peek(more)
		}
		if _, err := to.Write(text); err != nil {
			return err
		}
		_, _ = from.Discard(len(text))
		left -= len(text)
	}
	return nil
}
