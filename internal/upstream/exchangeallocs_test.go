//go:build !race

package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestAnExchangeCostsFewAllocations counts the answer with its body, the head as a string, and the header: the map, what it keeps in it, and the values.
func TestAnExchangeCostsFewAllocations(t *testing.T) {
	if !canTell {
		t.Skip("net/http carries everything here")
	}
	on := &parrot{scripted: scripted{closed: make(chan struct{})}, answer: []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nX-Request-Id: 1\r\nx-shopify-api-version: 2026-10\r\n\r\nhello")}
	l := bareLane()
	l.connect = func(context.Context, laneKey) (*conn, error) {
		return newConn(on, time.Time{}, Options{}, &Transport{}, nil), nil
	}
	r, buf := aRequest(t, http.MethodGet).WithContext(context.Background()), make([]byte, 100)
	if n := testing.AllocsPerRun(200, func() {
		resp, err, _ := l.carry(r)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := resp.Body.Read(buf); n != 5 || !errors.Is(err, io.EOF) {
			t.Fatal(n, err)
		}
	}); n > 5 {
		t.Errorf("%v allocations", n)
	}
	ctx := new(Context)
	r = r.WithContext(ctx)
	if n := testing.AllocsPerRun(200, func() {
		ctx.Context = context.Background()
		resp, err, _ := l.carry(r)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := resp.Body.Read(buf); n != 5 || !errors.Is(err, io.EOF) || !ctx.Release() {
			t.Fatal(n, err)
		}
	}); n > 2 {
		t.Errorf("%v allocations of one that is released, which is the header's texts", n)
	}
	l.closeAll()
}
