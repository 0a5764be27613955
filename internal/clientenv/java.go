package clientenv

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// storePassword is what Java's own trust store has. Java reads none without a password, and what is in it is public.
const storePassword = "changeit"

// setJava has Java's programs use the proxy and trust the local CA: a virtual machine reads no variable but this, and no roots but those
// of one store.
func (e *builder) setJava(proxy *url.URL) error {
	const name = "JAVA_TOOL_OPTIONS"
	var options []string
	for _, scheme := range []string{"http", "https"} {
		options = append(options, "-D"+scheme+".proxyHost="+proxy.Hostname(), "-D"+scheme+".proxyPort="+proxy.Port())
	}
	options = append(options, "-Dhttp.nonProxyHosts="+javaExemptions(e.exempt))
	inherited := e.withoutOurs(e.get(name))
	roots := e.bundle()
	switch {
	case strings.Contains(inherited, trustStoreOption):
		e.note(name + " names a trust store, which stays: add the certificate of `evergate ca` to it with keytool -importcert, or Java does not trust Evergate")
	case roots != "":
		store, err := trustStore(slices.Concat(e.system, e.roots))
		if err != nil {
			return fmt.Errorf("the trust store for Java: %w", err)
		}
		options = append(options, trustStoreOption+e.add(javaStore, store), "-Djavax.net.ssl.trustStorePassword="+storePassword, "-Djavax.net.ssl.trustStoreType=PKCS12")
	}
	for _, o := range options {
		if strings.ContainsAny(o, " \t") {
			o = `"` + o + `"`
		}
		inherited = strings.TrimSpace(inherited + " " + o)
	}
	e.set(name, inherited)
	return nil
}

const (
	trustStoreOption = "-Djavax.net.ssl.trustStore="
	javaStore        = "java.p12"
	// firstOption is that of ours which stands first; nothing but ours follows it.
	firstOption = "-Dhttp.proxyHost="
)

// withoutOurs is what was there before the options that name our store, if they do.
func (e *builder) withoutOurs(inherited string) string {
	before, after, found := strings.Cut(inherited, firstOption)
	if found && strings.Contains(after, trustStoreOption+e.path(javaStore)) {
		return strings.TrimSpace(before)
	}
	return inherited
}

// javaExemptions writes what NO_PROXY says as Java wants it.
func javaExemptions(entries []string) string {
	var all []string
	for _, entry := range entries {
		if _, err := netip.ParsePrefix(entry); err == nil {
			continue // Java knows no networks
		}
		if address, err := netip.ParseAddr(entry); err == nil {
			if entry = address.String(); address.Is6() {
				entry = "[" + entry + "]"
			}
			all = append(all, entry)
			continue
		}
		host, _, _ := strings.Cut(strings.TrimPrefix(entry, "*"), ":")
		if bare := strings.TrimPrefix(host, "."); bare != host {
			all = append(all, "*."+bare)
		} else {
			all = append(all, host, "*."+host)
		}
	}
	return strings.Join(all, "|")
}

// trustStore makes a PKCS12 file of certificates. Java tells them apart by their names, and keeps one of each.
func trustStore(certificates [][]byte) ([]byte, error) {
	var entries []pkcs12.TrustStoreEntry
	for i, der := range certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			continue // Java would refuse the whole store
		}
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("root-%d", i+1)})
	}
	return pkcs12.Modern2023.WithRand(rand.Reader).EncodeTrustStoreEntries(entries, storePassword)
}
