package clientenv

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"

	"evergate/internal/certtest"
	"evergate/internal/shopify"
)

const (
	aShop  = "acme.myshopify.com"
	aURL   = "http://127.0.0.1:8080"
	aProxy = "http://evg_key:x@127.0.0.1:8080"
)

// root makes a certificate that can be told from others by its name.
func root(t *testing.T, name string) []byte {
	t.Helper()
	certificate, _ := certtest.PEM(t, certtest.SelfSigned(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}))
	return certificate
}

// namesIn are the subjects of the certificates in a file.
func namesIn(t *testing.T, text []byte) string {
	t.Helper()
	var names []string
	for _, der := range certificatesIn(text) {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, cert.Subject.CommonName)
	}
	return strings.Join(names, " ")
}

// world is a machine: what its files hold, by path.
type world map[string][]byte

func (w world) read(path string) ([]byte, error) {
	if text, ok := w[path]; ok {
		return text, nil
	}
	return nil, fs.ErrNotExist
}

// made is what a program finds.
type made struct {
	Environment
	vars  map[string]string
	files map[string][]byte // by path
}

func makeFor(t *testing.T, o Options) made {
	t.Helper()
	if o.URL == "" {
		o.URL = aURL
	}
	if o.Shop == "" {
		o.Shop = aShop
	}
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	e, err := For(o)
	if err != nil {
		t.Fatal(err)
	}
	m := made{Environment: e, vars: map[string]string{}, files: map[string][]byte{}}
	for _, entry := range e.Apply(o.Environ) {
		name, value, _ := strings.Cut(entry, "=")
		if _, twice := m.vars[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		m.vars[name] = value
	}
	for _, f := range e.Files {
		m.files[filepath.Join(o.Dir, f.Name)] = f.Content
	}
	return m
}

func TestEveryEcosystemIsPointedAtTheProxy(t *testing.T) {
	t.Parallel()
	ours, system := root(t, "ours"), root(t, "system")
	m := makeFor(t, Options{Proxy: aProxy, Roots: ours, System: system, Nonce: "n0nce"})
	want := map[string]string{
		"EVERGATE_URL": aURL, "HTTP_PROXY": aProxy, "http_proxy": aProxy, "HTTPS_PROXY": aProxy, "https_proxy": aProxy,
		"SHOPIFY_HTTP_PROXY": aProxy, "SHOPIFY_HTTPS_PROXY": aProxy,
		"NO_PROXY": "localhost,127.0.0.1,::1", "no_proxy": "localhost,127.0.0.1,::1", "SHOPIFY_NO_PROXY": "localhost,127.0.0.1,::1",
		"NODE_USE_ENV_PROXY": "1", "PERL_LWP_ENV_PROXY": "1", "MOJO_PROXY": "1",
		"SHOPIFY_ACCESS_TOKEN": shopify.PlaceholderToken, "SHOPIFY_ADMIN_API_ACCESS_TOKEN": shopify.PlaceholderToken, "SHOPIFY_ADMIN_ACCESS_TOKEN": shopify.PlaceholderToken,
		"SHOPIFY_CLI_THEME_TOKEN": shopify.PlaceholderToken,
		"SHOPIFY_API_SECRET":      "placeholder-n0nce", "SHOPIFY_API_SECRET_KEY": "placeholder-n0nce", "SHOPIFY_API_KEY": strings.Repeat("0", 32),
		"SHOPIFY_SHOP": aShop, "SHOPIFY_STORE_DOMAIN": aShop, "SHOPIFY_DOMAIN": aShop, "MYSHOPIFY_DOMAIN": aShop, "SHOPIFY_FLAG_STORE": aShop,
	}
	for name, value := range want {
		if m.vars[name] != value {
			t.Errorf("%s=%q, want %q", name, m.vars[name], value)
		}
	}
	for name, roots := range map[string]string{
		"SSL_CERT_FILE": "system ours", "CURL_CA_BUNDLE": "system ours", "REQUESTS_CA_BUNDLE": "system ours", "PERL_LWP_SSL_CA_FILE": "system ours",
		"NODE_EXTRA_CA_CERTS": "ours", "DENO_CERT": "ours",
	} {
		if got := namesIn(t, m.files[m.vars[name]]); got != roots {
			t.Errorf("%s: %q, want %q", name, got, roots)
		}
		want[name] = ""
	}
	for _, name := range []string{"WGETRC", "PHP_INI_SCAN_DIR", "JAVA_TOOL_OPTIONS"} {
		want[name] = "" // below
	}
	if got, known := slices.Sorted(maps.Keys(m.vars)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, known) {
		t.Errorf("sets %q\nwant %q", got, known)
	}
	if m.Notes != nil || m.Unset != nil {
		t.Errorf("%q, %q: there is nothing to say", m.Notes, m.Unset)
	}
}

func TestWithoutAProxyTheAddressIsAll(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url string
		environ   []string
		want      string // of NO_PROXY, in both spellings; empty: not set
	}{
		{"no_proxy_no_change", aURL, []string{"A=b"}, ""},
		{"lower_case", aURL, []string{"http_proxy=http://proxy:3128"}, "localhost,127.0.0.1,::1"},
		{"upper_case", aURL, []string{"HTTP_PROXY=http://proxy:3128"}, "localhost,127.0.0.1,::1"},
		{"all", aURL, []string{"ALL_PROXY=socks5://proxy:1080"}, "localhost,127.0.0.1,::1"},
		{"inherited", aURL, []string{"https_proxy=http://p", "no_proxy=.corp, 10.0.0.0/8"}, ".corp,10.0.0.0/8,localhost,127.0.0.1,::1"},
		{"both_inherited", aURL, []string{"https_proxy=http://p", "NO_PROXY=a,localhost", "no_proxy=b,a"}, "a,localhost,b,127.0.0.1,::1"},
		{"everything", aURL, []string{"https_proxy=http://p", "NO_PROXY=*"}, "*"},
		{"elsewhere", "http://10.1.2.3:8080", []string{"https_proxy=http://p"}, "localhost,127.0.0.1,::1,10.1.2.3"},
		{"socket", "unix:/run/s", []string{"https_proxy=http://p"}, "localhost,127.0.0.1,::1"},
		{"empty", aURL, []string{"http_proxy="}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := makeFor(t, Options{URL: c.url, Environ: c.environ})
			if m.vars["NO_PROXY"] != c.want || m.vars["no_proxy"] != c.want {
				t.Errorf("%q, %q, want %q", m.vars["NO_PROXY"], m.vars["no_proxy"], c.want)
			}
			for _, v := range m.Set {
				if !slices.Contains([]string{"EVERGATE_URL", "NO_PROXY", "no_proxy"}, v.Name) {
					t.Errorf("sets %s", v.Name)
				}
			}
			if len(m.Files) > 0 {
				t.Errorf("%d files", len(m.Files))
			}
		})
	}
}

