package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// streams is how many random streams are sent, and seed where they begin; WIRE_STREAMS and
// WIRE_SEED say otherwise.
const streams, seed = 4000, 1

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		if testing.Short() {
			return otherwise / 10
		}
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// A client sends a few valid requests in one stream, into which up to three mutations have
// been made. Whatever that means, Shopify gets only requests that the client can be said to
// have sent, each once, in their order and with their bytes, and the sidecar knows of all.
func TestMutatedStreamsBecomeNoOtherRequests(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, func(m message) string {
		return "HTTP/1.1 200 OK\r\nDate: Thu, 26 Nov 2026 10:00:00 GMT\r\nX-Seen: " + seenAs(m) + "\r\nContent-Length: 0\r\n\r\n"
	})
	s := up.sidecar(t)
	from, forwarded, whole := uint64(number(t, "WIRE_SEED", 10*seed)), 0, 0
	for n := range uint64(number(t, "WIRE_STREAMS", streams)) {
		stream := newStream(from, n)
		mutations := int(n % 4)
		for range mutations {
			stream.mutate()
		}
		arrived := conduct(t, up, s, string(stream.b), mutations == 0)
		forwarded += arrived
		if mutations == 0 {
			whole += arrived
		}
		if t.Failed() {
			t.Fatalf("stream %d of seed %d, %d mutations:\n%q", n, from, mutations, stream.b)
		}
	}
	t.Logf("%d requests arrived, %d of them from streams as they were", forwarded, whole)
	if forwarded < 2*whole {
		t.Error("next to nothing arrives of the mutated streams: they show nothing")
	}
	if n := s.forwarded(t); n != forwarded {
		t.Errorf("the sidecar says that it forwarded %d requests; %d arrived", n, forwarded)
	}
}

// seenAs is a request in short, for a header.
func seenAs(m message) string { return strconv.QuoteToASCII(m.method + " " + m.target) }

// conduct sends one stream and judges what comes of it. It returns how much arrived.
func conduct(t *testing.T, up *recorder, s *sidecar, bytes string, valid bool) int {
	t.Helper()
	requests, _ := sent(bytes)
	conn := s.dial(t)
	defer conn.Close()
	_, _ = io.WriteString(conn, bytes) // it may have been refused already
	seen := listen(t, conn, requests)
	arrived := up.take(t)
	if err := among(requests, arrived); err != nil {
		t.Errorf("%v\nsent    %q\narrived %q", err, requests, arrived)
	}
	var want []string
	for _, m := range arrived {
		want = append(want, seenAs(m))
	}
	if !slices.Equal(seen, want) {
		t.Errorf("the client has answers to %q, and there arrived %q", seen, want)
	}
	if valid && len(arrived) != len(requests) {
		t.Errorf("sent %q, arrived %q", requests, arrived)
	}
	return len(arrived)
}

// listen reads the answers to requests, then says that nothing more will be sent and reads
// what there is. It returns what Shopify answered to.
func listen(t *testing.T, conn net.Conn, requests []message) (seen []string) {
	t.Helper()
	in := bufio.NewReader(conn)
	for i := 0; ; i++ {
		method := ""
		if i < len(requests) {
			method = requests[i].method
		} else if i == len(requests) {
			_ = conn.(*net.TCPConn).CloseWrite() // nothing is under way that this could disturb
		}
		if _, err := in.Peek(1); err != nil {
			if isTimeout(err) {
				t.Errorf("no answer %d, and no end: %v", i, err)
			}
			return seen
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Errorf("answer %d: %v", i, err)
			return seen
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode < 200 {
			i-- // go on, send the body
		}
		seen = append(seen, resp.Header["X-Seen"]...)
		if resp.Close { // the last answer; one to a malformed HEAD has a body all the same
			_, _ = io.Copy(io.Discard, in)
			return seen
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// among reports a request that arrived and is none of those sent, in their order.
func among(sent, arrived []message) error {
	for _, a := range arrived {
		found := slices.IndexFunc(sent, func(m message) bool { return same(m, a) })
		if found < 0 {
			return fmt.Errorf("nobody sent %q %q", a, a.fields)
		}
		sent = sent[found+1:]
	}
	return nil
}

// same reports whether a request arrived as it was sent: its first line and body to the
// byte, and the fields that are the client's own.
func same(sent, arrived message) bool {
	target := sent.target
	for _, prefix := range []string{"http://localhost", "/" + shopDomain} {
		target = strings.TrimPrefix(target, prefix)
	}
	if sent.method != arrived.method || target != arrived.target || sent.body != arrived.body {
		return false
	}
	for _, f := range arrived.fields {
		switch f.name {
		case "Host", "X-Shopify-Access-Token", "Content-Length", "Transfer-Encoding":
			continue // the hop's, or Evergate's
		}
		if !slices.Contains(sent.get(f.name), f.value) {
			return false
		}
	}
	return true
}
