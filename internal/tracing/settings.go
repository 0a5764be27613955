package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"evergate/internal/readfile"
)

// settings are what the OTEL_EXPORTER_OTLP_… variables say. Nothing that cannot be read is
// passed over: spans that go nowhere would be noticed the day they are needed.
type settings struct {
	endpoint *url.URL
	header   http.Header
	gzip     bool
	timeout  time.Duration // of one attempt
	tls      *tls.Config   // nil: the system's
}

// readSettings reads all but files. Its errors name a variable and not its value, which may
// hold a secret.
func readSettings(getenv func(string) string) (settings, error) {
	var (
		s    = settings{timeout: 10 * time.Second}
		errs [4]error
	)
	s.endpoint, errs[0] = endpoint(getenv)
	s.header, errs[1] = header(getenv)
	if name, v := setting(getenv, "TIMEOUT"); v != "" {
		ms, err := strconv.ParseUint(v, 10, 31)
		if err != nil || ms == 0 {
			errs[2] = fmt.Errorf("%s: write milliseconds, for example 10000", name)
		}
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	switch name, v := setting(getenv, "COMPRESSION"); v {
	case "", "none":
	case "gzip":
		s.gzip = true
	default:
		errs[3] = fmt.Errorf("%s: only gzip and none are built in", name)
	}
	return s, errors.Join(errs[:]...)
}

// setting returns what is said for traces, or else for all signals.
func setting(getenv func(string) string, what string) (name, value string) {
	for _, name = range [...]string{"OTEL_EXPORTER_OTLP_TRACES_" + what, "OTEL_EXPORTER_OTLP_" + what} {
		if value = strings.TrimSpace(getenv(name)); value != "" {
			break
		}
	}
	return name, value
}

// endpoint is a URL for traces as it stands, or one for all signals with the traces' path. A
// user and a query are no part of it.
func endpoint(getenv func(string) string) (*url.URL, error) {
	name, v := setting(getenv, "ENDPOINT")
	if v == "" {
		return &url.URL{Scheme: "http", Host: "localhost:4318", Path: "/v1/traces"}, nil
	}
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: write a URL, for example http://localhost:4318", name)
	}
	at := path.Join("/", u.Path, "v1/traces")
	if strings.HasSuffix(name, "_TRACES_ENDPOINT") {
		at = "/" + strings.TrimPrefix(u.Path, "/")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: at}, nil
}

// header reads name=value, percent-encoded, with commas between.
func header(getenv func(string) string) (http.Header, error) {
	name, text := setting(getenv, "HEADERS")
	h := http.Header{}
	for _, pair := range strings.Split(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, encoded, ok := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(encoded)
		value = strings.TrimSpace(value)
		if !ok || err != nil || !isFieldName(key) || strings.ContainsFunc(value, isControl) {
			return nil, fmt.Errorf("%s: write name=value, several with commas between them, and special characters percent-encoded", name)
		}
		h.Set(key, value)
	}
	return h, nil
}

// isFieldName reports whether a header can be called s (RFC 9110, 5.1).
func isFieldName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r))
	})
}

func isControl(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }

// readFiles reads the certificates that the variables name.
func (s *settings) readFiles(getenv func(string) string) error {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if name, file := setting(getenv, "CERTIFICATE"); file != "" {
		pem, _, err := readfile.Owned(file, readfile.LargestPEM)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: %s holds no certificate in PEM", name, file)
		}
	}
	certName, cert := setting(getenv, "CLIENT_CERTIFICATE")
	keyName, key := setting(getenv, "CLIENT_KEY")
	switch {
	case cert != "" && key != "":
		pair, err := readfile.KeyPair(cert, key)
		if err != nil {
			return fmt.Errorf("%s and %s: %w", certName, keyName, err)
		}
		c.Certificates = []tls.Certificate{pair}
	case cert != "" || key != "":
		return fmt.Errorf("%s and %s: set both or none", certName, keyName)
	}
	if c.RootCAs == nil && c.Certificates == nil {
		return nil
	}
	if s.endpoint.Scheme == "http" {
		return errors.New("the OTLP endpoint is http:// and certificates are set for it: write https://, or unset them")
	}
	s.tls = c
	return nil
}
