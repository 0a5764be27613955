package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// BenchmarkExchange is what writing a request and reading its answer take, without TLS and a kernel.
func BenchmarkExchange(b *testing.B) {
	if !canTell {
		b.Skip("net/http carries everything here")
	}
	const size = 2048
	on := &parrot{scripted: scripted{closed: make(chan struct{})}, answer: []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2048\r\n" +
		"X-Request-Id: 1\r\nX-Shopify-Api-Version: 2026-10\r\n\r\n" + strings.Repeat("x", size))}
	l := bareLane()
	l.connect = func(context.Context, laneKey) (*conn, error) {
		return newConn(on, time.Time{}, Options{}, &Transport{}, nil), nil
	}
	defer l.closeAll()
	ctx, buf, body := new(Context), make([]byte, size), strings.NewReader("")
	r := aRequest(b, http.MethodPost).WithContext(ctx)
	setBody(r, strings.Repeat("y", size))
	text := strings.Repeat("y", size)
	r.Body = io.NopCloser(body)
	b.ReportAllocs()
	for b.Loop() {
		ctx.Context = context.Background()
		body.Reset(text)
		resp, err, _ := l.carry(r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := resp.Body.Read(buf); n != size || !errors.Is(err, io.EOF) || !ctx.Release() {
			b.Fatal(n, err)
		}
	}
}
