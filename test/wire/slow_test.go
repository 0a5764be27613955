package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/test/corpus"
	"evergate/test/process"
)

func TestRequestSentByteByByteIsOneRequest(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, "EVERGATE_REPLAY_BUFFER=4")
	for _, send := range []string{
		corpus.Get("X-A: b"),
		corpus.Post("Content-Length: 3", "abc"),
		corpus.Post("Content-Length: 5", "hello"),
		corpus.Chunk("5;ext\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
		"\x00", // what is no request is none in pieces either
	} {
		send = strings.ReplaceAll(send, "{api}", api)
		conn := s.dial(t)
		_ = conn.(*net.TCPConn).SetNoDelay(true)
		for i := range len(send) {
			if _, err := conn.Write([]byte{send[i]}); err != nil {
				t.Fatal(err)
			}
		}
		want, _ := sent(send)
		if len(want) == 0 {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%q: %v", send, err)
		}
		_ = resp.Body.Close()
		if got := up.take(t); len(got) != len(want) || len(got) > 0 && !same(want[0], got[0]) || (resp.StatusCode == 200) != (len(want) > 0) {
			t.Errorf("%q: %d, and %q arrived", send, resp.StatusCode, got)
		}
	}
}

// The limit is ten seconds and no setting, so this test takes as long.
func TestHeaderThatDoesNotEndIsCutOff(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	const start = "GET " + api + "/p.json HTTP/1.1\r\n"
	s := newRecorder(t, nil).sidecar(t)
	var all sync.WaitGroup
	for _, c := range []struct{ name, begin, more string }{
		{"nothing", "", ""},
		{"an empty line", "\r", ""},
		{"part of a line", "GET " + api + "/p.j", "a"},
		{"lines", start, "X-A: b\r\n"},
		{"part of a value", start + "Host: localhost\r\nX-A: ", "a"},
		{"part of a name", start + "Host: localhost\r\nX", "a"},
		{"no empty line", start + "Host: localhost\r\nX-A: b\r\n", ""},
		{"folded lines", start + "Host: localhost\r\nX-A: b\r\n", " a\r\n"},
		{"part of a line behind another request", start + "Host: localhost\r\n\r\nGET ", ""},
		{"lines behind another request", start + "Host: localhost\r\n\r\n" + start, "X-A: b\r\n"},
	} {
		conn := s.dial(t)
		all.Go(func() {
			if err := lingers(t.Context(), conn, c.begin, c.more); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	all.Wait()
}

// lingers sends the beginning of a header and goes on slowly, until the connection ends.
func lingers(ctx context.Context, conn net.Conn, begin, more string) error {
	const most = 30 * time.Second
	began := time.Now()
	if err := conn.SetDeadline(began.Add(2 * most)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, begin); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if more != "" {
		go trickle(ctx, conn, more)
	}
	_, err := io.Copy(io.Discard, conn)
	if took := time.Since(began); took > most {
		return fmt.Errorf("cut off after %s", took)
	}
	if err != nil && !isReset(err) {
		return err
	}
	return nil
}

// trickle sends more again and again.
func trickle(ctx context.Context, conn io.Writer, more string) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := io.WriteString(conn, more); err != nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// A client that leaves in the middle of a body has sent no request, however it is framed.
func TestRequestThatIsNeverFinishedArrivesNowhere(t *testing.T) {
	t.Parallel()
	up := newRecorder(t, nil)
	s := up.sidecar(t, "EVERGATE_REPLAY_BUFFER=1KiB")
	for name, send := range map[string]string{
		"short length":     corpus.Post("Content-Length: 10", "hello"),
		"long length":      corpus.Post("Content-Length: 5000", "hello"),
		"huge length":      corpus.Post("Content-Length: 9223372036854775807", "hello"),
		"no chunk":         corpus.Chunk(""),
		"part of a chunk":  corpus.Chunk("a\r\nhello"),
		"huge chunk":       corpus.Chunk("7fffffffffffffff\r\nhello"),
		"no last chunk":    corpus.Chunk("5\r\nhello\r\n"),
		"no trailer's end": corpus.Chunk("5\r\nhello\r\n0\r\nX-Sum: 1\r\n"),
		"no line's end":    corpus.Chunk("5\r\nhello\r\n0\r\n"),
		"no line feed":     corpus.Chunk("5\r\nhello\r\n0\r\n\r"),
	} {
		for _, leave := range []string{"half", "whole"} {
			t.Run(name+"/"+leave, func(t *testing.T) {
				conn := s.dial(t).(*net.TCPConn)
				if _, err := io.WriteString(conn, strings.ReplaceAll(send, "{api}", api)); err != nil {
					t.Fatal(err)
				}
				if leave == "whole" {
					_ = conn.Close()
					return
				}
				_ = conn.CloseWrite()
				b, err := io.ReadAll(conn)
				if err != nil || strings.HasPrefix(string(b), "HTTP/1.1 2") {
					t.Errorf("%q %v", b, err)
				}
			})
		}
	}
	process.Eventually(t, func() error {
		if n := s.metric(t, "evergate_requests_in_flight"); n > 0 {
			return fmt.Errorf("%v requests are under way", n)
		}
		return nil
	})
	if got := up.take(t); len(got) > 0 {
		t.Errorf("arrived: %q", got)
	}
}
