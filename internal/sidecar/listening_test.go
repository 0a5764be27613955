package sidecar

import (
	"net"
	"testing"

	"evergate/internal/listen"
)

// bound is a listener of which only the address is of interest.
type bound struct {
	net.Listener
	at net.Addr
}

func (b bound) Addr() net.Addr { return b.at }

func TestToolsAreGivenTheAddressThatMostCanCall(t *testing.T) {
	t.Parallel()
	tcp := func(address string, tls bool) listen.Opened {
		at, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return listen.Opened{Listener: bound{at: at}, Address: listen.Address{Network: "tcp", Address: address, TLS: tls}}
	}
	unix := listen.Opened{Listener: bound{at: &net.UnixAddr{Net: "unix", Name: "/s"}}, Address: listen.Address{Network: "unix", Address: "/s"}}
	for _, c := range []struct {
		want string
		on   []listen.Opened
	}{
		{"http://127.0.0.1:1", []listen.Opened{tcp("127.0.0.1:1", false), tcp("[::1]:1", false)}},
		{"http://[::1]:1", []listen.Opened{tcp("[::1]:1", false)}},
		{"http://127.0.0.1:2", []listen.Opened{unix, tcp("127.0.0.1:1", true), tcp("127.0.0.1:2", false)}},
		{"https://127.0.0.1:1", []listen.Opened{unix, tcp("127.0.0.1:1", true)}},
		{"unix:/s", []listen.Opened{unix}},
		{"http://localhost:3", []listen.Opened{tcp("0.0.0.0:3", false)}},
		{"http://localhost:3", []listen.Opened{tcp("[::]:3", false)}},
		{"https://localhost:3", []listen.Opened{tcp("0.0.0.0:3", true)}},
	} {
		s := &Sidecar{listeners: c.on, adminOn: c.on}
		if got := s.URL(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}
