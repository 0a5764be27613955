package redisstore

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"evergate/internal/plain"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

const (
	// patience bounds one command, with its repetitions while a connection is made anew.
	patience = 5 * time.Second
	// pingEvery is how often an idle connection is asked whether it lives. One that a firewall has forgotten, or whose server
	// has gone without a word, would else tell of no change for ever.
	pingEvery = 5 * time.Second
	// bufferSize is for reading and for writing; a record has one or two KiB, and what is longer passes in pieces.
	bufferSize = 4 << 10
	// ringScale makes room for 2^7 commands under way on the one connection.
	ringScale = 7
	// ownConnections are for what cannot share one: that which tells of changes.
	ownConnections = 8
	// topologyEvery is how often Sentinel is asked which is the master, and a Cluster who has what: what they tell of their own
	// accord can be missed.
	topologyEvery = 5 * time.Second
)

const defaultPrefix = "evergate"

// address is what EVERGATE_STORE says.
type address struct {
	option rueidis.ClientOption
	// shown is the address without what is secret, and servers are those it names, for errors.
	shown, servers string
	prefix         string
	// Files are read when a connection is made, so that what is replaced needs no restart.
	roots, certificate, key, password string
	// secrets are all that no text may hold.
	secrets []token.Secret
	// filed is what the file of the password held last.
	filed *atomic.Pointer[string]
}

// parameters are those of rueidis.ParseURL that mean something here, and those of our own.
var parameters = []string{
	"addr", "client_name", "db", "dial_timeout", "master_set", "max_retries", "protocol", "skip_verify", "write_timeout",
	"ca_file", "cert_file", "key_file", "password_file", "prefix", "sentinel_password", "sentinel_username",
}

var errAddress = remedy.New("write redis://USER:PASSWORD@HOST:PORT/DATABASE, or rediss:// for TLS, with everything in the password but letters and digits percent-encoded",
	"EVERGATE_STORE is not an address of Redis")

