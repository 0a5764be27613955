package listen

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// fakeMachine opens no socket. It refuses addresses that contain one of the keys, with that error.
type fakeMachine struct {
	refuses map[string]error
	asked   []string
	open    int
	port    int
}

type fakeListener struct {
	m    *fakeMachine
	addr string
}

func (l *fakeListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l *fakeListener) Close() error              { l.m.open--; return nil }
func (l *fakeListener) Addr() net.Addr            { a, _ := net.ResolveTCPAddr("tcp", l.addr); return a }

func (m *fakeMachine) listen(a Address) (net.Listener, error) {
	m.asked = append(m.asked, a.String())
	for part, err := range m.refuses {
		if strings.Contains(a.Address, part) {
			return nil, &net.OpError{Op: "listen", Err: os.NewSyscallError("bind", err)}
		}
	}
	m.open++
	address := a.Address
	if host, ok := strings.CutSuffix(address, ":0"); ok {
		m.port++
		address = host + ":" + []string{"", "1001", "1002", "1003"}[m.port]
	}
	return &fakeListener{m, address}, nil
}

func TestLocalhostIsEveryLoopbackAddressThatThereIs(t *testing.T) {
	t.Parallel()
	noIPv6 := map[string]error{"::1": syscall.EADDRNOTAVAIL}
	for _, c := range []struct {
		name, spec string
		refuses    map[string]error
		want       string // what is open
		missing    int
		err        error
	}{
		{"both", "localhost:8080", nil, "127.0.0.1:8080 [::1]:8080", 0, nil},
		{"any_case", "LocalHost:8080", nil, "127.0.0.1:8080 [::1]:8080", 0, nil},
		{"one_port", "localhost:0", nil, "127.0.0.1:1001 [::1]:1001", 0, nil},
		{"no_ipv6", "localhost:8080", noIPv6, "127.0.0.1:8080", 0, nil},
		{"no_ipv6_at_all", "localhost:8080", map[string]error{"::1": syscall.EAFNOSUPPORT}, "127.0.0.1:8080", 0, nil},
		{"no_ipv4", "localhost:0", map[string]error{"127.0.0.1": syscall.EAFNOSUPPORT}, "[::1]:1001", 0, nil},
		{"nothing", "localhost:0", map[string]error{"1": syscall.EAFNOSUPPORT}, "", 0, ErrFamilyMissing},
		{"taken_by_another", "localhost:8080", map[string]error{"::1": syscall.EADDRINUSE}, "", 0, syscall.EADDRINUSE},
		{"one_free_port_is_taken", "localhost:0", map[string]error{"[::1]:1001": syscall.EADDRINUSE}, "127.0.0.1:1002 [::1]:1002", 0, nil},
		{"no_port_is_free_on_both", "localhost:8080", map[string]error{"127": syscall.EADDRINUSE}, "", 0, syscall.EADDRINUSE},
		{"beside_itself", "localhost:8080,[::1]:8080", nil, "127.0.0.1:8080 [::1]:8080", 0, nil},
		{"behind_both", "127.0.0.1:8080,[::1]:8080,localhost:8080", nil, "127.0.0.1:8080 [::1]:8080", 0, nil},
		{"pinned", "acme@localhost:8080", nil, "acme@127.0.0.1:8080 acme@[::1]:8080", 0, nil},
		{"tls", "tls:localhost:8443", nil, "tls:127.0.0.1:8443 tls:[::1]:8443", 0, nil},

		{"listed_and_missing", "[::1]:8080,127.0.0.1:8080", noIPv6, "127.0.0.1:8080", 1, nil},
		{"listed_last_and_missing", "127.0.0.1:8080,[::1]:8080", noIPv6, "127.0.0.1:8080", 1, nil},
		{"any_and_missing", "[::]:8080,127.0.0.1:8080", map[string]error{"::]": syscall.EAFNOSUPPORT}, "127.0.0.1:8080", 1, nil},
		{"missing_and_alone", "[::1]:8080", noIPv6, "", 0, ErrFamilyMissing},
		{"mistyped", "192.0.2.7:8080,127.0.0.1:8080", map[string]error{"192": syscall.EADDRNOTAVAIL}, "", 0, syscall.EADDRNOTAVAIL},
		{"not_allowed", "127.0.0.1:8080,[::1]:80", map[string]error{"::1": syscall.EACCES}, "", 0, syscall.EACCES},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			addresses, err := Parse(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			m := &fakeMachine{refuses: c.refuses}
			opened, missing, err := openEvery(addresses, m.listen)
			if !errors.Is(err, c.err) || len(missing) != c.missing {
				t.Fatalf("%v, missing %v", err, missing)
			}
			var got []string
			for _, l := range opened {
				a := l.Address
				a.Address = l.Listener.Addr().String()
				got = append(got, a.String())
			}
			slices.Sort(got)
			want := strings.Fields(c.want)
			slices.Sort(want)
			if !slices.Equal(got, want) || m.open != len(want) {
				t.Errorf("%q, %d open, want %q; asked for %q", got, m.open, want, m.asked)
			}
		})
	}
}

func TestLocalhostIsReachedAtEitherAddress(t *testing.T) {
	t.Parallel()
	probe, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	_ = probe.Close()
	addresses, err := Parse("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	opened, missing, err := OpenEvery(context.Background(), addresses, OwnerMode)
	if err != nil || len(missing) > 0 || len(opened) != 2 {
		t.Fatalf("%v, %v, %v", opened, missing, err)
	}
	_, port, _ := net.SplitHostPort(opened[0].Listener.Addr().String())
	for i, ip := range []string{"127.0.0.1", "::1"} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", net.JoinHostPort(ip, port))
		if err != nil {
			t.Errorf("%s: %v", ip, err)
			continue
		}
		accepted, err := opened[i].Listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = accepted.Close(), conn.Close()
	}
	if err := closeEvery(opened); err != nil {
		t.Error(err)
	}
}