func TestWhatWouldExemptTheShopIsLeftOut(t *testing.T) {
	t.Parallel()
	for entry, dropped := range map[string]bool{
		"*": true, "acme.myshopify.com": true, ".myshopify.com": true, "myshopify.com": true, "*.myshopify.com": true, "*.MyShopify.com": true,
		"shopify.com": true, ".com": true, "com": true, "acme.myshopify.com:443": true, "ac*.myshopify.com": true, "[a-z]*.myshopify.com": false,
		"0.0.0.0/0": true, "::/0": true, ".": true, "*.": true, ".acme.myshopify.com": true, "acme.myshopify.com.": true,
		"other.myshopify.com": false, "corp.example": false, ".corp.example": false, "10.0.0.0/8": false, "10.1.2.3": false, "fd00::/8": false,
		"[fd00::1]:80": false, "::1": false, "registry": false, "myshopify.com.example": false,
	} {
		m := makeFor(t, Options{Proxy: aProxy, Environ: []string{"NO_PROXY=first," + entry + " last"}})
		list := strings.Split(m.vars["NO_PROXY"], ",")
		if slices.Contains(list, entry) == dropped || !slices.Contains(list, "first") || !slices.Contains(list, "last") {
			t.Errorf("%s: %q", entry, list)
		}
		if noted := slices.ContainsFunc(m.Notes, func(n string) bool { return strings.Contains(n, "exempts the shop by "+entry+",") }); noted != dropped {
			t.Errorf("%s: %q", entry, m.Notes)
		}
	}
}

// A web server gives a CGI program the header Proxy of whoever calls as HTTP_PROXY, and libraries guard against that.
func TestACGIProgramGetsNoHTTPProxy(t *testing.T) {
	t.Parallel()
	m := makeFor(t, Options{Proxy: aProxy, Environ: []string{"REQUEST_METHOD=GET", "HTTP_PROXY=http://attacker.example"}})
	if _, ok := m.vars["HTTP_PROXY"]; ok || m.vars["http_proxy"] != "" || m.vars["CGI_HTTP_PROXY"] != aProxy || m.vars["HTTPS_PROXY"] != aProxy || !slices.Equal(m.Unset, []string{"HTTP_PROXY"}) {
		t.Errorf("%v, unset %q", m.vars, m.Unset)
	}
}

