package pace

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// rereadable is a body that can be set to its beginning, so that it costs the benchmark nothing.
type rereadable struct{ strings.Reader }

func (*rereadable) Close() error { return nil }

// The stages of a paced call: a reservation for which nobody has to wait, and an answer that is
// read to its end.

func BenchmarkReserve(b *testing.B) {
	document := []byte(`{"query":"` + strings.Repeat("query P($n: Int!) { products(first: $n) { nodes { id } } } ", 33) + `","variables":{"n":50,"after":"abc"}}`)
	for name, api := range map[string]API{"rest": REST, "graphql_2KiB": GraphQL} {
		b.Run(name, func(b *testing.B) {
			p, ctx := New(Options{MaxWait: time.Minute}), context.Background()
			caller := Caller{Key: "me"}
			b.ReportAllocs()
			for b.Loop() {
				r := p.Reserve(api, caller, document)
				_, _ = r.Wait(ctx)
				r.Cancel(false)
			}
		})
	}
}

func BenchmarkObserve(b *testing.B) {
	answer := func(n int) string {
		return strings.Replace(successBody, "Blue", strings.Repeat("x", n-len(successBody)), 1)
	}
	for _, c := range []struct {
		name   string
		api    API
		body   string
		coding string
	}{
		{"rest_2KiB", REST, answer(2 << 10), ""},
		{"graphql_2KiB", GraphQL, answer(2 << 10), ""},
		{"graphql_100KiB", GraphQL, answer(100 << 10), ""},
		{"graphql_2KiB_gzip", GraphQL, compressions["gzip"](answer(2 << 10)), "gzip"},
		{"graphql_2KiB_zstd", GraphQL, compressions["zstd"](answer(2 << 10)), "zstd"},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, ctx := New(Options{MaxWait: time.Minute}), context.Background()
			caller := Caller{Key: "me"}
			h := http.Header{callLimitHeader: {"1/40"}}
			if c.coding != "" {
				h.Set("Content-Encoding", c.coding)
			}
			body := &rereadable{}
			resp := &http.Response{StatusCode: 200, Header: h, ContentLength: -1}
			buf := make([]byte, 32<<10)
			b.ReportAllocs()
			for b.Loop() {
				r := p.Reserve(c.api, caller, nil)
				_, _ = r.Wait(ctx)
				body.Reset(c.body)
				resp.Body = body
				observe(&r, resp)
				for {
					if _, err := resp.Body.Read(buf); errors.Is(err, io.EOF) {
						break
					}
				}
				_ = resp.Body.Close()
			}
		})
	}
}
