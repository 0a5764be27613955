package wire

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"evergate/test/process"
)

// openMany lets this process have as many files as the test needs.
func openMany(t *testing.T, files uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Max < files {
		why := fmt.Sprintf("this user may open %d files, and the test needs %d", limit.Max, files)
		process.Missing(t, why, "ulimit -Hn N, as root")
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

func TestFiveThousandIdleConnectionsFitIn64MiB(t *testing.T) {
	const connections, most = 5000, 64 * mebibyte
	openMany(t, connections+200)
	s := newRecorder(t, nil).sidecar(t)
	idle := make([]net.Conn, connections)
	eachOf(connections, func(i int) {
		idle[i] = s.dial(t)
		if err := small(idle[i]); err != nil {
			t.Errorf("connection %d: %v", i, err)
		}
	})
	if t.Failed() {
		return
	}
	if n := s.mustMemory(t, "Rss"); n > most {
		t.Errorf("they take %d MiB", n/mebibyte)
	} else {
		t.Logf("they take %d MiB", n/mebibyte)
	}
	eachOf(connections, func(i int) { // they are all still there
		if err := idle[i].SetDeadline(soon()); err != nil {
			t.Error(err)
		}
		if err := small(idle[i]); err != nil {
			t.Errorf("connection %d after its wait: %v", i, err)
		}
	})
	if n := s.mustMemory(t, "Rss"); n > most {
		t.Errorf("they take %d MiB once each has been used again", n/mebibyte)
	} else {
		t.Logf("they take %d MiB once each has been used again", n/mebibyte)
	}
}

// eachOf calls do for each number below n, a few at a time.
func eachOf(n int, do func(int)) {
	const workers = 8
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < n; i += workers {
				do(i)
			}
		})
	}
	all.Wait()
}

// small makes a small call and reads its answer.
func small(conn net.Conn) error {
	if conn == nil {
		return io.ErrClosedPipe // it could not be opened
	}
	if _, err := io.WriteString(conn, "GET "+api+"/shop.json HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || string(b) != "ok" {
		return fmt.Errorf("%d %q %w", resp.StatusCode, b, err)
	}
	return nil
}