// A variable that names roots is a decision about whom to trust. The program goes on trusting these, and nobody else but us.
func TestRootsThatSomebodyChoseStayTheOnlyOnes(t *testing.T) {
	t.Parallel()
	corp, key := root(t, "corp"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret")})
	w := world{"/corp.pem": append(key, corp...), "/more.pem": root(t, "more"), "/empty.pem": nil}
	for _, c := range []struct {
		name    string
		environ []string
		want    map[string]string
		note    string
	}{
		{"of_openssl", []string{"SSL_CERT_FILE=/corp.pem"}, map[string]string{
			"SSL_CERT_FILE": "corp ours", "CURL_CA_BUNDLE": "corp ours", "PERL_LWP_SSL_CA_FILE": "corp ours", "REQUESTS_CA_BUNDLE": "system ours", "NODE_EXTRA_CA_CERTS": "ours",
		}, ""},
		{"of_curl", []string{"CURL_CA_BUNDLE=/corp.pem"}, map[string]string{"SSL_CERT_FILE": "system ours", "CURL_CA_BUNDLE": "corp ours", "REQUESTS_CA_BUNDLE": "corp ours"}, ""},
		{"of_each", []string{"SSL_CERT_FILE=/corp.pem", "REQUESTS_CA_BUNDLE=/more.pem", "NODE_EXTRA_CA_CERTS=/more.pem", "DENO_CERT=/corp.pem"}, map[string]string{
			"SSL_CERT_FILE": "corp ours", "REQUESTS_CA_BUNDLE": "more ours", "NODE_EXTRA_CA_CERTS": "more ours", "DENO_CERT": "corp ours",
		}, ""},
		{"missing", []string{"SSL_CERT_FILE=/missing.pem"}, map[string]string{"SSL_CERT_FILE": "system ours"}, "SSL_CERT_FILE=/missing.pem names no file"},
		{"empty", []string{"NODE_EXTRA_CA_CERTS=/empty.pem"}, map[string]string{"NODE_EXTRA_CA_CERTS": "ours"}, "NODE_EXTRA_CA_CERTS=/empty.pem names no file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := makeFor(t, Options{Proxy: aProxy, Roots: root(t, "ours"), System: root(t, "system"), Environ: c.environ, Read: w.read})
			for name, want := range c.want {
				if got := namesIn(t, m.files[m.vars[name]]); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if got := strings.Join(m.Notes, "\n"); (got != "") != (c.note != "") || !strings.Contains(got, c.note) || len(m.Notes) > 1 {
				t.Errorf("notes %q", m.Notes)
			}
			for name, content := range m.files {
				if strings.Contains(string(content), "PRIVATE KEY") {
					t.Errorf("%s holds a key", name)
				}
			}
		})
	}
}

// Where the system's roots are not known, they must not be replaced by ours alone: no other host could be verified any more.
func TestWithoutTheSystemsRootsNoneAreReplaced(t *testing.T) {
	t.Parallel()
	m := makeFor(t, Options{Proxy: aProxy, Roots: root(t, "ours")})
	for _, name := range []string{"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PERL_LWP_SSL_CA_FILE", "WGETRC", "PHP_INI_SCAN_DIR"} {
		if m.vars[name] != "" {
			t.Errorf("%s=%s", name, m.vars[name])
		}
	}
	if namesIn(t, m.files[m.vars["NODE_EXTRA_CA_CERTS"]]) != "ours" || strings.Contains(m.vars["JAVA_TOOL_OPTIONS"], "trustStore") || len(m.Notes) != 1 {
		t.Errorf("%v %q", m.vars, m.Notes)
	}
}

func TestWgetKeepsWhatItsUserHasSet(t *testing.T) {
	t.Parallel()
	const users = "tries = 3\nuse_proxy = off\nHTTPS-Proxy = http://corp\nca_certificate=/old.pem\nuser_agent = x=y\nheader = A: b"
	w := world{"/home/me/.wgetrc": []byte(users), "/etc/other": []byte("timeout=5\r\n")}
	for _, c := range []struct{ environ, want string }{
		{"HOME=/home/me", "tries = 3\nuser_agent = x=y\nheader = A: b\n"},
		{"HOME=/home/me WGETRC=/etc/other", "timeout=5\n"},
		{"HOME=/home/you", ""},
		{"", ""},
	} {
		m := makeFor(t, Options{Proxy: aProxy, System: root(t, "system"), Environ: strings.Fields(c.environ), Read: w.read})
		if got, want := string(m.files[m.vars["WGETRC"]]), c.want+"ca_certificate = "+m.vars["SSL_CERT_FILE"]+"\n"; got != want {
			t.Errorf("%s: %q, want %q", c.environ, got, want)
		}
	}
}

func TestPHPKeepsItsOwnConfiguration(t *testing.T) {
	t.Parallel()
	for _, inherited := range []string{"", "/etc/php.d"} {
		m := makeFor(t, Options{Proxy: aProxy, System: root(t, "system"), Environ: []string{"PHP_INI_SCAN_DIR=" + inherited}})
		before, dir, ok := strings.Cut(m.vars["PHP_INI_SCAN_DIR"], string(os.PathListSeparator))
		roots := m.vars["SSL_CERT_FILE"]
		if want := "curl.cainfo = \"" + roots + "\"\nopenssl.cafile = \"" + roots + "\"\n"; !ok || before != inherited || string(m.files[filepath.Join(dir, "evergate.ini")]) != want {
			t.Errorf("%q: %q", m.vars["PHP_INI_SCAN_DIR"], m.files)
		}
	}
}

func TestJavaGetsAStoreOfItsOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space")
	system := slices.Concat(root(t, "same"), root(t, "same"), root(t, "other"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("broken")}))
	m := makeFor(t, Options{Proxy: aProxy, Roots: root(t, "ours"), System: system, Dir: dir, Environ: []string{"JAVA_TOOL_OPTIONS=-Xmx64m", "NO_PROXY=.corp,host,10.0.0.0/8"}})
	store := filepath.Join(dir, "java.p12")
	want := `-Xmx64m -Dhttp.proxyHost=127.0.0.1 -Dhttp.proxyPort=8080 -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080 ` +
		`-Dhttp.nonProxyHosts=*.corp|host|*.host|localhost|*.localhost|127.0.0.1|[::1] ` +
		`"-Djavax.net.ssl.trustStore=` + store + `" -Djavax.net.ssl.trustStorePassword=changeit -Djavax.net.ssl.trustStoreType=PKCS12`
	if got := m.vars["JAVA_TOOL_OPTIONS"]; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	certs, err := pkcs12.DecodeTrustStore(m.files[store], storePassword)
	if err != nil || len(certs) != 4 || certs[3].Subject.CommonName != "ours" {
		t.Errorf("%d certificates, %v", len(certs), err)
	}
	if _, err := exec.LookPath("keytool"); err != nil {
		t.Skip("Java's keytool is not installed")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFiles(dir, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "keytool", "-list", "-keystore", store, "-storepass", storePassword, "-J-Duser.language=en").CombinedOutput() // both: a failure is told on either
	if err != nil || strings.Count(string(out), "trustedCertEntry") != 4 {
		t.Errorf("keytool: %v\n%s", err, out)
	}
}

