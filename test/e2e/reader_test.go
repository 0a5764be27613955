package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

// unheard is a child whose output goes where the test says, which then does not read it.
type unheard struct {
	cmd  *exec.Cmd
	done chan error
}

func startUnheard(t *testing.T, environ []string, out, err *os.File, args ...string) *unheard {
	t.Helper()
	u := &unheard{cmd: process.Command(t, binary, environ, args...), done: make(chan error, 1)}
	if out != nil {
		u.cmd.Stdout = out
	}
	if err != nil {
		u.cmd.Stderr = err
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { u.done <- u.cmd.Wait() }()
	t.Cleanup(func() { _ = u.cmd.Process.Kill() })
	return u
}

// mustExit waits for the child's end and wants it to be with a code.
func (u *unheard) mustExit(t *testing.T, want int) {
	t.Helper()
	select {
	case err := <-u.done:
		var exit *exec.ExitError
		if code := u.cmd.ProcessState.ExitCode(); code != want || err != nil && !errors.As(err, &exit) {
			t.Errorf("%v, want exit code %d", err, want)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// pipe returns the two ends of one; the test keeps the first and gives the second to a child.
func pipe(t *testing.T) (mine, childs *os.File) {
	t.Helper()
	mine, childs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = mine.Close(), childs.Close() })
	return mine, childs
}

// serveUnheard starts `serve` with its log on stderr and waits until it has a token. It is called through sockets,
// because nobody reads in the log where it listens.
func (s *shopify) serveUnheard(t *testing.T, stderr *os.File) (u *unheard, tools, admin *http.Client) {
	t.Helper()
	dir := publicDir(t)
	u = startUnheard(t, s.environ("EVERGATE_ACCESS_LOG=all", "EVERGATE_LISTEN=unix:"+filepath.Join(dir, "t"), "EVERGATE_ADMIN_LISTEN=unix:"+filepath.Join(dir, "a")),
		nil, stderr, "serve")
	tools, admin = newClient(t, "unix", filepath.Join(dir, "t")), newClient(t, "unix", filepath.Join(dir, "a"))
	process.Eventually(t, func() error {
		_, err := body(admin, "/readyz")
		return err
	})
	return u, tools, admin
}

// body is what a listener answers with 200.
func body(c *http.Client, path string) (string, error) {
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// callUntilDropped calls until lines of the access log were dropped, at least `least` times. Every call must be answered.
func callUntilDropped(t *testing.T, tools, admin *http.Client, least int) {
	t.Helper()
	for called := 0; ; {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					if _, err := body(tools, api+"/shop.json"); err != nil {
						t.Errorf("after %d calls: %v", called, err)
						return
					}
				}
			})
		}
		all.Wait()
		called += 400
		scrape, err := body(admin, "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		dropped, found := process.Metric(scrape, "evergate_log_lines_dropped_total")
		switch {
		case !found:
			t.Fatal("there is no evergate_log_lines_dropped_total")
		case dropped > 0 && called >= least:
			return
		case called > 20_000:
			t.Fatalf("%d calls, and no line is dropped", called)
		}
	}
}

func TestALogThatNobodyReadsHoldsUpNothing(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	mine, childs := pipe(t)
	u, tools, admin := shop.serveUnheard(t, childs)
	callUntilDropped(t, tools, admin, 0)
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.mustExit(t, 0)
	// What the pipe took is whole lines, in order.
	_ = childs.Close()
	lines := bufio.NewScanner(mine)
	count := 0
	for ; lines.Scan(); count++ {
		if !strings.HasPrefix(lines.Text(), `{"time":`) && count < 10 {
			t.Errorf("%q", lines.Text())
		}
	}
	if count < 10 {
		t.Errorf("%d lines", count)
	}
}

func TestALogWhoseReaderHasGoneEndsNothing(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	mine, childs := pipe(t)
	u, tools, admin := shop.serveUnheard(t, childs)
	_ = mine.Close()
	callUntilDropped(t, tools, admin, 0)
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.mustExit(t, 0)
}

func TestALogOnAFullDiskEndsNothing(t *testing.T) {
	t.Parallel()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full: ", err)
	}
	defer full.Close()
	shop := newShopify(t, shopOptions{Settings: wide(time.Hour)})
	u, tools, admin := shop.serveUnheard(t, full)
	callUntilDropped(t, tools, admin, 0)
	if err := u.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	u.mustExit(t, 0)
}

func TestRunNeedsNobodyWhoReadsItsLog(t *testing.T) {
	t.Parallel()
	shop := newShopify(t, shopOptions{})
	mine, childs := pipe(t)
	_ = mine.Close()
	u := startUnheard(t, shop.runEnviron("EVERGATE_LOG_LEVEL=debug"), nil, childs, append([]string{"run", "--"}, commandLine("exit", "7")...)...)
	u.mustExit(t, 7)
}

// What it has to say goes to standard output as well.
func TestTheDemoNeedsNobodyWhoReads(t *testing.T) {
	t.Parallel()
	mine, childs := pipe(t)
	u := startUnheard(t, []string{"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_LEVEL=debug"}, childs, childs, "demo")
	read := bufio.NewScanner(mine)
	url := ""
	for url == "" && read.Scan() {
		if _, after, ok := strings.Cut(read.Text(), "curl "); ok && strings.HasSuffix(after, "/shop.json") {
			url = after
		}
	}
	if url == "" {
		t.Fatal("it does not say how to call it")
	}
	_ = mine.Close()
	client := newClient(t, "", "")
	for range 20 {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	u.mustExit(t, 0)
}
