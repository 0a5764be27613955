package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// at returns an authority that rests in dir, and what it logs.
func at(dir string) (*Authority, *bytes.Buffer) {
	var logged bytes.Buffer
	a := Open(func() (string, error) { return dir, nil })
	a.WarnTo(slog.New(slog.NewTextHandler(&logged, nil)))
	return a, &logged
}

// every makes leaves for all names that an authority signs for.
func every(a *Authority) *Leaves { return a.Leaves(LeafOptions{Allows: Signs}) }

func roots(t *testing.T, a *Authority) *x509.CertPool {
	t.Helper()
	text, err := a.Roots()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatal("no roots")
	}
	return pool
}

// verify checks a chain as a client does that called name.
func verify(t *testing.T, c *tls.Certificate, name string, roots *x509.CertPool) error {
	t.Helper()
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	between := x509.NewCertPool()
	for _, der := range c.Certificate[1:] {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(issuer)
	}
	_, err = leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: time.Now()})
	return err
}

func leafFor(t *testing.T, l *Leaves, name string) *tls.Certificate {
	t.Helper()
	c, err := l.For(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNothingIsMadeBeforeItIsNeeded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "ca")
	a, logged := at(dir)
	leaves := every(a)
	if c, err := leaves.Certificate(&tls.ClientHelloInfo{ServerName: "example.com"}); c != nil || err != nil {
		t.Errorf("%v, %v", c, err)
	}
	if s, err := a.Status(); err != nil || s != (Status{Place: dir}) {
		t.Errorf("%+v, %v", s, err)
	}
	if at, used := a.Ends(); used {
		t.Errorf("one that ends at %s is used", at)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("a directory was made")
	}
	logged.Reset() // of the name that is not served
	roots(t, a)
	s, err := a.Status()
	if left := time.Until(s.Ends); err != nil || left < life-time.Minute || left > life || !s.SuccessorEnds.IsZero() || s.Near() {
		t.Errorf("%+v, %v", s, err)
	}
	if at, used := a.Ends(); !used || at.Unix() != s.Ends.Unix() {
		t.Errorf("it ends at %s, used: %v, want %s", at, used, s.Ends)
	}
	if logged.Len() > 0 {
		t.Errorf("%s", logged)
	}
}

func TestProcessesThatBeginTogetherHaveOneAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	texts := make([]string, 16)
	var all sync.WaitGroup
	for i := range texts {
		all.Go(func() {
			a, _ := at(dir)
			text, err := a.Roots()
			if err != nil {
				t.Error(err)
			}
			texts[i] = string(text)
		})
	}
	all.Wait()
	slices.Sort(texts)
	if got := slices.Compact(texts); len(got) != 1 || strings.Count(got[0], "BEGIN CERTIFICATE") != 1 {
		t.Errorf("%d authorities: %s", len(got), got)
	}
}

func TestLeafIsForItsNamesAndVerifies(t *testing.T) {
	t.Parallel()
	a, _ := at(memorySpec)
	pool, leaves := roots(t, a), every(a)
	for name, also := range map[string][]string{
		"acme.myshopify.com": nil, "ACME.myshopify.com": {"acme.myshopify.com"}, "acme.localhost": nil,
		"localhost": {"127.0.0.1", "::1"},
	} {
		c := leafFor(t, leaves, name)
		for _, n := range append(also, name) {
			if err := verify(t, c, n, pool); err != nil {
				t.Errorf("%s: %v", n, err)
			}
		}
		if err := verify(t, c, "beta.myshopify.com", pool); err == nil {
			t.Errorf("that of %s is for another, too", name)
		}
		if len(c.Certificate) != 2 {
			t.Errorf("%d certificates in the chain", len(c.Certificate))
		}
	}
	first, second := leafFor(t, leaves, "acme.myshopify.com"), leafFor(t, leaves, "Acme.MyShopify.com")
	if first != second {
		t.Error("a leaf was not remembered")
	}
}

func TestNoLeafIsMadeForOtherNames(t *testing.T) {
	t.Parallel()
	a, _ := at(memorySpec)
	all, none := every(a), a.Leaves(LeafOptions{})
	for _, name := range []string{
		"example.com", "myshopify.com.example.com", "xmyshopify.com", "acme.myshopify.com.", ".myshopify.com", "*.myshopify.com", "a..myshopify.com",
		"-a.myshopify.com", "a b.myshopify.com", "a\x00.myshopify.com", "acme.myshopify.com:443", "10.0.0.1", "127.0.0.1", "::2", "[::1]", "localhost.example.com",
		strings.Repeat("a", 64) + ".localhost", strings.Repeat("a.", 130) + "localhost",
	} {
		if c, err := all.For(name); c != nil || err == nil {
			t.Errorf("%q: %v, %v", name, c, err)
		}
		if name == "127.0.0.1" {
			continue // a client that sends an address has named nobody
		}
		if c, err := all.Certificate(&tls.ClientHelloInfo{ServerName: name}); c != nil || err != nil {
			t.Errorf("%q: %v, %v", name, c, err)
		}
	}
	if c, err := none.Certificate(&tls.ClientHelloInfo{ServerName: "acme.myshopify.com"}); c != nil || err != nil {
		t.Errorf("one that is not allowed: %v, %v", c, err)
	}
	if c, err := none.Certificate(&tls.ClientHelloInfo{ServerName: "localhost"}); c == nil || err != nil {
		t.Errorf("localhost: %v, %v", c, err)
	}
}

