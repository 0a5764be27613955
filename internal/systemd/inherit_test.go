//go:build unix

package systemd

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// heir is set in the environment of a process of this test that inherits sockets.
const heir = "EVERGATE_TEST_HEIR"

func TestMain(m *testing.M) {
	if os.Getenv(heir) != "" {
		os.Exit(inheritAndAnswer())
	}
	os.Exit(m.Run())
}

// inheritAndAnswer answers one connection on each socket with its name and address.
func inheritAndAnswer() int {
	pid := os.Getpid()
	sockets, err := Sockets(append(os.Environ(), "LISTEN_PID="+strconv.Itoa(pid)), pid)
	if err != nil {
		fmt.Println(err)
		return 3
	}
	fmt.Println(len(sockets), "sockets")
	// What a program that we start has open: the sockets must not be among it.
	out, _ := exec.Command("sh", "-c", "for fd in 3 4 5; do if { true <&$fd; } 2>/dev/null; then echo $fd is open; fi; done").Output()
	fmt.Print(string(out))
	var answering sync.WaitGroup
	for _, s := range sockets {
		answering.Go(func() {
			conn, err := s.Listener.Accept()
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Fprint(conn, s.Name, " ", s.Listener.Addr())
			_ = conn.Close()
			_ = s.Listener.Close()
		})
	}
	answering.Wait()
	return 0
}

// bequeath runs the heir with these descriptors from 3 on. It returns what was printed.
func bequeath(t *testing.T, names string, count int, files ...*os.File) (wait func() (string, error)) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), heir+"=1", "LISTEN_FDS="+strconv.Itoa(count), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = files
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (string, error) { err := cmd.Wait(); return out.String(), err }
}

func fileOf(t *testing.T, l interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestSocketsThatWerePassedAnswer(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	path := filepath.Join(t.TempDir(), "s")
	unix, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close()
	wait := bequeath(t, "evergate:admin", 2, fileOf(t, tcp.(*net.TCPListener)), fileOf(t, unix.(*net.UnixListener)))
	for l, want := range map[net.Listener]string{tcp: "evergate ", unix: "admin "} {
		conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(conn)
		if err != nil || string(answer) != want+l.Addr().String() {
			t.Errorf("%q, %v", answer, err)
		}
	}
	if said, err := wait(); err != nil || said != "2 sockets\n" {
		t.Errorf("%q, %v", said, err)
	}
	// The file of a socket that somebody else has made is not ours to remove.
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoListenerIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tc := range map[string]struct {
		files []*os.File
		count int
		want  string
	}{
		"connection": {[]*os.File{fileOf(t, conn.(*net.TCPConn))}, 1, "Accept=no"},
		"datagram":   {[]*os.File{fileOf(t, udp.(*net.UDPConn))}, 1, "ListenStream="},
		"file":       {[]*os.File{file}, 1, "no socket"},
		"missing":    {[]*os.File{fileOf(t, l.(*net.TCPListener))}, 3, "LISTEN_FDS counts"},
	} {
		said, err := bequeath(t, "a:b:c", tc.count, tc.files...)()
		if err == nil || !strings.Contains(said, tc.want) {
			t.Errorf("%s: %q, %v", name, said, err)
		}
	}
}
