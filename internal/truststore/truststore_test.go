package truststore

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"evergate/internal/certtest"
)

const ours = "Evergate local CA "

// root makes a certificate of a name.
func root(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	return certtest.SelfSigned(t, x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true}).Leaf
}

// recorder is a machine whose programs do nothing but note how they were called.
type recorder struct {
	*Machine
	calls  []string
	prints map[string]string // of a call that begins with the key
	fails  string            // a program
}

var random = regexp.MustCompile(`\S*evergate-root-\d+\.crt`)

// machine has the programs and directories that are named.
func machine(t *testing.T, system string, programs, dirs []string) *recorder {
	t.Helper()
	r := &recorder{Machine: &Machine{System: system, Root: t.TempDir(), Home: t.TempDir()}, prints: map[string]string{}}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(r.Root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.Find = func(name string) (string, error) {
		if slices.Contains(programs, name) {
			return "/bin/" + name, nil
		}
		return "", errors.New("not found")
	}
	r.Run = func(_ context.Context, input []byte, name string, args ...string) ([]byte, error) {
		call := strings.Join(append([]string{name}, args...), " ")
		call = strings.ReplaceAll(strings.ReplaceAll(random.ReplaceAllString(call, "FILE"), r.Root, ""), r.Home, "~")
		if len(input) > 0 {
			call += " <PEM"
		}
		r.calls = append(r.calls, call)
		if r.fails != "" && strings.Contains(call, r.fails) {
			return nil, errors.New("it failed")
		}
		for prefix, text := range r.prints {
			if strings.HasPrefix(call, prefix) {
				return []byte(text), nil
			}
		}
		return nil, nil
	}
	return r
}

// did are the calls since the last time.
func (r *recorder) did() string {
	out := strings.Join(r.calls, "\n")
	r.calls = nil
	return out
}

func (r *recorder) only(t *testing.T) Store {
	t.Helper()
	stores, err := r.Stores()
	if err != nil || len(stores) != 1 {
		t.Fatalf("%d stores, %v", len(stores), err)
	}
	return stores[0]
}

func TestSystemsKeepTheirCertificatesInTheirOwnWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		programs  []string
		dir, file string
		add, drop string
	}{
		"Debian": {[]string{"update-ca-certificates"}, "/usr/local/share/ca-certificates", ".crt", "update-ca-certificates", "update-ca-certificates --fresh"},
		"Fedora": {[]string{"update-ca-trust"}, "/etc/pki/ca-trust/source/anchors", ".pem", "update-ca-trust extract", "update-ca-trust extract"},
		"SUSE":   {[]string{"update-ca-certificates"}, "/etc/pki/trust/anchors", ".pem", "update-ca-certificates", "update-ca-certificates"},
		"Arch":   {[]string{"update-ca-trust"}, "/etc/ca-certificates/trust-source/anchors", ".crt", "update-ca-trust", "update-ca-trust"},
	} {
		r := machine(t, "linux", c.programs, []string{c.dir})
		r.Privileged = true
		s, dir := r.only(t), filepath.Join(r.Root, c.dir)
		for other, of := range map[string]*x509.Certificate{"theirs.crt": root(t, "Theirs"), "evergate-named.crt": root(t, "Not Evergate local CA x"), "by-hand.pem": root(t, ours+"old")} {
			if err := os.WriteFile(filepath.Join(dir, other), encode(of), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		roots := []*x509.Certificate{root(t, ours+"1"), root(t, ours+"2")}
		for range 2 {
			if err := s.Install(t.Context(), roots); err != nil {
				t.Fatal(err)
			}
			if did := r.did(); did != c.add {
				t.Errorf("%s: %s", name, did)
			}
		}
		made, _ := filepath.Glob(filepath.Join(dir, "evergate-????????????????"+c.file))
		if len(made) != 2 {
			t.Fatalf("%s: %q", name, made)
		}
		if info, err := os.Stat(made[0]); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		removed, err := s.Uninstall(t.Context(), ours)
		slices.Sort(removed)
		if want := []string{ours + "1", ours + "2", ours + "old"}; err != nil || !slices.Equal(removed, want) || r.did() != c.drop {
			t.Errorf("%s: %q, %v", name, removed, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 2 {
			t.Errorf("%s: %v", name, left)
		}
		if removed, err := s.Uninstall(t.Context(), ours); removed != nil || err != nil || r.did() != "" {
			t.Errorf("%s: a second time: %q, %v", name, removed, err)
		}
	}
}

func TestWithoutRightsSudoIsAskedAndNothingElse(t *testing.T) {
	t.Parallel()
	const dir = "/usr/local/share/ca-certificates"
	r := machine(t, "linux", []string{"update-ca-certificates", "sudo"}, []string{dir})
	s, c := r.only(t), root(t, ours+"1")
	if err := s.Install(t.Context(), []*x509.Certificate{c}); err != nil {
		t.Fatal(err)
	}
	did := r.did()
	if !regexp.MustCompile(`^sudo -- tee ` + dir + `/evergate-[0-9a-f]{16}\.crt <PEM\nsudo -- update-ca-certificates$`).MatchString(did) {
		t.Errorf("%s", did)
	}
	if err := os.WriteFile(filepath.Join(r.Root, dir, "evergate-1.crt"), encode(c), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Uninstall(t.Context(), ours); err != nil {
		t.Fatal(err)
	}
	if did := r.did(); did != "sudo -- rm -f "+dir+"/evergate-1.crt\nsudo -- update-ca-certificates --fresh" {
		t.Errorf("%s", did)
	}
	r.Find = func(string) (string, error) { return "", errors.New("not found") }
	if err := s.Install(t.Context(), []*x509.Certificate{c}); err == nil || !strings.Contains(err.Error(), "as root") || r.did() != "" {
		t.Errorf("%v", err)
	}
}

func TestKeychain(t *testing.T) {
	t.Parallel()
	r := machine(t, "darwin", []string{"sudo"}, nil)
	s, c := r.only(t), root(t, ours+"1")
	if err := s.Install(t.Context(), []*x509.Certificate{c}); err != nil || r.did() != "sudo -- security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain FILE" {
		t.Errorf("%v", err)
	}
	r.prints["security find-certificate"] = string(encode(root(t, "Evergate local CAs of others"))) + string(encode(c))
	removed, err := s.Uninstall(t.Context(), ours)
	want := "security find-certificate -a -c Evergate local CA -p /Library/Keychains/System.keychain\n" +
		"sudo -- security remove-trusted-cert -d FILE\nsudo -- security delete-certificate -Z " + thumbprint(c) + " /Library/Keychains/System.keychain"
	if did := r.did(); err != nil || !slices.Equal(removed, []string{ours + "1"}) || did != want {
		t.Errorf("%q, %v\n%s", removed, err, did)
	}
	if text, err := r.Roots(t.Context()); err != nil || len(text) == 0 || !strings.Contains(r.did(), "SystemRootCertificates.keychain /Library") {
		t.Errorf("%s, %v", text, err)
	}
}

// As certutil prints it on a German Windows.
const germanList = `Root "Vertrauenswürdige Stammzertifizierungsstellen"
================ Zertifikat 0 ================
Seriennummer: 4c30c25fd6df96a1
Aussteller: CN=Evergate local CA 07125686, O=Evergate
 Nicht vor: 27.11.2026 15:28
Antragsteller: CN=Evergate local CA 07125686, O=Evergate
Signatur stimmt mit dem öffentlichen Schlüssel überein
Zertifikathash(sha1): 0f6b43c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f607

================ Zertifikat 1 ================
Antragsteller: CN=Other CA, O=Other
Zertifikathash(sha1): ffffffffffffffffffffffffffffffffffffffff
CertUtil: -store-Befehl wurde erfolgreich ausgeführt.
`

func TestWindows(t *testing.T) {
	t.Parallel()
	r := machine(t, "windows", nil, nil)
	s := r.only(t)
	if err := s.Install(t.Context(), []*x509.Certificate{root(t, ours+"1")}); err != nil || r.did() != "certutil -user -f -addstore Root FILE" {
		t.Errorf("%v", err)
	}
	r.prints["certutil -user -store Root"] = strings.ReplaceAll(germanList, "\n", "\r\n")
	removed, err := s.Uninstall(t.Context(), ours)
	want := "certutil -user -store Root\ncertutil -user -delstore Root 0f6b43c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f607"
	if did := r.did(); err != nil || !slices.Equal(removed, []string{"Evergate local CA 07125686"}) || did != want {
		t.Errorf("%q, %v\n%s", removed, err, did)
	}
}

func TestBrowsersHaveRootsOfTheirOwn(t *testing.T) {
	t.Parallel()
	r := machine(t, "linux", []string{"update-ca-certificates", "certutil"}, []string{"/usr/local/share/ca-certificates"})
	for _, dir := range []string{".pki/nssdb", ".mozilla/firefox/abc.default", ".mozilla/firefox/old.profile"} {
		if err := os.MkdirAll(filepath.Join(r.Home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(dir, ".mozilla/firefox/old") {
			continue
		}
		if err := os.WriteFile(filepath.Join(r.Home, dir, "cert9.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stores, err := r.Stores()
	if err != nil || len(stores) != 3 {
		t.Fatalf("%v, %v", stores, err)
	}
	if err := stores[1].Install(t.Context(), []*x509.Certificate{root(t, ours+"1")}); err != nil || r.did() != "certutil -d sql:~/.pki/nssdb -A -t C,, -n Evergate local CA 1 -i FILE" {
		t.Errorf("%v", err)
	}
	r.prints["certutil -d sql:~/.mozilla/firefox/abc.default -L"] = "\nCertificate Nickname                   Trust Attributes\n\nOther                                  C,,\nEvergate local CA 1 - Evergate         C,,  \nEvergate local CA 2                    ,,\n"
	removed, err := stores[2].Uninstall(t.Context(), ours)
	want := "certutil -d sql:~/.mozilla/firefox/abc.default -L\ncertutil -d sql:~/.mozilla/firefox/abc.default -D -n Evergate local CA 1 - Evergate\ncertutil -d sql:~/.mozilla/firefox/abc.default -D -n Evergate local CA 2"
	if did := r.did(); err != nil || len(removed) != 2 || did != want {
		t.Errorf("%q, %v\n%s", removed, err, did)
	}
	r.fails = "certutil"
	if _, err := stores[2].Uninstall(t.Context(), ours); err == nil {
		t.Error("a failure was passed over")
	}
	r.Find = func(name string) (string, error) {
		if name == "certutil" {
			return "", errors.New("not found")
		}
		return name, nil
	}
	if stores, err := r.Stores(); len(stores) != 1 || err == nil || !strings.Contains(err.Error(), "libnss3-tools") {
		t.Errorf("%v, %v", stores, err)
	}
}

func TestUnknownSystemSaysWhatToDo(t *testing.T) {
	t.Parallel()
	r := machine(t, "linux", nil, []string{"/usr/local/share/ca-certificates"})
	if stores, err := r.Stores(); len(stores) != 0 || err == nil || !strings.Contains(err.Error(), "SSL_CERT_FILE") {
		t.Errorf("%v, %v", stores, err)
	}
}

func TestProgramsThatFailSayWhy(t *testing.T) {
	t.Parallel()
	m := This("linux", t.TempDir())
	if out, err := m.Run(t.Context(), []byte("in"), "sh", "-c", "cat; echo why >&2; exit 3"); err == nil || string(out) != "in" || !strings.Contains(err.Error(), "exit status 3: why") {
		t.Errorf("%q, %v", out, err)
	}
}
