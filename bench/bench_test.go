//go:build linux

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The program starts itself as the upstream, and so does its test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// What the process allocates for a request that is only passed on, counted where it runs: by the program as it is released,
// with everything on, over its sockets. It leaves room for what happens beside requests.
func TestAllocationsOfTheProcess(t *testing.T) {
	r, err := newRig(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.upstream.stop()
	binary := r.file("evergate")
	if err := buildEvergate(binary, ""); err != nil {
		t.Fatal(err)
	}
	run, err := r.start(evergate(evergateName, binary, nil), r.at.secure)
	if err != nil {
		t.Fatal(err)
	}
	defer run.stop()
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	compiler := ""
	if !strings.Contains(string(mod), "\ntoolchain "+runtime.Version()+"\n") { // others have other things escape, in crypto/tls above all
		compiler = "-other"
	}
	for name, request := range map[string][]byte{"post-allocations": post(shop), "get-allocations": get(pagePath)} {
		most, err := agreed(name + compiler)
		if err != nil {
			t.Fatal(err)
		}
		c, err := newClient(run.listen, 4, request)
		if err != nil {
			t.Fatal(err)
		}
		defer c.close()
		if _, err := c.closed(100 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
		objects := math.Inf(1)
		for i := 0; i < 5 && objects > most+0.5; i++ { // a busy machine has connections be silent between requests, and let go of what they have: it only adds
			each, _, err := allocated(run, c, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			objects = min(objects, each)
		}
		t.Logf("%s: %.1f with %s", name, objects, runtime.Version())
		if objects > most+3 { // so much it adds where every core has something else to do
			t.Errorf("%s: %.1f, and bench/bar.txt says %g", name, objects, most)
		}
	}
}

// scripted listens, and has a connection served by a function.
func scripted(t *testing.T, serve func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go accept(l, serve)
	return l.Addr().String()
}

// answering reads a request at a time and answers it.
func answering(answer func(c net.Conn, nth int) error) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for n := 0; ; n++ {
			if _, err := readRequest(in); err != nil {
				return
			}
			if err := answer(c, n); err != nil {
				return
			}
		}
	}
}

func TestAnAnswerMayComeInPieces(t *testing.T) {
	text := answer("X: y\r\n", "twelve bytes")
	addr := scripted(t, answering(func(c net.Conn, _ int) error {
		for i := range text {
			if _, err := c.Write(text[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}))
	c, err := newClient(addr, 3, get(smallPath))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for range 5 {
		if done, err := c.closed(0); err != nil || done != 3 {
			t.Fatalf("%d answers, %v", done, err)
		}
	}
	if err := c.oneByOne(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoAnswerFailsTheRun(t *testing.T) {
	for name, text := range map[string]string{
		"a failure":        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		"no length":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"bytes behind it":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
		"an early end":     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab",
		"an end in a head": "HTTP/1.1 200",
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			addr := scripted(t, answering(func(c net.Conn, _ int) error {
				_, err := io.WriteString(c, text)
				c.Close()
				return err
			}))
			c, err := newClient(addr, 1, get(smallPath))
			if err != nil {
				t.Fatal(err)
			}
			defer c.close()
			if done, err := c.closed(0); err == nil {
				t.Errorf("%d answers", done)
			}
		})
	}
}

func TestAConnectionThatWasClosedDoesNotWait(t *testing.T) {
	end := make(chan struct{})
	c, err := newClient(scripted(t, func(conn net.Conn) { <-end; conn.Close() }), 2, post(shop))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.allWait(); err != nil {
		t.Error(err)
	}
	close(end)
	for _, k := range c.conns { // until its end has come
		if n, err := unix.Poll([]unix.PollFd{{Fd: int32(k.fd), Events: unix.POLLIN}}, 10_000); n != 1 {
			t.Fatal(n, err)
		}
	}
	if c.allWait() == nil {
		t.Error("it is taken to wait")
	}
}

// A server that stands still delays whatever is due meanwhile, not just the one request that it has.
func TestALateAnswerCountsForEveryRequestThatWasDue(t *testing.T) {
	const still = 300 * time.Millisecond
	text := answer("", "x")
	addr := scripted(t, answering(func(c net.Conn, nth int) error {
		if nth == 10 {
			<-time.After(still)
		}
		_, err := c.Write(text)
		return err
	}))
	c, err := newClient(addr, 1, get(smallPath))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	took, err := c.fixed(500*time.Millisecond, 200)
	if err != nil || len(took) != 100 {
		t.Fatalf("%d answers, %v", len(took), err)
	}
	late := 0
	for _, d := range took {
		if d > still/2 {
			late++
		}
	}
	if late < 25 { // 30 were due in the first half of it
		t.Errorf("%d answers were late", late)
	}
}

func TestTheUpstreamAnswersInHTTP(t *testing.T) {
	u := newUpstream()
	addr := scripted(t, u.serve)
	for _, path := range []string{smallPath, pagePath, graphPath} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		in := bufio.NewReader(c)
		request := get(path)
		if path == graphPath {
			request = post(shop)
			if size := len(request) - bytes.Index(request, headEnd) - len(headEnd); size != postSize {
				t.Errorf("the body of a POST has %d bytes", size)
			}
		}
		for range 2 {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != http.StatusOK || !json.Valid(body) {
				t.Errorf("%s: %s, %v: %s", path, answer.Status, err, body)
			}
			if path == pagePath && len(body) != 50<<10 {
				t.Errorf("a page has %d bytes", len(body))
			}
		}
	}
}

// The first call over TLS takes three round trips.
func TestFarAwayIsFar(t *testing.T) {
	dir := t.TempDir()
	r := &rig{dir: dir}
	if err := writeCertificates(r.file("ca.pem"), r.file("cert.pem"), r.file("key.pem")); err != nil {
		t.Fatal(err)
	}
	certificate, err := tls.LoadX509KeyPair(r.file("cert.pem"), r.file("key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	near := scripted(t, func(c net.Conn) {
		newUpstream().serve(tls.Server(c, &tls.Config{Certificates: []tls.Certificate{certificate}}))
	})
	addr := scripted(t, func(c net.Conn) { carryFar(c, near) })
	began := time.Now()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, least := range []time.Duration{3 * distance, 4 * distance} {
		if _, err := c.Write(get(smallPath)); err != nil {
			t.Fatal(err)
		}
		if head, size, err := readHead(bufio.NewReader(c)); err != nil || size == 0 || !bytes.HasPrefix(head, success) {
			t.Fatalf("%s, %v", head, err)
		}
		if took := time.Since(began); took < least {
			t.Errorf("an answer was there after %s", took)
		}
	}
}

func TestRatiosAreThoseOfARound(t *testing.T) {
	table := &table{}
	for round, figures := range [][2]float64{{10, 20}, {100, 300}, {1, 4}} { // the machine was slow, and is fast
		table.add("CPU", "µs", 1, nginxName, round, figures[0])
		table.add("CPU", "µs", 1, evergateName, round, figures[1])
	}
	table.add("CPU", "µs", 1, nginxName, 4, 1) // in a round without the other
	row := table.row("CPU")
	if s, ok := row.ratio(evergateName, nginxName); !ok || s != (spread{2.5, 3, 3.5}) {
		t.Errorf("%v, %t", s, ok)
	}
	if s, ok := row.figure(nginxName); !ok || s.median != 5.5 {
		t.Errorf("%v, %t", s, ok)
	}
	if _, ok := row.ratio(caddyName, nginxName); ok {
		t.Error("there is a ratio of what was not measured")
	}
	if s, ok := spreadOf([]float64{math.NaN()}); ok {
		t.Errorf("%v of nothing", s)
	}
	for _, g := range []struct {
		goal
		verdict string
	}{
		{goal{row: "CPU", to: nginxName, most: 4}, "met"}, {goal{row: "CPU", to: nginxName, most: 2}, "missed by 50 %"}, {goal{row: "CPU", most: 0.1}, "missed"},
		{goal{row: "CPU", to: nginxName, most: 3.2}, "met, and within the quartiles"}, {goal{row: "CPU", most: 300, least: true}, "missed by 93 %"},
	} {
		s, ok := g.reached(table)
		if verdict := g.goal.verdict(s); !ok || verdict != g.verdict {
			t.Errorf("%s: of %v it says %q", g.goal, s, verdict)
		}
	}
}

func TestCallsComeLateInAMinute(t *testing.T) {
	t.Parallel()
	for age, want := range map[time.Duration]time.Duration{0: 50 * time.Second, 50 * time.Second: 0, 51 * time.Second: 59 * time.Second, 126 * time.Second: 44 * time.Second} {
		if got := untilTheEndOfAMinute(age); got != want {
			t.Errorf("after %s: %s, want %s", age, got, want)
		}
	}
}
