//go:build linux

package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// bulks measures bodies of 256 MiB, in both directions. The upstream, whose TLS costs about as much as the proxy's, and the
// load share the other core, so a throughput may be theirs; CPU per MiB is not.
func (r *rig) bulks(t *table, p plan) error {
	all, stop, err := r.startAll(r.at.secure, r.peers...)
	if err != nil {
		return err
	}
	defer stop()
	for round := range p.bulks {
		for _, run := range turn(all, round) {
			for _, way := range []struct {
				name string
				pass func(addr string) error
			}{{"down", download}, {"up", upload}} {
				if err := bulk(t, run, round, way.name, way.pass); err != nil {
					return fmt.Errorf("%s, %s: %w", run.name, way.name, err)
				}
			}
		}
	}
	return nil
}

func bulk(t *table, run *running, round int, way string, pass func(addr string) error) error {
	const mebibytes = bulkSize >> 20
	rest, err1 := memory(run.all, "status", "VmRSS")
	err2 := forgetPeak(run.all)
	before, err3 := cpu(run.all)
	began := time.Now()
	err4 := pass(run.listen)
	took := time.Since(began)
	after, err5 := cpu(run.all)
	peak, err6 := memory(run.all, "status", "VmHWM")
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return err
	}
	t.add("256 MiB "+way+", CPU per MiB", "ms", 2, run.name, round, millis(after-before)/mebibytes)
	t.add("256 MiB "+way+", throughput", "MiB/s", 0, run.name, round, mebibytes/took.Seconds())
	t.add("256 MiB "+way+", growth of memory (RSS)", "MiB", 1, run.name, round, max(0, peak-rest)/(1<<20))
	return nil
}

func download(addr string) error {
	return exchange(addr, "GET", 0, bulkSize)
}

func upload(addr string) error {
	return exchange(addr, "POST", bulkSize, -1)
}

// exchange sends a body of zeroes and reads an answer, whose body has a size, or any if want is negative.
func exchange(addr, method string, size, want int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		return err
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, bulkPath, shop, size)
	if size == 0 {
		head = string(get(bulkPath))
	}
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	for sent := 0; sent < size; sent += len(zeroes) {
		if _, err := c.Write(zeroes); err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	got, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, make([]byte, 256<<10))
	if err == nil && (answer.StatusCode != http.StatusOK || want >= 0 && got != int64(want)) {
		err = fmt.Errorf("%s, with %d bytes", answer.Status, got)
	}
	return err
}

// insideConnect is the CPU time of a request that comes through a tunnel, with TLS inside it that Evergate ends.
func insideConnect(run *running, connections int, p plan) (time.Duration, error) {
	pem, err := os.ReadFile(caFile(run.place))
	if err != nil {
		return 0, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return 0, errors.New("no certificates in Evergate's file for clients")
	}
	config := &tls.Config{RootCAs: roots, ServerName: shop, MinVersion: tls.VersionTLS12}
	request := post(shop)
	tunnels := make([]*bufio.ReadWriter, connections)
	for i := range tunnels {
		c, err := openTunnel(run.listen, config)
		if err != nil {
			return 0, err
		}
		defer func() { _ = c.Close() }()
		tunnels[i] = bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriterSize(c, 4<<10))
	}
	if _, err := callInside(tunnels, request, p.warm); err != nil {
		return 0, err
	}
	before, err1 := cpu(run.all)
	done, err2 := callInside(tunnels, request, p.window)
	after, err3 := cpu(run.all)
	return (after - before) / time.Duration(max(1, done)), errors.Join(err1, err2, err3)
}

func openTunnel(proxy string, config *tls.Config) (*tls.Conn, error) {
	c, err := net.Dial("tcp", proxy)
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "CONNECT %s:443 HTTP/1.1\r\nHost: %[1]s:443\r\n\r\n", shop); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodConnect}) // nothing comes behind it before we speak
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("CONNECT was answered with %s", answer.Status)
	}
	secure := tls.Client(c, config)
	return secure, secure.Handshake()
}

func callInside(tunnels []*bufio.ReadWriter, request []byte, length time.Duration) (done int, err error) {
	type result struct {
		done int
		err  error
	}
	results := make(chan result)
	end := time.Now().Add(length)
	for _, tunnel := range tunnels {
		go func() {
			var r result
			for r.err == nil && time.Now().Before(end) {
				if r.err = callOnce(tunnel, request); r.err == nil {
					r.done++
				}
			}
			results <- r
		}()
	}
	for range tunnels {
		r := <-results
		done, err = done+r.done, errors.Join(err, r.err)
	}
	return done, err
}

func callOnce(tunnel *bufio.ReadWriter, request []byte) error {
	if _, err := tunnel.Write(request); err != nil {
		return err
	}
	if err := tunnel.Flush(); err != nil {
		return err
	}
	head, size, err := readHead(tunnel.Reader)
	if err != nil {
		return err
	}
	if _, err := bodySize(head); err != nil {
		return err
	}
	_, err = tunnel.Discard(len(head) + size)
	return err
}
