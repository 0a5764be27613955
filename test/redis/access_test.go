package redis

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/certtest"
	"evergate/internal/redisstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/process"
)

const page = "../../docs/operating/store-redis.md"

var aclLine = regexp.MustCompile(`(?m)^ACL SETUSER evergate .*$`)

// allow gives the user of the documentation what the documentation says, but for what is left out, and returns the user's address.
func allow(t *testing.T, s *server, password string, without ...string) string {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	line := aclLine.FindString(string(b))
	if line == "" {
		t.Fatalf("%s says no ACL", page)
	}
	line = strings.Replace(line, ">PASSWORD", ">"+password, 1)
	var words []string
	for word := range strings.FieldsSeq(line) {
		if word == "+client|setinfo" && !strings.Contains(s.do(t, "COMMAND", "INFO", "CLIENT|SETINFO"), "setinfo") {
			continue // Redis 7.0 does not know it
		}
		left := false
		for _, w := range without {
			left = left || word == w
		}
		if !left {
			words = append(words, word)
		}
	}
	s.do(t, words...)
	return "redis://evergate:" + url.QueryEscape(password) + "@" + s.address()
}

// onlyAllowed fails the test if the server had to refuse something.
func onlyAllowed(t *testing.T, s *server) {
	t.Helper()
	if log := s.do(t, "ACL", "LOG"); log != "" {
		t.Errorf("the server refused:\n%s", log)
	}
}

func TestTheUserOfTheDocumentationMayDoAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	const password = "p/a:s@s%1"
	s := start(t, "--appendonly", "yes")
	address := allow(t, s, password)
	t.Run("suite", func(t *testing.T) {
		// The keys of the suite's places have prefixes, which the user of the page may not write.
		s.do(t, "ACL", "SETUSER", "evergate", "~place*", "&place*")
		storetest.RunBackend(t, place(address+"?"))
	})
	if findings := open(t, address).Check(t.Context()); len(findings) > 0 {
		t.Errorf("%v", findings)
	}
	onlyAllowed(t, s)
}

