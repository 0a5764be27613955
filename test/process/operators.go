package process

import (
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

// Fetch gets what an address answers with 200, such as /metrics of the operators' listener, over a connection of its own. What
// it gets by another status fails the test.
func Fetch(t testing.TB, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%.2000s", url, resp.Status, err, body)
	}
	return string(body)
}

// LocalCA is the root of a sidecar's local CA, from its operators' listener.
func LocalCA(t testing.TB, admin string) (pem string, roots *x509.CertPool) {
	t.Helper()
	pem, roots = Fetch(t, "http://"+admin+"/ca.pem"), x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(pem)) {
		t.Fatalf("/ca.pem is %q", pem)
	}
	return pem, roots
}

// TunnelOpen is how a sidecar answers a CONNECT that it lets through.
const TunnelOpen = "HTTP/1.1 200 Connection established\r\n\r\n"

// OpenTunnel sends the head of a CONNECT, with the empty line, and reads that the tunnel is open.
func OpenTunnel(c net.Conn, head string) error {
	if _, err := io.WriteString(c, head); err != nil {
		return err
	}
	got := make([]byte, len(TunnelOpen))
	if n, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("after %q of the answer to a CONNECT: %w", got[:n], err)
	}
	if string(got) != TunnelOpen {
		return fmt.Errorf("a CONNECT was answered with %q", got)
	}
	return nil
}
