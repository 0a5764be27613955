package postgres

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/process"
)

// startPooler runs PgBouncer before the shared server and returns the URL of a database through it. Each transaction gets whichever of
// the server's connections is free.
func startPooler(t *testing.T) (through func(database string) string) {
	t.Helper()
	database(t) // skips where there is no server
	process.RequireProgram(t, "pgbouncer", remedy)
	dir, err := os.MkdirTemp("", "evergate-pgb-") // short, as a socket's path has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	port := process.FreePort(t)
	config := fmt.Sprintf("[databases]\n* = host=%s port=%s user=postgres\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port=%s\nunix_socket_dir=\nauth_type=any\npool_mode=transaction\ndefault_pool_size=8\nmax_client_conn=1000\n", shared.Dir, shared.Port, port)
	file := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "pgbouncer", file)
	if os.Getuid() == 0 { // which it refuses to be
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.ParseUint(u.Uid, 10, 32)
		gid, _ := strconv.ParseUint(u.Gid, 10, 32)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
		if err := os.Chown(dir, int(uid), int(gid)); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	cmd.Dir, cmd.Stderr = dir, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	process.EventuallyWithin(t, time.Minute, 20*time.Millisecond, func() error {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = c.Close()
		}
		return err
	})
	return func(socket string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(socket, "postgres:///"), "?")
		return "postgres://postgres@127.0.0.1:" + port + "/" + name + "?sslmode=disable"
	}
}

func TestItConformsBehindAPoolerOfTransactions(t *testing.T) {
	t.Parallel()
	through := startPooler(t)
	t.Run("own", func(t *testing.T) {
		storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
			socket, _ := database(t)
			return func() token.Backend { return open(t, through(socket), "") }
		})
	})
	t.Run("app", func(t *testing.T) {
		storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
			socket, fitter := appDatabase(t, pgstore.LayoutPrisma), &storetest.Fitter{Most: 255}
			return func() token.Backend { return fitter.Backend(open(t, through(socket), pgstore.LayoutPrisma)) }
		})
	})
}
