package clientenv

import (
	"bytes"
	"encoding/pem"
	"slices"
	"strings"
)

// SystemFiles are where systems keep the certificates of those they trust, in one file as PEM; the first that exists is it.
func SystemFiles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",                // Debian, Gentoo, Arch, Alpine
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
		"/etc/pki/tls/certs/ca-bundle.crt",                  // older ones of these
		"/etc/ssl/ca-bundle.pem",                            // SUSE
		"/etc/ssl/cert.pem",                                 // macOS, BSD, Alpine
		"/usr/local/share/certs/ca-root-nss.crt",            // FreeBSD
	}
}

// replaced are the variables whose file takes the place of the roots that a program would use, each with those whose file the
// program would use without it.
var replaced = [][]string{
	{"SSL_CERT_FILE"}, // OpenSSL, and with it Python and Ruby; Go; Perl's HTTP::Tiny
	{"CURL_CA_BUNDLE", "SSL_CERT_FILE"},
	{"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"},  // Python requests
	{"PERL_LWP_SSL_CA_FILE", "SSL_CERT_FILE"}, // Perl LWP
}

// added are the variables whose file is used beside a program's own roots.
var added = []string{"NODE_EXTRA_CA_CERTS", "DENO_CERT"}

// setRoots has programs trust the local CA.
func (e *builder) setRoots() {
	for _, names := range replaced {
		if path := e.bundle(names...); path != "" {
			e.set(names[0], path)
		}
	}
	for _, name := range added {
		own, _ := e.named(name)
		e.set(name, e.bundleFile(name, own))
	}
	if len(e.system) == 0 {
		e.note("no file with the certificates that this system trusts was found, so only Node, Bun and Deno trust the local CA; " +
			"set SSL_CERT_FILE to such a file")
	}
}

// bundle is the path of a file with the roots of a program that reads the first of names that is set, and ours; empty: its roots
// are not known, and must not be replaced.
func (e *builder) bundle(names ...string) string {
	for _, name := range names {
		if e.get(name) == e.path(systemBundle) {
			break // it is our own, of the last time
		}
		if own, ok := e.named(name); ok {
			return e.bundleFile(name, own)
		}
	}
	if len(e.system) > 0 {
		return e.bundleFile("", e.system)
	}
	return ""
}

// named reads the certificates in the file that a variable names. One that cannot be used is as none, as it is for most programs.
func (e *builder) named(name string) (certificates [][]byte, ok bool) {
	path := e.get(name)
	if path == "" {
		return nil, false
	}
	certificates, known := e.read[name]
	if !known {
		if text, err := e.open(path); err == nil {
			certificates = certificatesIn(text)
		}
		if e.read[name] = certificates; certificates == nil {
			e.note(name + "=" + path + " names no file with certificates that can be read, and does not count")
		}
	}
	return certificates, certificates != nil
}

// bundleFile is the path of a file with certificates and ours; name is the variable that named them.
func (e *builder) bundleFile(name string, certificates [][]byte) string {
	if path, made := e.bundles[name]; made {
		return path
	}
	var b bytes.Buffer
	written := map[string]bool{}
	for _, der := range slices.Concat(certificates, e.roots) {
		if !written[string(der)] {
			written[string(der)] = true
			_ = pem.Encode(&b, &pem.Block{Type: certificateType, Bytes: der}) // a Buffer takes everything
		}
	}
	file := systemBundle
	if name != "" {
		file = "roots-" + strings.ReplaceAll(strings.ToLower(name), "_", "-") + ".pem"
	}
	path := e.add(file, b.Bytes())
	e.bundles[name] = path
	return path
}

const (
	certificateType = "CERTIFICATE"
	// systemBundle is the file with the system's roots and ours.
	systemBundle = "roots.pem"
)

// certificatesIn returns the certificates of a file, and nothing else that may be in it: people keep a key beside its certificate.
func certificatesIn(text []byte) (all [][]byte) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == certificateType {
			all = append(all, block.Bytes)
		}
	}
	return all
}