func TestATrustStoreThatSomebodyChoseStays(t *testing.T) {
	t.Parallel()
	m := makeFor(t, Options{Proxy: aProxy, System: root(t, "system"), Environ: []string{"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/corp.jks"}})
	if strings.Count(m.vars["JAVA_TOOL_OPTIONS"], "trustStore") != 1 || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "keytool -importcert") {
		t.Errorf("%s, %q", m.vars["JAVA_TOOL_OPTIONS"], m.Notes)
	}
}

func TestWhatIsNoSecretStays(t *testing.T) {
	t.Parallel()
	m := makeFor(t, Options{Proxy: aProxy, ClientID: "id", Environ: []string{"SHOPIFY_SHOP=other", "SHOPIFY_STORE_DOMAIN=", "MYSHOPIFY_DOMAIN=mine"}})
	if m.vars["SHOPIFY_SHOP"] != "other" || m.vars["SHOPIFY_STORE_DOMAIN"] != aShop || m.vars["MYSHOPIFY_DOMAIN"] != "mine" || m.vars["SHOPIFY_API_KEY"] != "id" {
		t.Errorf("%v", m.vars)
	}
}

// Programs put https:// before what they find.
func TestTheShortNameOfTheShopIsReplacedByItsDomain(t *testing.T) {
	t.Parallel()
	handle, _, _ := strings.Cut(aShop, ".")
	for _, said := range []string{handle, strings.ToUpper(handle), " " + handle, aShop, strings.ToUpper(aShop)} {
		m := makeFor(t, Options{Proxy: aProxy, Environ: []string{"SHOPIFY_SHOP=" + said, "MYSHOPIFY_DOMAIN=" + handle}})
		if m.vars["SHOPIFY_SHOP"] != aShop || m.vars["MYSHOPIFY_DOMAIN"] != handle {
			t.Errorf("%q: SHOPIFY_SHOP=%q MYSHOPIFY_DOMAIN=%q", said, m.vars["SHOPIFY_SHOP"], m.vars["MYSHOPIFY_DOMAIN"])
		}
	}
}

