package idle

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// BenchmarkRequest sets a connection that the server keeps beside one that leaves it after
// each answer, which costs the difference once per pause.
func BenchmarkRequest(b *testing.B) {
	for name, silence := range map[string]time.Duration{"kept": time.Hour, "leaves": time.Nanosecond} {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), ConnState: State, IdleTimeout: time.Hour}
			go func() { _ = server.Serve(Wrap(l, silence)) }()
			defer server.Close()
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			answers := bufio.NewReader(c)
			for b.Loop() {
				if _, err := io.WriteString(c, get); err != nil {
					b.Fatal(err)
				}
				resp, err := http.ReadResponse(answers, nil)
				if err != nil {
					b.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		})
	}
}
