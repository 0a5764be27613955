package wire

import "testing"

const (
	benchRequest = "POST /admin/api/2026-10/graphql.json HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n" +
		"Accept-Encoding: gzip\r\nContent-Type: application/json\r\nContent-Length: 2048\r\n\r\n"
	benchResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 30 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2048\r\nConnection: keep-alive\r\n" +
		"X-Sorting-Hat-PodId: 12\r\nX-Sorting-Hat-ShopId: 1234567\r\nVary: Accept-Encoding\r\nReferrer-Policy: origin-when-cross-origin\r\nX-Frame-Options: DENY\r\n" +
		"X-Shopify-Shop-Api-Call-Limit: 1/40\r\nX-Request-Id: 1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed\r\nServer-Timing: processing;dur=12\r\n" +
		"X-Shopify-Api-Version: 2026-10\r\nStrict-Transport-Security: max-age=7889238\r\nX-Content-Type-Options: nosniff\r\nServer: cloudflare\r\n\r\n"
)

// BenchmarkRequest reads a head that is new, makes a header of it, and reads one that a client says again.
func BenchmarkRequest(b *testing.B) {
	var r Request
	buf := []byte(benchRequest)
	read := func(b *testing.B) {
		copy(buf, benchRequest) // a header is made in place
		if r.Parse(buf) != Understood {
			b.Fatal("not understood")
		}
	}
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(b)
		}
	})
	b.Run("header", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			read(b)
			if len(r.Header()) == 0 {
				b.Fatal("no fields")
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		if read(b); !r.Keep() {
			b.Fatal("not kept")
		}
		b.ReportAllocs()
		for b.Loop() {
			if read(b); !r.Same {
				b.Fatal("not the same")
			}
		}
	})
}

// BenchmarkResponse reads an answer of Shopify's edge, and parts what somebody reads of it from what is passed on.
func BenchmarkResponse(b *testing.B) {
	var r Response
	buf, into := []byte(benchResponse), Sorted{Header: map[string][]string{}}
	sort := &Sort{Of: func(name []byte) (string, Use) {
		switch string(name) {
		case "Content-Type":
			return "Content-Type", Read
		case "Content-Length":
			return "Content-Length", Read
		case "X-Request-Id":
			return "X-Request-Id", Read
		}
		return "", Passed
	}}
	b.ReportAllocs()
	for b.Loop() {
		copy(buf, benchResponse)
		if r.Parse(buf, false) != Understood {
			b.Fatal("not understood")
		}
		into.Again()
		if !r.Split(&into, sort) || len(into.Header) != 3 {
			b.Fatal("not parted")
		}
	}
}