// Where several shops are served and none is meant, what is set says which one the program wants.
func TestTheNameStaysWhereNoShopIsMeant(t *testing.T) {
	t.Parallel()
	e, err := For(Options{URL: aURL, Proxy: aProxy, Dir: "/files", Environ: []string{"SHOPIFY_SHOP=acme"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := e.Apply([]string{"SHOPIFY_SHOP=acme"}); !slices.Contains(got, "SHOPIFY_SHOP=acme") {
		t.Errorf("%v", got)
	}
}

// A shell that takes the environment a second time has the same as after the first.
func TestTwiceIsAsOnce(t *testing.T) {
	t.Parallel()
	dir, ours := t.TempDir(), root(t, "ours")
	w := world{"/corp.pem": root(t, "corp")}
	for _, environ := range [][]string{nil, {"SSL_CERT_FILE=/corp.pem", "JAVA_TOOL_OPTIONS=-Xmx64m", "PHP_INI_SCAN_DIR=/etc/php.d", "NO_PROXY=a", "SHOPIFY_ACCESS_TOKEN=own"}} {
		o := Options{Proxy: aProxy, Roots: ours, System: root(t, "system"), Dir: dir, Environ: environ, Read: w.read}
		first := makeFor(t, o)
		for path, content := range first.files {
			w[path] = content
		}
		o.Environ = first.Apply(environ)
		second := makeFor(t, o)
		for name, value := range first.vars {
			again := second.vars[name]
			if was, is := namesIn(t, first.files[value]), namesIn(t, second.files[again]); was != is || was == "" && value != again {
				t.Errorf("%s: %q with %q, then %q with %q", name, value, was, again, is)
			}
		}
		if len(second.Notes) > 0 || len(second.vars) != len(first.vars) || environ != nil && first.vars["SHOPIFY_ACCESS_TOKEN"] != "own" {
			t.Errorf("%q", second.Notes)
		}
	}
}

func TestADirectoryThatCannotBeNamedIsRefused(t *testing.T) {
	t.Parallel()
	for _, dir := range []string{"", "relative", "/a:b", "/a'b", "/a\"b", "/a$b", "/a\nb", "/a;b"} {
		if _, err := For(Options{URL: aURL, Proxy: aProxy, Dir: dir}); err == nil || !strings.Contains(err.Error(), "choose an absolute path") {
			t.Errorf("%q: %v", dir, err)
		}
	}
	for _, proxy := range []string{"https://127.0.0.1:1", "http://127.0.0.1", "unix:/s", "://"} {
		if _, err := For(Options{URL: aURL, Proxy: proxy, Dir: "/a"}); err == nil {
			t.Errorf("%s is accepted", proxy)
		}
	}
}

func TestFilesAreForThoseWhoMayReadThem(t *testing.T) {
	t.Parallel()
	e := Environment{Files: []File{{"a", []byte("1")}, {"below/b", []byte("2")}}}
	for _, mode := range []fs.FileMode{0o600, 0o644} {
		dir := t.TempDir()
		for range 2 { // the second time in the place of the first
			if err := e.WriteFiles(dir, mode); err != nil {
				t.Fatal(err)
			}
		}
		for path, want := range map[string]fs.FileMode{"a": mode, "below/b": mode, "below": fs.ModeDir | map[fs.FileMode]fs.FileMode{0o600: 0o700, 0o644: 0o755}[mode]} {
			if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v", path, info, err)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
			t.Errorf("%v, %v", left, err)
		}
	}
	if err := e.WriteFiles(filepath.Join(t.TempDir(), "a\x00"), 0o600); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
