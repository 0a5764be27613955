package redis

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/redisstore"
	"evergate/internal/token"
	"evergate/test/process"
)

// server is a Redis. It keeps its port and its directory when it is started again.
type server struct {
	*process.Process
	port string
	args []string
	// cli is what redis-cli needs to be let in.
	cli []string
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

// start runs a server with these settings, each an option of redis-server's command line.
func start(t testing.TB, settings ...string) *server {
	t.Helper()
	s := &server{port: process.FreePort(t)}
	s.args = append([]string{"--port", s.port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--daemonize", "no"}, settings...)
	s.again(t)
	return s
}

// again starts a server that has ended; more are options of this time alone.
func (s *server) again(t testing.TB, more ...string) {
	t.Helper()
	process.RequireProgram(t, "redis-server", "scripts/install-test-deps")
	s.Process = process.Start(t, process.Command(t, "redis-server", nil, slices.Concat(s.args, more)...))
	s.AwaitText(t, &s.Out, "a server that accepts connections", func(text string) bool {
		return strings.Contains(text, "Ready to accept connections")
	})
}

// do runs a command at the server and returns what it answers.
func (s *server) do(t testing.TB, command ...string) string {
	t.Helper()
	out, err := s.try(command...)
	if err != nil {
		t.Fatalf("redis-cli %s: %v: %s", command, err, out)
	}
	return out
}

func (s *server) try(command ...string) (string, error) {
	cmd := exec.Command("redis-cli", append(append([]string{"-p", s.port, "-e"}, s.cli...), command...)...)
	out, err := process.Output(cmd)
	return strings.TrimSpace(out), err
}

// startCluster starts three masters and so many replicas for each.
func startCluster(t testing.TB, replicas int) []*server {
	t.Helper()
	var all []*server
	create := []string{"--cluster", "create"}
	for range 3 + 3*replicas {
		s := start(t, "--cluster-enabled", "yes", "--cluster-port", process.FreePort(t), "--cluster-node-timeout", "2000")
		all = append(all, s)
		create = append(create, s.address())
	}
	if out, err := process.Output(exec.Command("redis-cli", append(create, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")...)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	process.Eventually(t, func() error {
		for _, s := range all {
			info := s.do(t, "CLUSTER", "INFO")
			if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(len(all))) {
				return fmt.Errorf("%s: %s", s.address(), info)
			}
		}
		return nil
	})
	return all
}

// fleet is a master, a replica of it, and Sentinel.
type fleet struct {
	master, replica *server
	sentinel        *server
}

func startFleet(t testing.TB) *fleet {
	t.Helper()
	atOnce := []string{"--repl-diskless-sync-delay", "0"} // no other replica will come
	f := &fleet{master: start(t, atOnce...)}
	f.replica = start(t, append(atOnce, "--replicaof", "127.0.0.1 "+f.master.port)...)
	process.Eventually(t, func() error {
		if info := f.master.do(t, "INFO", "replication"); !strings.Contains(info, "state=online") {
			return fmt.Errorf("no replica: %s", info)
		}
		return nil
	})
	// Until it has said that it has all there was, it is told of nothing new.
	f.master.do(t, "SET", "streams", "yes")
	process.Eventually(t, func() error {
		if got := f.replica.do(t, "GET", "streams"); got != "yes" {
			return fmt.Errorf("the replica is not told of what is written: %q", got)
		}
		return nil
	})
	dir := t.TempDir()
	f.sentinel = &server{port: process.FreePort(t)}
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor shops 127.0.0.1 %s 1\nsentinel down-after-milliseconds shops 1000\nsentinel failover-timeout shops 3000\n",
		f.sentinel.port, dir, f.master.port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.sentinel.Process = process.Start(t, process.Command(t, "redis-server", nil, conf, "--sentinel"))
	process.Eventually(t, func() error {
		out, err := f.sentinel.try("SENTINEL", "replicas", "shops")
		if err != nil || !strings.Contains(out, f.replica.port) {
			return fmt.Errorf("Sentinel knows no replica: %w: %s", err, out)
		}
		return nil
	})
	return f
}

func (f *fleet) url() string { return "redis://" + f.sentinel.address() + "?master_set=shops" }

// failover kills the master and waits until the replica is one.
func (f *fleet) failover(t testing.TB) {
	t.Helper()
	f.master.Kill()
	process.Eventually(t, func() error {
		// A server that changes its part closes its connections.
		if info, err := f.replica.try("INFO", "replication"); err != nil || !strings.Contains(info, "role:master") {
			return fmt.Errorf("no failover yet: %w, %s", err, info)
		}
		return nil
	})
	f.master, f.replica = f.replica, f.master
}

// keys are those of all tests.
func keys(t testing.TB) envelope.Keys {
	t.Helper()
	key, err := envelope.ParseKey(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	return envelope.Keys{Current: key}
}

func open(t testing.TB, url string) *redisstore.Backend {
	t.Helper()
	b, err := redisstore.Open(url, keys(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func storeOf(t testing.TB, b token.Backend, name string) token.Store {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Shop(shop)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record is one of a shop, with a generation to tell it by.
func record(name string, generation uint64) token.Record {
	return token.Record{
		Shop: name + ".myshopify.com", Generation: generation,
		Current: token.Pair{Token: token.Token{Access: token.NewSecret("shpat_" + name), Life: time.Hour}},
	}
}