// isPrefix lets nothing into a key that a pattern of SCAN, a hash tag or an ACL reads as something else.
var isPrefix = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._-]{0,63}$`) })

// Valid reports what is wrong with an address, without opening anything. It repeats nothing that may be a piece of a password.
func Valid(spec string) error {
	_, err := parse(spec)
	return err
}

// Shown is the address without its passwords.
func Shown(spec string) string {
	a, err := parse(spec)
	if err != nil {
		return "redis:"
	}
	return a.shown
}

func parse(spec string) (address, error) {
	u, err := url.Parse(spec)
	if err != nil || u.Hostname() == "" || u.Fragment != "" || u.Opaque != "" || u.Scheme != "redis" && u.Scheme != "rediss" {
		return address{}, errAddress
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return address{}, errAddress
	}
	for name, values := range q {
		switch {
		case !slices.Contains(parameters, name):
			return address{}, remedy.New("remove it; there are "+strings.Join(parameters, ", "), "EVERGATE_STORE has a parameter that is unknown")
		case name != "addr" && len(values) > 1:
			return address{}, remedy.New("give it once", "EVERGATE_STORE has the parameter %s twice", name)
		}
	}
	// It quotes what it refuses, which may be the end of a password with a slash in it.
	option, err := rueidis.ParseURL(spec)
	if err != nil {
		return address{}, errAddress
	}
	a := address{
		option: option, prefix: defaultPrefix, shown: shown(u, q), servers: strings.Join(option.InitAddress, ", "), filed: &atomic.Pointer[string]{},
		roots: q.Get("ca_file"), certificate: q.Get("cert_file"), key: q.Get("key_file"), password: q.Get("password_file"),
	}
	if q.Has("prefix") {
		a.prefix = q.Get("prefix")
	}
	a.option.Sentinel.Username, a.option.Sentinel.Password = q.Get("sentinel_username"), q.Get("sentinel_password")
	for _, secret := range []string{option.Password, a.option.Sentinel.Password} {
		if secret != "" {
			a.secrets = append(a.secrets, token.NewSecret(secret))
		}
	}
	return a, a.contradiction()
}

func (a *address) contradiction() error {
	tlsFiles := a.roots != "" || a.certificate != "" || a.key != ""
	switch {
	case !isPrefix().MatchString(a.prefix):
		return remedy.New("give letters, digits and :._- alone, 64 at most", "EVERGATE_STORE has a prefix that cannot begin a key")
	case tlsFiles && a.option.TLSConfig == nil:
		return remedy.New("write rediss:// if the server speaks TLS", "EVERGATE_STORE has files for TLS and begins with redis://")
	case (a.certificate == "") != (a.key == ""):
		return remedy.New("give cert_file and key_file", "EVERGATE_STORE has one of a certificate and its key")
	case a.password != "" && a.option.Password != "":
		return remedy.New("keep one", "EVERGATE_STORE has a password and a password_file")
	case a.option.Sentinel.MasterSet == "" && (a.option.Sentinel.Username != "" || a.option.Sentinel.Password != ""):
		return remedy.New("give master_set, the name by which Sentinel knows the master", "EVERGATE_STORE has credentials for Sentinel and no master_set")
	}
	return nil
}

// shown leaves out the passwords, and says that there are some.
func shown(u *url.URL, q url.Values) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		clean.User = url.UserPassword(u.User.Username(), "xxxxx")
		if _, has := u.User.Password(); !has {
			clean.User = url.User(u.User.Username())
		}
	}
	if q.Has("sentinel_password") {
		q = maps.Clone(q) // the caller goes on with its own
		q.Set("sentinel_password", "xxxxx")
	}
	clean.RawQuery = q.Encode()
	return clean.String()
}

// client is the library's options, with what is read from files.
func (a *address) client() (rueidis.ClientOption, error) {
	o := a.option
	o.DisableCache = true // nothing is kept here: whoever reads wants what is stored
	o.ReadBufferEachConn, o.WriteBufferEachConn = bufferSize, bufferSize
	o.RingScaleEachConn = ringScale
	o.PipelineMultiplex = -1 // one connection for each server
	o.BlockingPoolSize = ownConnections
	o.BlockingPoolCleanup = time.Minute
	o.Dialer.KeepAlive = pingEvery
	if o.ConnWriteTimeout == 0 {
		o.ConnWriteTimeout = patience
	}
	if o.Dialer.Timeout == 0 {
		o.Dialer.Timeout = patience
	}
	if o.ClientName == "" {
		o.ClientName = "evergate"
	}
	o.Sentinel.TopologyRefreshInterval = topologyEvery
	o.ClusterOption.ShardsRefreshInterval = topologyEvery
	if err := a.readTLS(&o); err != nil {
		return rueidis.ClientOption{}, err
	}
	if a.password != "" {
		o.AuthCredentialsFn = a.credentials
	}
	o.Sentinel.TLSConfig, o.Sentinel.Dialer, o.Sentinel.ClientName = o.TLSConfig, o.Dialer, o.ClientName
	return o, nil
}

// credentials reads the file of the password, for each connection anew.
func (a *address) credentials(rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
	b, err := readfile.Read(a.password, 64<<10)
	if err != nil {
		return rueidis.AuthCredentials{}, &fileError{remedy.New("see to the file, or correct the path", "the password_file of EVERGATE_STORE: %w", err)}
	}
	password, err := plain.Value(string(b))
	if err != nil {
		return rueidis.AuthCredentials{}, &fileError{fmt.Errorf("the password_file of EVERGATE_STORE, %s, %w", a.password, err)}
	}
	a.filed.Store(&password)
	return rueidis.AuthCredentials{Username: a.option.Username, Password: password}, nil
}

func (a *address) readTLS(o *rueidis.ClientOption) error {
	if o.TLSConfig == nil {
		return nil
	}
	o.TLSConfig = o.TLSConfig.Clone()
	if a.roots != "" {
		pem, _, err := readfile.Owned(a.roots, readfile.LargestPEM)
		if err != nil {
			return &fileError{remedy.New("see to the file, or correct the path", "the ca_file of EVERGATE_STORE: %w", err)}
		}
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool() // a machine without system roots still has the file's
		}
		if !pool.AppendCertsFromPEM(pem) {
			return &fileError{remedy.New("see to the file, or correct the path", "the ca_file of EVERGATE_STORE holds no certificate in PEM form")}
		}
		o.TLSConfig.RootCAs = pool
	}
	if a.certificate != "" {
		pair, err := readfile.KeyPair(a.certificate, a.key)
		if err != nil {
			return &fileError{remedy.New("see to the file, or correct the path", "the cert_file and key_file of EVERGATE_STORE: %w", err)}
		}
		o.TLSConfig.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// fileError is a file that the address names and that cannot be used.
type fileError struct{ err error }

// Error implements error.
func (e *fileError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *fileError) Unwrap() error { return e.err }
