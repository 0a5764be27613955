//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// What the load asks the upstream for.
const (
	shop      = "evergate-bench.myshopify.com"
	apiPath   = "/admin/api/2026-10/"
	smallPath = apiPath + "shop.json"
	pagePath  = apiPath + "products.json"
	bulkPath  = apiPath + "orders.json"
	graphPath = apiPath + "graphql.json"
	tokenPath = "/admin/oauth/access_token"
	lifePath  = "/life/" // and how many seconds the tokens live that are handed out from then on
	bulkSize  = 256 << 20
)

// distance is the round trip to the shop that is far away.
const distance = 60 * time.Millisecond

// renewalTakes is how long the token endpoint takes to answer.
const renewalTakes = 100 * time.Millisecond

// addresses is where the upstream listens.
type addresses struct{ secure, plain, far string }

// serveUpstream answers as Shopify does, with limits so wide that nobody has to wait for them, at three addresses, which
// it prints: TLS, without TLS for the way without a proxy, and TLS that is far away.
func serveUpstream(certFile, keyFile string) error {
	certificate, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return err
	}
	var at [3]net.Listener
	for i := range at {
		if at[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
	}
	u := newUpstream()
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
	go accept(at[0], func(c net.Conn) { u.serve(tls.Server(c, config)) })
	go accept(at[1], u.serve)
	go accept(at[2], func(c net.Conn) { carryFar(c, at[0].Addr().String()) })
	fmt.Println(at[0].Addr(), at[1].Addr(), at[2].Addr())
	select {} // until whoever started this kills it
}

func accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// upstream is a server for HTTP/1.1 that knows a few answers by heart.
type upstream struct {
	small, page, graph, bulk []byte
	pairs                    atomic.Int64
	life                     atomic.Int64 // of a token, in seconds
}

// edgeFields are the fields of an answer of the Admin API as its edge sends them, with values of the usual length.
const edgeFields = "Date: Sun, 29 Nov 2026 00:00:00 GMT\r\n" +
	"Content-Type: application/json; charset=utf-8\r\n" +
	"Connection: keep-alive\r\n" +
	"X-Sorting-Hat-PodId: 123\r\nX-Sorting-Hat-ShopId: 12345678901\r\n" +
	"Vary: Accept-Encoding,Accept\r\nReferrer-Policy: origin-when-cross-origin\r\nX-Frame-Options: DENY\r\nX-ShopId: 12345678901\r\nX-ShardId: 123\r\n" +
	"X-Stats-UserId: \r\nX-Stats-ApiClientId: 12345678901\r\nX-Stats-ApiPermissionId: 123456789012\r\n" +
	"X-Shopify-API-Version: 2026-10\r\nContent-Language: en\r\n" +
	"Strict-Transport-Security: max-age=7889238\r\nX-Request-ID: 01234567-89ab-cdef-0123-456789abcdef-1795910400\r\n" +
	"Server-Timing: processing;dur=35, verdict_flag_enabled;desc=\"count=1\", _y, _s\r\n" +
	"X-Content-Type-Options: nosniff\r\nX-Download-Options: noopen\r\nX-Permitted-Cross-Domain-Policies: none\r\nX-XSS-Protection: 1; mode=block\r\n" +
	"CF-Cache-Status: DYNAMIC\r\nServer: cloudflare\r\nCF-RAY: 0123456789abcdef-FRA\r\n"

const callLimitField = "X-Shopify-Shop-Api-Call-Limit: 1/100000000\r\n"