// TestTheUserOfTheSentinelsMayDoAllThatIsNeeded: the second line of the page, at the Sentinels.
func TestTheUserOfTheSentinelsMayDoAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^ACL SETUSER watcher .*$`).FindString(string(b))
	line = strings.Replace(line, ">PASSWORD", ">secret", 1)
	line = strings.Replace(line, " +client|setinfo", "", 1) // Redis 7.0 does not know it
	f.sentinel.do(t, strings.Fields(line)...)
	f.sentinel.do(t, "ACL", "SETUSER", "default", "resetpass", "nopass", "+@all")
	url := f.url() + "&sentinel_username=watcher&sentinel_password=secret"
	if findings := open(t, url).Check(t.Context()); slices.ContainsFunc(findings, func(f token.Finding) bool { return f.Loses }) {
		t.Errorf("%v", findings)
	}
	told := watch(t, open(t, url))
	process.Await(t, "the beginning", told[""])
	drain(told)
	f.failover(t)
	process.Await(t, "the failover", told[""])
	store := storeOf(t, open(t, url), "acme")
	process.Eventually(t, func() error {
		_, err := store.Swap(t.Context(), "", record("acme", 1))
		return err
	})
	onlyAllowed(t, f.sentinel)
	if _, err := storeOf(t, open(t, f.url()+"&sentinel_username=watcher&sentinel_password=wrong"), "acme").Changed(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("with a wrong password: %v", err)
	}
}

func TestAUserOfAClusterMayDoAllThatIsNeeded(t *testing.T) {
	t.Parallel()
	all := startCluster(t, 0)
	var address string
	for i, s := range all {
		if a := allow(t, s, "secret"); i == 0 {
			address = a
		}
		s.do(t, "ACL", "SETUSER", "evergate", "~place*", "&place*")
	}
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place(address+"?")) })
	for _, s := range all {
		onlyAllowed(t, s)
	}
}

// TestWatchingDoesWithWhatIsAllowed: without invalidations by messages, without both by looking.
func TestWatchingDoesWithWhatIsAllowed(t *testing.T) {
	t.Parallel()
	t.Run("messages", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		address := allow(t, s, "secret", "+client|tracking")
		s.do(t, "ACL", "SETUSER", "evergate", "~place*", "&place*")
		storetest.RunBackend(t, place(address+"?"))
	})
	t.Run("looking", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		b := open(t, allow(t, s, "secret", "+client|tracking", "+subscribe"))
		told := watch(t, b)
		for range 3 {
			process.Await(t, "that all may have changed", told[""])
		}
	})
}

// TestNoErrorHoldsAPassword: not that of the URL, nor that of the file.
func TestNoErrorHoldsAPassword(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	s := start(t)
	allow(t, s, "another")
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	for address, want := range map[string]string{
		"redis://evergate:" + password + "@" + s.address():                         "WRONGPASS",
		"redis://evergate@" + s.address() + "?password_file=" + file:               "WRONGPASS",
		"redis://evergate@" + s.address() + "?password_file=" + file + ".none":     "correct the path",
		"redis://evergate:" + password + "@" + nobody:                              "connection refused",
		"rediss://evergate:" + password + "@" + s.address():                        "answer in time",
		"redis://" + s.address() + "?master_set=m&sentinel_password=" + password:   "Redis at",
		"redis://evergate:" + password + "@127.0.0.1:1?addr=127.0.0.1:2":           "connection refused",
		"redis://evergate:" + password + "@nobody.invalid":                         "host",
		"redis://evergate:" + password + "@" + s.address() + "?protocol=2":         "WRONGPASS",
		"redis://:" + password + "@" + s.address() + "?protocol=2&prefix=" + "two": "Redis at",
	} {
		b := open(t, address)
		_, _, err := storeOf(t, b, "acme").Load(t.Context())
		if err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
		if refused := strings.Contains(want, "WRONGPASS") || want == "correct the path" || strings.Contains(address, "master_set") || strings.Contains(address, "two"); errors.Is(err, token.ErrTransient) == refused {
			t.Errorf("%s: to be tried again soon: %t", address, !refused)
		}
		findings := b.Check(t.Context())
		if len(findings) != 1 || !findings[0].Loses || strings.Contains(findings[0].Text, password) || findings[0].Do == "" {
			t.Errorf("%s: %+v", address, findings)
		}
	}
}

func TestAPasswordInAFileCanBeChanged(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(t.TempDir(), "password")
	for _, password := range []string{"first", "second"} {
		allow(t, s, password)
		if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		shop := storeOf(t, open(t, "redis://evergate@"+s.address()+"?password_file="+file), "acme")
		if _, err := shop.Changed(t.Context(), ""); err != nil {
			t.Error(err)
		}
		s.do(t, "ACL", "SETUSER", "evergate", "resetpass")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := certtest.SelfSigned(t, x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	certificate := certtest.Sign(t, x509.Certificate{Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, &authority)
	cert, key := certtest.PEM(t, certificate)
	root, _ := certtest.PEM(t, authority)
	for name, b := range map[string][]byte{"cert.pem": cert, "key.pem": key, "ca.pem": root} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	s := start(t)
	_, port, _ := net.SplitHostPort(s.address())
	s.Kill()
	s.args = append(s.args, "--port", "0", "--tls-port", port, "--tls-cert-file", in("cert.pem"), "--tls-key-file", in("key.pem"), "--tls-ca-cert-file", in("ca.pem"))
	s.again(t)
	full := "?ca_file=" + in("ca.pem") + "&cert_file=" + in("cert.pem") + "&key_file=" + in("key.pem")
	t.Run("suite", func(t *testing.T) { storetest.RunBackend(t, place("rediss://localhost:"+port+full+"&")) })
	for address, want := range map[string]string{
		"rediss://localhost:" + port + "?cert_file=" + in("cert.pem") + "&key_file=" + in("key.pem"): "does not trust",
		"rediss://127.0.0.1:" + port + full:                               "other names",
		"rediss://localhost:" + port + "?ca_file=" + in("ca.pem"):         "cannot be reached", // the server wants a certificate
		"rediss://localhost:" + port + "?ca_file=" + in("key.pem"):        "no certificate in PEM form",
		"rediss://localhost:" + port + "?ca_file=" + in("none"):           "ca_file",
		"redis://localhost:" + port:                                       "cannot be reached",
		"rediss://localhost:" + port + full + "&skip_verify=perhaps":      "",
		"rediss://127.0.0.1:" + port + full + "&skip_verify=true&db=1":    "nothing is stored",
		"rediss://localhost:" + port + full + "&protocol=2&max_retries=0": "nothing is stored",
	} {
		b, err := redisstore.Open(address, keys(t))
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", address)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		t.Cleanup(b.Close)
		if _, _, err := storeOf(t, b, "acme").Load(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

func TestTheCheckSaysWhatLosesGrants(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings []string
		hidden   bool // CONFIG may not be used
		loses    string
		advice   string
	}{
		"fit":             {settings: []string{"--appendonly", "yes"}},
		"cache":           {settings: []string{"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, loses: "maxmemory-policy allkeys-lru"},
		"cache_hidden":    {settings: []string{"--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-random"}, hidden: true, loses: "maxmemory-policy allkeys-random"},
		"leases_alone":    {settings: []string{"--appendonly", "yes", "--maxmemory-policy", "volatile-ttl"}},
		"memory":          {advice: "in memory alone"},
		"memory_hidden":   {hidden: true, advice: "writes no log"},
		"snapshots":       {settings: []string{"--save", "60 1"}, advice: "writes no log"},
		"full":            {settings: []string{"--appendonly", "yes", "--maxmemory", "1"}, loses: "OOM"},
		"without_its_aof": {settings: []string{"--appendonly", "yes", "--min-replicas-to-write", "1"}, loses: "NOREPLICAS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tc.settings...)
			var without []string
			if tc.hidden {
				without = []string{"+config|get"}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			findings := open(t, allow(t, s, "secret", without...)).Check(ctx)
			var loses, advice string
			for _, f := range findings {
				if f.Do == "" {
					t.Errorf("%s: without a remedy", f.Text)
				}
				if f.Loses {
					loses += f.Text
				} else {
					advice += f.Text
				}
			}
			if !strings.Contains(loses, tc.loses) || !strings.Contains(advice, tc.advice) || tc.loses == "" && loses != "" || tc.advice == "" && advice != "" {
				t.Errorf("loses %q, want %q; advice %q, want %q", loses, tc.loses, advice, tc.advice)
			}
		})
	}
}

// TestAProcessWithOneShopLooksAtItsStoreToo has it at a server that throws records away, and asks the process and the check.
func TestAProcessWithOneShopLooksAtItsStoreToo(t *testing.T) {
	t.Parallel()
	s := start(t, "--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	environ := []string{
		"SHOPIFY_SHOP=acme", "SHOPIFY_CLIENT_ID=0123456789abcdef0123456789abcdef", "SHOPIFY_CLIENT_SECRET=shpss_0123456789abcdef0123456789abcdef",
		"EVERGATE_GRANT=offline", "EVERGATE_STORE=redis://" + s.address(), "EVERGATE_STORE_KEY=" + storeKey,
		"EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_LOG_FORMAT=json", "EVERGATE_CA_DIR=memory:",
	}
	p := process.Start(t, process.Command(t, binary, environ, "serve"))
	admin := "http://" + p.AwaitLog(t, "listening for operators").Address
	process.Eventually(t, func() error {
		if n, found := process.Metric(process.Fetch(t, admin+"/metrics"), "evergate_store_unfit"); !found || n != 1 {
			return fmt.Errorf("unfit: %v", n)
		}
		return nil
	})
	if status := process.Fetch(t, admin+"/status"); !strings.Contains(status, "store_unfit") || !strings.Contains(status, "allkeys-lru") {
		t.Errorf("the status does not say it: %s", status)
	}
	if all := p.Err.String(); !strings.Contains(all, "maxmemory-policy allkeys-lru") {
		t.Errorf("the log does not say it: %s", all)
	}
	check := process.Command(t, binary, environ, "check")
	out, _ := check.CombinedOutput() // both: whichever says it
	if !strings.Contains(string(out), "maxmemory-policy allkeys-lru") || check.ProcessState.ExitCode() != 1 {
		t.Errorf("check ends with %d: %s", check.ProcessState.ExitCode(), out)
	}
}

func TestAReplicaIsCalledOne(t *testing.T) {
	t.Parallel()
	f := startFleet(t)
	b := open(t, "redis://"+f.replica.address())
	if findings := b.Check(t.Context()); len(findings) == 0 || !findings[0].Loses || !strings.Contains(findings[0].Do, "master_set") {
		t.Errorf("%+v", findings)
	}
	if _, err := storeOf(t, b, "acme").Swap(t.Context(), "", record("acme", 1)); !errors.Is(err, token.ErrTransient) || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("%v", err)
	}
}

// TestWhatAReplicaLacksIsNotTakenForUnknown has a replica be asked that has not heard from its master since it began, as one that was
// the master and was lost.
func TestWhatAReplicaLacksIsNotTakenForUnknown(t *testing.T) {
	t.Parallel()
	s := start(t, "--replicaof", "127.0.0.1 "+process.FreePort(t))
	acme := storeOf(t, open(t, "redis://"+s.address()), "acme")
	if _, _, err := acme.Load(t.Context()); !errors.Is(err, token.ErrTransient) || errors.Is(err, token.ErrNotFound) || !strings.Contains(err.Error(), "replica") {
		t.Errorf("of a replica that has nothing: %v", err)
	}
	s.do(t, "REPLICAOF", "NO", "ONE")
	process.Eventually(t, func() error {
		if _, _, err := acme.Load(t.Context()); !errors.Is(err, token.ErrNotFound) { // it closes its connections
			return fmt.Errorf("of a master that has nothing: %w", err)
		}
		return nil
	})
}
