//go:build linux

package network

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"

	"evergate/test/process"
)

// namespace is a network of one machine, which a cable connects to this one.
type namespace struct {
	name, cable         string
	here, before, after string // addresses: ours, the other end's, and what that is to become
}

var made atomic.Int32

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	const remedy = "sudo go test ./test/network, with iproute2"
	process.RequireProgram(t, "ip", remedy)
	id := os.Getpid()*8%1000*8 + int(made.Add(1))
	subnet := freeSubnet(t, os.Getpid()+int(made.Load()))
	n := &namespace{
		name: fmt.Sprintf("evergate-%d", id), cable: fmt.Sprintf("evg%d", id),
		here: subnet + "1", before: subnet + "2", after: subnet + "3",
	}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		process.Missing(t, fmt.Sprintf("no network namespace can be made: %s", out), remedy)
	}
	t.Cleanup(func() { n.ip(t, "netns", "del", n.name) })
	n.ip(t, "link", "add", n.cable, "type", "veth", "peer", "name", "eth0", "netns", n.name)
	t.Cleanup(func() { n.ip(t, "link", "del", n.cable) }) // sockets of the dead may keep the namespace for a while
	n.ip(t, "addr", "add", n.here+"/24", "dev", n.cable)
	n.ip(t, "link", "set", n.cable, "up")
	n.inside(t, "addr", "add", n.before+"/24", "dev", "eth0")
	n.inside(t, "link", "set", "eth0", "up")
	n.inside(t, "link", "set", "lo", "up")
	return n
}

// freeSubnet returns the first three numbers of a network for measurements (RFC 2544) on which this machine has no address yet: another
// run may be under way, or have been killed.
func freeSubnet(t *testing.T, start int) string {
	t.Helper()
	const networks = 512
	taken := map[string]bool{}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			four := n.IP.To4()
			taken[fmt.Sprintf("%d.%d.%d.", four[0], four[1], four[2])] = true
		}
	}
	for i := range networks {
		k := (start + i) % networks
		if subnet := fmt.Sprintf("198.%d.%d.", 18+k/256, k%256); !taken[subnet] {
			return subnet
		}
	}
	t.Fatal("no network is free")
	return ""
}

func (n *namespace) ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v: %s", args, err, out)
	}
}

func (n *namespace) inside(t *testing.T, args ...string) {
	t.Helper()
	n.ip(t, append([]string{"-n", n.name}, args...)...)
}

// changeAddress is another Wi-Fi: the address of the connections there are is gone.
func (n *namespace) changeAddress(t *testing.T) {
	t.Helper()
	n.inside(t, "addr", "del", n.before+"/24", "dev", "eth0")
	n.inside(t, "addr", "add", n.after+"/24", "dev", "eth0")
}

// loseAnswers is a NAT that has forgotten the connections there are: what is sent arrives, and what comes back
// does not. New connections have another address.
func (n *namespace) loseAnswers(t *testing.T) {
	t.Helper()
	n.ip(t, "route", "add", "blackhole", n.before+"/32")
	t.Cleanup(func() { n.ip(t, "route", "del", "blackhole", n.before+"/32") })
	n.useNewAddress(t)
}

// loseRequests is the same in the other direction.
func (n *namespace) loseRequests(t *testing.T) {
	t.Helper()
	n.inside(t, "rule", "add", "from", n.before+"/32", "blackhole")
	n.useNewAddress(t)
}

func (n *namespace) useNewAddress(t *testing.T) {
	t.Helper()
	n.inside(t, "addr", "add", n.after+"/24", "dev", "eth0")
	n.inside(t, "route", "replace", n.here+"/32", "dev", "eth0", "src", n.after)
}