func newUpstream() *upstream {
	product := `{"id":1234567890,"title":"A shirt","handle":"a-shirt","status":"active","vendor":"Acme","tags":"cotton, blue"},`
	page := `{"products":[` + strings.Repeat(product, (50<<10-20)/len(product))
	page = page[:len(page)-1] + "]}"
	page += strings.Repeat(" ", 50<<10-len(page))
	nodes := strings.Repeat(`{"id":"gid://shopify/Product/1234567890","title":"A shirt"},`, 12)
	graph := `{"data":{"products":{"nodes":[` + nodes[:len(nodes)-1] + `]}},"extensions":{"cost":{"requestedQueryCost":14,"actualQueryCost":12,` +
		`"throttleStatus":{"maximumAvailable":100000000.0,"currentlyAvailable":99999988,"restoreRate":50000000.0}}}}`
	u := &upstream{
		small: answer(edgeFields+callLimitField, `{"shop":{"id":12345678901,"name":"bench"}}`),
		page:  answer(edgeFields+callLimitField, page),
		graph: answer(edgeFields, graph),
		bulk:  fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n", edgeFields+callLimitField, bulkSize),
	}
	u.life.Store(longLife)
	return u
}

func answer(fields, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(body), body)
}

// serve answers the requests of a connection. It believes in HTTP/1.1 as the proxies here write it: it is no server to
// expose to anybody.
func (u *upstream) serve(c net.Conn) {
	in := bufio.NewReaderSize(c, 32<<10)
	for {
		r, err := readRequest(in)
		if err != nil {
			return
		}
		if err := u.discardBody(in, r); err != nil {
			return
		}
		if err := u.answer(c, r); err != nil {
			return
		}
	}
}

// request is what the upstream wants to know of one.
type request struct {
	method, path string
	size         int // of its body; negative: in chunks
}

func readRequest(in *bufio.Reader) (r request, err error) {
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			method, rest, _ := bytes.Cut(line, []byte(" "))
			path, _, _ := bytes.Cut(rest, []byte(" "))
			r.method, r.path = string(method), string(path)
		case len(line) == 0:
			return r, nil
		case line[0]|0x20 == 'c' && foldIndex(line, lengthField[2:]) == 0:
			if r.size, err = strconv.Atoi(string(line[len(lengthField)-2:])); err != nil {
				return r, err
			}
		case line[0]|0x20 == 't' && bytes.EqualFold(line, []byte("transfer-encoding: chunked")):
			r.size = -1
		}
	}
}

func (u *upstream) discardBody(in *bufio.Reader, r request) error {
	if r.size >= 0 {
		_, err := in.Discard(r.size)
		return err
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(strings.TrimSpace(line), 16, 31)
		if err != nil {
			return err
		}
		if _, err := in.Discard(int(size) + 2); err != nil || size == 0 {
			return err
		}
	}
}

var errUnknown = errors.New("nobody asks for this")

func (u *upstream) answer(c net.Conn, r request) (err error) {
	switch {
	case r.path == graphPath && r.method == "POST":
		_, err = c.Write(u.graph)
	case r.path == pagePath:
		_, err = c.Write(u.page)
	case r.path == bulkPath && r.method == "GET":
		_, err = c.Write(u.bulk)
		for left := bulkSize; left > 0 && err == nil; left -= len(zeroes) {
			_, err = c.Write(zeroes)
		}
	case r.path == smallPath, r.path == bulkPath:
		_, err = c.Write(u.small)
	case r.path == tokenPath:
		time.Sleep(renewalTakes)
		n := u.pairs.Add(1)
		_, err = c.Write(answer(edgeFields, fmt.Sprintf(`{"access_token":"shpat_%032x","expires_in":%d,"scope":"read_products",`+
			`"refresh_token":"shprt_%032x","refresh_token_expires_in":7776000}`, n, u.life.Load(), n)))
	case strings.HasPrefix(r.path, lifePath):
		var life int64
		if life, err = strconv.ParseInt(strings.TrimPrefix(r.path, lifePath), 10, 64); err == nil {
			u.life.Store(life)
			_, err = c.Write(u.small)
		}
	default:
		_, err = c.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
		err = errors.Join(err, errUnknown)
	}
	return err
}

var zeroes = make([]byte, 256<<10)
