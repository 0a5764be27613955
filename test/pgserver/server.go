// Package pgserver runs a PostgreSQL server of its own for tests: private data, a Unix socket and a port of the loopback.
package pgserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Password is that of the superuser postgres over TCP; over the socket there is none.
const Password = "pa55:w/rd@%"

// Server is one that runs, or has been killed.
type Server struct {
	// Dir has the socket, Port is that of both ways to it.
	Dir, Port string

	bin, data  string
	credential *syscall.Credential
	log        *os.File
	mu         sync.Mutex
	cmd        *exec.Cmd
	databases  atomic.Int64
}

// ErrMissing says that PostgreSQL is not installed.
var ErrMissing = errors.New("PostgreSQL's server is not installed")

// Start makes a server. Stop has to be called.
func Start() (*Server, error) {
	bin, err := findBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "evergate-pg-") // short: the path of a socket has 107 bytes
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, bin: bin, data: filepath.Join(dir, "data")}
	if err := s.make(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// findBin returns the directory of the newest version that Debian has installed, or that of the path.
func findBin() (string, error) {
	all, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	slices.SortFunc(all, func(a, b string) int { return version(a) - version(b) })
	if len(all) > 0 {
		return filepath.Dir(all[len(all)-1]), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrMissing
	}
	return filepath.Dir(initdb), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

func (s *Server) make() error {
	if err := s.asPostgres(); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.Dir, "log"))
	if err != nil {
		return err
	}
	s.log = log
	password := filepath.Join(s.Dir, "password")
	if err := os.WriteFile(password, []byte(Password+"\n"), 0o644); err != nil {
		return err
	}
	initdb := s.command("initdb", "-D", s.data, "-U", "postgres", "-E", "UTF8", "--no-locale", "--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile="+password)
	if err := initdb.Run(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, s.Log())
	}
	if s.Port, err = freePort(); err != nil {
		return err
	}
	return s.Run()
}

// asPostgres has the programs run as another user where this one is root, because they refuse to be.
func (s *Server) asPostgres() error {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return fmt.Errorf("the server does not run as root, and %w", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	s.credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.Dir, int(uid), int(gid))
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Dir = s.Dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential, Setpgid: true}
	return cmd
}

// Run starts the server, also after Kill, and waits until it answers.
func (s *Server) Run() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cmd = s.command("postgres", "-D", s.data, "-k", s.Dir, "-p", s.Port, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal")
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(time.Minute); ; {
		err := s.ask("SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the server does not come up: %w: %s", err, s.Log())
		}
		time.Sleep(50 * time.Millisecond) // for a process that has no event to wait for
	}
}

// Kill ends the server as a crash does: all of its processes at once, nothing written.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	pid := s.cmd.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP) // it makes no more processes
	all := children(pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for _, child := range all {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	_ = s.cmd.Wait()
	s.cmd = nil
	// They share memory, and while one is there no other server starts on the data.
	for _, child := range all {
		for deadline := time.Now().Add(10 * time.Second); syscall.Kill(child, 0) == nil && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond) // for a process that is not ours to wait for
		}
	}
}

// children are the processes that a process has started: each of the server's is in a session of its own.
func children(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, stat := range stats {
		b, _ := os.ReadFile(stat)
		// The name, in brackets, may hold anything; after it come the state and the parent.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			all = append(all, child)
		}
	}
	return all
}

// Stop ends the server and removes all of it.
func (s *Server) Stop() {
	s.Kill()
	if s.log != nil {
		_ = s.log.Close()
	}
	_ = os.RemoveAll(s.Dir)
}

// Log is what the server's programs have written.
func (s *Server) Log() string {
	b, _ := os.ReadFile(filepath.Join(s.Dir, "log"))
	return string(b)
}

// Database makes an empty one and returns the URL over the socket and over TCP.
func (s *Server) Database(t testing.TB) (socket, tcp string) {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.ask("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return s.URLs(name)
}

// URLs are those of a database.
func (s *Server) URLs(database string) (socket, tcp string) {
	socket = "postgres:///" + database + "?user=postgres&host=" + url.QueryEscape(s.Dir) + "&port=" + s.Port
	tcp = (&url.URL{Scheme: "postgres", User: url.UserPassword("postgres", Password), Host: "127.0.0.1:" + s.Port, Path: "/" + database, RawQuery: "sslmode=disable"}).String()
	return socket, tcp
}

func (s *Server) ask(sql string) error {
	socket, _ := s.URLs("postgres")
	_, err := Exec(socket, sql)
	return err
}

// Exec runs statements in one session and returns the rows of the last one, as text.
func Exec(databaseURL, sql string) (rows [][]string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := pgconn.Connect(ctx, databaseURL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(ctx) }()
	results, err := c.Exec(ctx, sql).ReadAll()
	if err != nil || len(results) == 0 {
		return nil, err
	}
	for _, r := range results[len(results)-1].Rows {
		var row []string
		for _, v := range r {
			row = append(row, string(v))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}
