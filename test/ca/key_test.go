package ca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/shopsim"
	"evergate/test/process"
)

// leaks returns the spellings of the key in the directory that must be nowhere else.
func leaks(t *testing.T, dir string) [][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "authority-*.pem"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	_, rest := pem.Decode(content)
	_, rest = pem.Decode(rest)
	block, _ := pem.Decode(rest)
	a := stolenFrom(t, content)
	scalar, err := a.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	all := [][]byte{
		[]byte("PRIVATE KEY"), scalar, []byte(hex.EncodeToString(scalar)), []byte(strings.ToUpper(hex.EncodeToString(scalar))), []byte(new(big.Int).SetBytes(scalar).String()),
		[]byte(strings.TrimRight(base64.StdEncoding.EncodeToString(scalar), "=")), []byte(strings.TrimRight(base64.URLEncoding.EncodeToString(scalar), "=")),
	}
	for line := range strings.Lines(base64.StdEncoding.EncodeToString(block.Bytes)) {
		all = append(all, []byte(line[:60])) // the first line of its PEM
	}
	return all
}

// Everything that a sidecar says to anybody, and that the commands print, is looked through for the key, and so is every file
// beside the one where it rests.
func TestKeyNeverLeavesItsDirectory(t *testing.T) {
	t.Parallel()
	sim := shopsim.New(shopsim.Options{})
	shop, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shop.Close() })
	home := t.TempDir()
	dir, shopCA := filepath.Join(home, ".local", "state", "evergate", "ca"), filepath.Join(home, "shop.pem")
	if err := os.WriteFile(shopCA, shop.CAPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{
		"HOME=" + home, "SHOPIFY_SHOP=" + shopsim.DefaultShop, "SHOPIFY_CLIENT_ID=" + shopsim.DefaultClientID, "SHOPIFY_CLIENT_SECRET=" + shopsim.DefaultClientSecret,
		"EVERGATE_UPSTREAM_URL=" + shop.URL, "EVERGATE_UPSTREAM_CA_FILE=" + shopCA, "EVERGATE_LISTEN=tls:127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0",
		"EVERGATE_LOG_LEVEL=debug", "EVERGATE_ACCESS_LOG=all", "EVERGATE_LOG_FORMAT=text",
	}
	p := process.Start(t, process.Command(t, binary, environ, "serve"))
	tools := p.AwaitMatch(t, &p.Err, regexp.MustCompile(`listening for tools" address=(\S+)`))
	operators := "http://" + p.AwaitMatch(t, &p.Err, regexp.MustCompile(`listening for operators" address=(\S+)`))

	said := map[string]string{}
	get := func(client *http.Client, url string) string {
		t.Helper()
		response, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.Status + "\n" + string(body)
	}
	plain := &http.Client{Timeout: process.Patience}
	pool := x509.NewCertPool()
	if text := get(plain, operators+"/ca.pem"); !pool.AppendCertsFromPEM([]byte(text)) {
		t.Fatalf("%s", text)
	}
	_, port, _ := net.SplitHostPort(tools)
	trusting := &http.Client{Timeout: process.Patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	process.Eventually(t, func() error { _, err := trusting.Get("https://127.0.0.1:" + port + "/"); return err })
	for _, path := range []string{"/admin/api/2026-10/shop.json", "/", "/ca.pem", "/.local/state/evergate/ca/"} {
		said["tools "+path] = get(trusting, "https://127.0.0.1:"+port+path)
	}
	for _, path := range []string{"/ca.pem", "/", "/status", "/metrics", "/livez", "/readyz", "/ca.key", "/debug/vars"} {
		said["operators "+path] = get(plain, operators+path)
	}
	conn, err := tls.Dial("tcp", tools, &tls.Config{RootCAs: pool, ServerName: shopsim.DefaultShop})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conn.ConnectionState().PeerCertificates {
		said["chain"] += string(c.Raw) + base64.StdEncoding.EncodeToString(c.Raw)
	}
	_ = conn.Close()
	for _, args := range [][]string{{"ca"}, {"check"}, {"check", "--json"}, {"config"}, {"version"}} {
		out, err := process.Command(t, binary, environ, args...).CombinedOutput() // both: the key must be on neither
		if len(out) == 0 {
			t.Errorf("%q printed nothing: %v", args, err)
		}
		said[strings.Join(args, " ")] = string(out)
	}
	said["log"] = p.Out.String() + p.Err.String()

	secrets := leaks(t, dir)
	for where, text := range said {
		for _, secret := range secrets {
			if bytes.Contains([]byte(text), secret) {
				t.Errorf("%s holds the key, or a part of it: %q", where, secret)
			}
		}
	}
	err = filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Dir(path) == dir && strings.HasPrefix(d.Name(), "authority-") {
			return err
		}
		content, err := os.ReadFile(path)
		for _, secret := range secrets {
			if bytes.Contains(content, secret) {
				t.Errorf("%s holds the key, or a part of it", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
