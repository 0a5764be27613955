package guard

import (
	"net/netip"
	"strings"
	"testing"

	"evergate/internal/access"
	"evergate/internal/denial"
	"evergate/internal/denial/denialtest"
	"evergate/internal/request"
)

func connectRequest(target string) *request.Request {
	return &request.Request{Method: "CONNECT", Target: target, Host: target, Fields: request.Header{}}
}

// tunnels are the targets of CONNECT: what each setting makes of it.
var tunnels = []struct {
	target       string
	shops, other bool // it passes with ShopTunnels, and with AllTunnels
}{
	{"acme.myshopify.com:443", true, true},
	{"ACME.myshopify.com:443", true, true},
	{"example.com:443", false, true},
	{"example.com.:443", false, true},
	{"other.myshopify.com:443", false, true},
	{"8.8.8.8:443", false, true},
	{"[2606:4700::1]:443", false, true},

	{"", false, false},
	{"acme.myshopify.com", false, false},
	{"acme.myshopify.com:", false, false},
	{"acme.myshopify.com:80", false, false},
	{"acme.myshopify.com:0443", false, false},
	{"acme.myshopify.com:+443", false, false},
	{"acme.myshopify.com:443:443", false, false},
	{"acme.myshopify.com.:443", false, false},
	{"x@acme.myshopify.com:443", false, false},
	{"acme.myshopify.com:443/", false, false},
	{"https://acme.myshopify.com:443", false, false},
	{"/acme.myshopify.com:443", false, false},
	{" acme.myshopify.com:443", false, false},
	{"acme.myshopify.com:443 ", false, false},
	{"acme.myshopify.com\x00:443", false, false},
	{"acme%2emyshopify.com:443", false, false},
	{"*:443", false, false},
	{"example.com:8443", false, false},
	{"example.com:22", false, false},
	{"exa mple.com:443", false, false},

	{"localhost:443", false, false},
	{"localhost.:443", false, false},
	{"acme.localhost:443", false, false},
	{"127.0.0.1:443", false, false},
	{"127.1:443", false, false}, // a name to us, and an address to some
	{"0.0.0.0:443", false, false},
	{"10.0.0.1:443", false, false},
	{"100.64.0.1:443", false, false},
	{"169.254.169.254:443", false, false},
	{"172.16.0.1:443", false, false},
	{"192.168.1.1:443", false, false},
	{"224.0.0.1:443", false, false},
	{"255.255.255.255:443", false, false},
	{"2130706433:443", false, false},
	{"0x7f000001:443", false, false},
	{"1.0X7F:443", false, false},
	{"10.0.0.1.:443", false, false},
	{"metadata:443", false, false},
	{"metadata.google.internal:443", false, false},
	{"Printer.LOCAL.:443", false, false},
	{"example.com9:443", false, true},
	{"example.0xyz:443", false, true},
	{"localexample.com:443", false, true},
	{strings.Repeat("a.", 127) + "com:443", false, false},
	{"[::1]:443", false, false},
	{"[::]:443", false, false},
	{"[::ffff:127.0.0.1]:443", false, false},
	{"[::ffff:10.0.0.1]:443", false, false},
	{"[64:ff9b::7f00:1]:443", false, false},
	{"[2002:7f00:1::]:443", false, false},
	{"[fe80::1]:443", false, false},
	{"[fe80::1%eth0]:443", false, false},
	{"[fd00::1]:443", false, false},
	{"[2001:db8::1]:443", false, false},
	{"::1:443", false, false},
	{"[::1:443", false, false},
	{"[]:443", false, false},
}

func TestATunnelLeadsWhereItMay(t *testing.T) {
	t.Parallel()
	for _, c := range tunnels {
		for setting, want := range map[Tunnels]bool{NoTunnels: false, ShopTunnels: c.shops, AllTunnels: c.other} {
			a := newAdmission(t)
			a.tunnels = setting
			got, err := a.AdmitTunnel(connectRequest(c.target))
			switch {
			case !want:
				denialtest.Want(t, c.target, err, denial.CodeDeniedConnect)
			case err != nil:
				t.Errorf("%q, setting %d: %v", c.target, setting, err)
			case got.Ours != strings.EqualFold(c.target, "acme.myshopify.com:443"):
				t.Errorf("%q is taken for %+v", c.target, got)
			}
		}
	}
}

func TestATunnelIsForThoseWhoMayCall(t *testing.T) {
	t.Parallel()
	a := newAdmission(t)
	a.tunnels = AllTunnels
	who, err := access.New(access.Options{Policy: "none"})
	if err != nil {
		t.Fatal(err)
	}
	a.access = who
	_, err = a.AdmitTunnel(connectRequest("example.com:443"))
	denialtest.Want(t, "policy none", err, denial.CodeDeniedConnect)
	if _, err = a.AdmitTunnel(connectRequest("acme.myshopify.com:443")); err != nil {
		t.Errorf("what is asked inside is judged there: %v", err)
	}
	withBody := connectRequest("acme.myshopify.com:443")
	for _, length := range []int64{1, -1} {
		withBody.Length = length
		_, err = a.AdmitTunnel(withBody)
		denialtest.Want(t, "a body", err, denial.CodeDeniedConnect)
	}
}

func TestAddressesOfNobodyAreNotPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"1.1.1.1": true, "23.227.38.65": true, "2620:127:f00f:5::1": true, "::ffff:1.1.1.1": true,
		"127.8.9.10": false, "192.88.99.1": false, "198.18.0.1": false, "203.0.113.9": false, "240.0.0.1": false,
		"fec0::1": false, "ff02::1": false, "2001::1": false, "3fff::1": false, "100::1": false, "64:ff9b:1::1": false, "::7f00:1": false, "5f00::1": false,
	} {
		if got := IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
}

func FuzzConnectTarget(f *testing.F) {
	for _, c := range tunnels {
		f.Add(c.target)
	}
	f.Fuzz(func(t *testing.T, target string) {
		a := newAdmission(t)
		a.tunnels = ShopTunnels
		got, err := a.AdmitTunnel(connectRequest(target))
		if (err == nil) != strings.EqualFold(target, "acme.myshopify.com:443") {
			t.Fatalf("%q: %+v, %v", target, got, err)
		}
		a.tunnels = AllTunnels
		if got, err := a.AdmitTunnel(connectRequest(target)); err == nil && (!strings.HasSuffix(target, ":443") || !strings.Contains(strings.ToLower(target), strings.Trim(strings.ToLower(got.Host), "[]"))) {
			t.Fatalf("%q leads to %q", target, got.Host)
		}
	})
}