// called is a connection to an address.
type called struct {
	net.Conn
	ip net.IP
}

func (c called) LocalAddr() net.Addr { return &net.TCPAddr{IP: c.ip, Port: 443} }

func TestClientThatNamesNobodyGetsAllNames(t *testing.T) {
	t.Parallel()
	a, _ := at(memorySpec)
	pool := roots(t, a)
	shops := []string{"acme.myshopify.com", "example.com"}
	for range 2 * maxUnnamed {
		shops = append(shops, "other.myshopify.com")
	}
	l := a.Leaves(LeafOptions{Unnamed: func() []string { return shops }})
	for _, hello := range []*tls.ClientHelloInfo{{}, {ServerName: "127.0.0.1"}, {Conn: called{ip: net.IPv4(10, 0, 0, 1)}}, {Conn: called{ip: net.IPv6loopback}}, {Conn: called{ip: net.IPv4(127, 0, 0, 2)}}} {
		c, err := l.Certificate(hello)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"localhost", "127.0.0.1", "::1", "acme.myshopify.com"} {
			if err := verify(t, c, name, pool); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if leaf, err := x509.ParseCertificate(c.Certificate[0]); err != nil || len(leaf.DNSNames)+len(leaf.IPAddresses) > maxUnnamed || slices.Contains(leaf.DNSNames, "example.com") {
			t.Errorf("%v, %v", leaf.DNSNames, err)
		}
		if hello.Conn != nil && hello.Conn.LocalAddr().(*net.TCPAddr).IP.IsLoopback() {
			if err := verify(t, c, hello.Conn.LocalAddr().(*net.TCPAddr).IP.String(), pool); err != nil {
				t.Error(err)
			}
		}
	}
}

// The names are those that strict clients and the oldest ones insist on.
func TestCertificatesAreStrict(t *testing.T) {
	t.Parallel()
	a, _ := at(memorySpec)
	g, err := a.generations()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(leafFor(t, every(a), "acme.myshopify.com").Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	root, issuer := g[0].root, g[0].issuer
	if len(root.PermittedDNSDomains) > 0 || root.MaxPathLen != 1 || root.KeyUsage != x509.KeyUsageCertSign {
		t.Errorf("the root: %+v", root)
	}
	if !issuer.PermittedDNSDomainsCritical || !issuer.MaxPathLenZero || issuer.MaxPathLen != 0 || !slices.Equal(issuer.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Errorf("the issuer: %+v", issuer)
	}
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature || leaf.Subject.CommonName != "" || len(leaf.Subject.String()) == 0 {
		t.Errorf("the leaf: %+v", leaf)
	}
	for _, c := range []struct{ child, parent *x509.Certificate }{{issuer, root}, {leaf, issuer}} {
		if len(c.child.AuthorityKeyId) == 0 || !bytes.Equal(c.child.AuthorityKeyId, c.parent.SubjectKeyId) || c.child.SerialNumber.Sign() <= 0 {
			t.Errorf("%s: %x, %x, %d", c.child.Subject, c.child.AuthorityKeyId, c.parent.SubjectKeyId, c.child.SerialNumber)
		}
	}
	if g[0].key.PublicKey.Equal(root.PublicKey) || !g[0].key.PublicKey.Equal(issuer.PublicKey.(*ecdsa.PublicKey)) {
		t.Error("the key that is kept is not the issuer's alone")
	}
}

func TestAuthorityIsFollowedByAnotherBeforeItsEnd(t *testing.T) {
	t.Parallel()
	const name = "acme.myshopify.com"
	for _, place := range []string{memorySpec, filepath.Join(t.TempDir(), "ca")} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			a, logged := at(place)
			leaves, old := every(a), roots(t, a)
			for _, c := range []struct {
				age   time.Duration
				roots int
				old   bool // the leaf is by the first one
			}{
				{0, 1, true}, {leafLife + day, 1, true}, {life - successor - day, 1, true}, {life - successor + day, 2, true},
				{life - handover - time.Hour, 2, true}, {life - handover + time.Hour, 2, false}, {life + time.Hour, 1, false}, {2*life - handover - successor, 2, false},
			} {
				time.Sleep(c.age - time.Since(began))
				text, err := a.Roots()
				if err != nil || strings.Count(string(text), "BEGIN") != c.roots {
					t.Errorf("%s after %s: %v, %s", place, c.age, err, text)
				}
				leaf := leafFor(t, leaves, name)
				if err := verify(t, leaf, name, roots(t, a)); err != nil {
					t.Errorf("%s after %s: %v", place, c.age, err)
				}
				if err := verify(t, leaf, name, old); (err == nil) != c.old {
					t.Errorf("%s after %s: by the first root: %v", place, c.age, err)
				}
				if s, err := a.Status(); err != nil || s.Near() != (c.roots > 1) || s.SuccessorEnds.IsZero() == s.Near() {
					t.Errorf("%s after %s: %+v, %v", place, c.age, s, err)
				}
			}
			if n := strings.Count(logged.String(), "evergate ca install"); n < 2 {
				t.Errorf("warned %d times: %s", n, logged)
			}
			if place == memorySpec {
				return
			}
			if entries, err := os.ReadDir(place); err != nil || len(entries) != 3 { // two, and the lock
				t.Errorf("%v, %v", entries, err)
			}
		})
	}
}

func TestLeafIsRenewedInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, _ := at(memorySpec)
		pool, leaves := roots(t, a), every(a)
		last, renewed := leafFor(t, leaves, localhost), 0
		for range 90 {
			time.Sleep(day)
			c := leafFor(t, leaves, localhost)
			if c != last {
				renewed++
			}
			last = c
			if err := verify(t, c, localhost, pool); err != nil {
				t.Fatal(err)
			}
		}
		if renewed != 4 {
			t.Errorf("renewed %d times in 90 days", renewed)
		}
	})
}

func TestChangeOfTheDirectoryIsNoticed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "ca")
	synctest.Test(t, func(t *testing.T) {
		a, logged := at(dir)
		leaves := every(a)
		first := leafFor(t, leaves, localhost)
		old := roots(t, a)
		// It cannot be read for a while, and nothing happens.
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * lookAgain)
		if c := leafFor(t, leaves, localhost); c != first || !strings.Contains(logged.String(), "not a directory") {
			t.Errorf("another leaf; logged: %s", logged)
		}
		// Somebody makes another one.
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		other, _ := at(dir)
		fresh := roots(t, other)
		time.Sleep(2 * lookAgain)
		c := leafFor(t, leaves, localhost)
		if verify(t, c, localhost, fresh) != nil || verify(t, c, localhost, old) == nil {
			t.Error("the leaf is not by the authority that is there now")
		}
	})
}

func TestLeavesAreMadeByManyAtOnce(t *testing.T) {
	t.Parallel()
	a, _ := at(memorySpec)
	leaves := every(a)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 40 {
				name := string(rune('a'+i%20)) + ".myshopify.com"
				if c, err := leaves.For(name); err != nil || c == nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestLeafThatIsRememberedCostsNothing(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the whole process's
	a, _ := at(memorySpec)
	leaves := every(a)
	hello := &tls.ClientHelloInfo{ServerName: "acme.myshopify.com"}
	if n := testing.AllocsPerRun(100, func() { _, _ = leaves.Certificate(hello) }); n > 0 {
		t.Errorf("a leaf that is remembered costs %v allocations", n)
	}
}

func TestANameThatIsNotServedIsLoggedWithThoseThatAre(t *testing.T) {
	t.Parallel()
	a, logged := at(memorySpec)
	leaves := a.Leaves(LeafOptions{
		Allows:  func(name string) bool { return name == "acme.myshopify.com" },
		Unnamed: func() []string { return []string{"acme.myshopify.com"} },
	})
	for _, name := range []string{"other.myshopify.com", strings.Repeat("a", 60_000) + "end"} {
		logged.Reset()
		if c, err := leaves.Certificate(&tls.ClientHelloInfo{ServerName: name}); c != nil || err != nil {
			t.Fatalf("%.60s: %v, %v", name, c, err)
		}
		line := logged.String()
		if !strings.Contains(line, "asked="+name[:19]) && !strings.Contains(line, `asked="`+name[:19]) || !strings.Contains(line, `served="localhost, acme.myshopify.com"`) || len(line) > 1000 {
			t.Errorf("%d bytes: %.300s", len(line), line)
		}
	}
}

func TestAnAuthorityInMemorySaysItsFingerprintOnce(t *testing.T) {
	t.Parallel()
	a, logged := at(memorySpec)
	for range 3 {
		if _, err := a.Roots(); err != nil {
			t.Fatal(err)
		}
	}
	all, err := a.RootCertificates()
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(logged.String(), "sha256="+FingerprintText(all[0])); n != 1 {
		t.Errorf("it is logged %d times: %s", n, logged)
	}
	inFolder, logged := at(filepath.Join(t.TempDir(), "ca"))
	if _, err := inFolder.Roots(); err != nil || logged.Len() > 0 {
		t.Errorf("with a directory: %v, %s", err, logged)
	}
}
