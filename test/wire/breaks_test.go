package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"evergate/test/process"
)

func TestAnswerThatBreaksOffDoesSoForTheClient(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100<<10)
	broken := map[string]string{
		"length":             "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\npart",
		"long length":        "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + long,
		"gzip":               "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 200000\r\n\r\n\x1f\x8b",
		"chunked":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n",
		"within a chunk":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\npart",
		"no line's end":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\n",
		"malformed chunk":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n",
		"within the trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n0\r\nX-Sum: 1\r\n",
	}
	up := newRecorder(t, func(m message) string {
		return broken[strings.ReplaceAll(strings.TrimPrefix(m.target, api+"/"), "%20", " ")]
	})
	up.closes = func(message) bool { return true }
	s := up.sidecar(t)
	for name := range broken {
		t.Run(name, func(t *testing.T) {
			target := api + "/" + strings.ReplaceAll(name, " ", "%20")
			want, wantErr := readPart(t, up.dial(t), direct("GET", target, "", ""))
			got, err := readPart(t, s.dial(t), through("GET", target, "", ""))
			if wantErr == nil {
				t.Fatal("directly it looks whole: this shows nothing")
			}
			if err == nil {
				t.Error("it looks whole")
			}
			if got != want {
				t.Errorf("%d bytes, directly %d", len(got), len(want))
			}
		})
	}
}

// readPart returns what comes of an answer's body, and how it ended.
func readPart(t *testing.T, conn net.Conn, bytes string) (string, error) {
	t.Helper()
	if _, err := io.WriteString(conn, bytes); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestClientThatLeavesEndsTheRequestAtShopify(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*net.TCPConn){
		"close": func(c *net.TCPConn) { _ = c.Close() },
		"reset": func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, gone := make(chan struct{}, 1), make(chan struct{}, 1)
			up := newRecorder(t, nil)
			up.head = func(conn net.Conn, _ message) bool {
				arrived <- struct{}{}
				_, _ = conn.Read(make([]byte, 1)) // until the other side ends it
				gone <- struct{}{}
				return false
			}
			s := up.sidecar(t)
			conn := s.dial(t)
			if _, err := io.WriteString(conn, through("GET", api+"/slow.json", "", "")); err != nil {
				t.Fatal(err)
			}
			process.Await(t, "the request", arrived)
			leave(conn.(*net.TCPConn))
			process.Await(t, "its end", gone)
			process.Eventually(t, func() error { return s.counted(t, "evergate_requests_total", 1, `code="499"`) })
		})
	}
}

// TestClientThatEndsItsSendingHasItsAnswer has it wait until Evergate has asked whether it is there.
func TestClientThatEndsItsSendingHasItsAnswer(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"GET": through("GET", api+"/slow.json", "", ""), "POST": through("POST", api+"/slow.json", "Content-Length: 2\r\n", "{}"),
		"chunks": through("POST", api+"/slow.json", "Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan struct{})
			up := newRecorder(t, nil)
			up.head = func(conn net.Conn, _ message) bool {
				<-asked
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
				return false
			}
			s := up.sidecar(t)
			conn := s.dial(t)
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			interim, err := http.ReadResponse(r, nil)
			if close(asked); err != nil || interim.StatusCode != http.StatusContinue {
				t.Fatal(interim, err)
			}
			resp, err := http.ReadResponse(r, nil)
			for err == nil && resp.StatusCode == http.StatusContinue { // on a busy machine it is asked more often
				resp, err = http.ReadResponse(r, nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if b, err := io.ReadAll(resp.Body); string(b) != "here" || err != nil {
				t.Errorf("%q, %v", b, err)
			}
			if rest, err := io.ReadAll(r); len(rest) > 0 || err != nil {
				t.Errorf("behind it %q, %v", rest, err)
			}
			process.Eventually(t, func() error { return s.counted(t, "evergate_requests_total", 1, `code="200"`) })
		})
	}
}

func TestFirstBytesOfAnAnswerDoNotWaitForTheLast(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ header, first, last string }{
		"length":  {"Content-Length: 9", "first", "last"},
		"chunked": {"Transfer-Encoding: chunked", "5\r\nfirst\r\n", "4\r\nlast\r\n0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			goOn := make(chan struct{})
			up := newRecorder(t, nil)
			up.head = func(conn net.Conn, _ message) bool {
				for _, piece := range []string{"HTTP/1.1 200 OK\r\n" + c.header + "\r\n\r\n", c.first, c.last} {
					_, _ = io.WriteString(conn, piece)
					select { // the client must have this before the next
					case <-goOn:
					case <-t.Context().Done():
					}
				}
				return false
			}
			conn := up.sidecar(t).dial(t)
			if _, err := io.WriteString(conn, through("GET", api+"/slow.json", "", "")); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for _, want := range []string{"first", "last"} {
				goOn <- struct{}{}
				b := make([]byte, len(want))
				if _, err := io.ReadFull(resp.Body, b); err != nil || string(b) != want {
					t.Fatalf("%q %v", b, err)
				}
			}
			goOn <- struct{}{}
		})
	}
}

func TestWhatShopifySaysBesideItsAnswersIsLoggedOncePerRoute(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, func(message) string { return withLength("200 OK", shopifys, "{}") })
	s := up.sidecar(t)
	for range 3 {
		for _, resource := range []string{"products", "orders", "products/1", "shop"} {
			request(t, s.dial(t), through("GET", api+"/"+resource+".json", "", ""))
		}
	}
	routes := map[string]int{}
	process.Eventually(t, func() error { return s.counted(t, "evergate_api_deprecated_total", 12) })
	for line := range strings.Lines(s.Err.String()) {
		if !strings.Contains(line, "said once per route") {
			continue
		}
		for _, piece := range []string{`"level":"WARN"`, `"asked":"2026-10"`, `"served":"2025-10"`, `"request_id":"da004e10-0000-4000-8000-000000000000-1712345678"`, "admin-rest/latest/resources/product", "usage/versioning"} {
			if !strings.Contains(line, piece) {
				t.Errorf("no %s in %s", piece, line)
			}
		}
		for _, route := range []string{"rest:products", "rest:orders", "rest:shop"} {
			if strings.Contains(line, `"route":"`+route+`"`) {
				routes[route]++
			}
		}
	}
	if len(routes) != 3 || routes["rest:products"] != 1 || routes["rest:orders"] != 1 || routes["rest:shop"] != 1 {
		t.Errorf("said %v", routes)
	}
}
