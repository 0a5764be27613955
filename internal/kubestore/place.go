package kubestore

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"evergate/internal/plain"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/token"
)

// accountDir is where the kubelet puts what a pod needs to speak to the API server.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// largestFile bounds in bytes what is read of a file there; the largest is a bundle of authorities.
const largestFile = 4 << 20

// place is what EVERGATE_STORE says after "kubernetes:".
type place struct {
	namespace string // empty: the pod's own
	account   account
}

// account is a directory with the credentials of a ServiceAccount: token, ca.crt and namespace. The kubelet replaces them
// while we run, so they are read whenever they are used.
type account string

// isNamespace is ^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$, which Kubernetes demands.
func isNamespace(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-')
	})
}

// Valid reports what is wrong with what follows "kubernetes:" in EVERGATE_STORE.
func Valid(rest string) error {
	_, err := parsePlace(rest)
	return err
}

func parsePlace(rest string) (place, error) {
	namespace, query, _ := strings.Cut(rest, "?")
	const write = "write kubernetes:NAMESPACE, or kubernetes: for the pod's own namespace"
	if namespace != "" && !isNamespace(namespace) {
		return place{}, remedy.New(write, "EVERGATE_STORE: what follows kubernetes: is not the name of a namespace")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return place{}, remedy.New(write, "EVERGATE_STORE: what follows the question mark cannot be read")
	}
	p := place{namespace: namespace, account: accountDir}
	for name, v := range values {
		if name != "account" || len(v) != 1 || !filepath.IsAbs(v[0]) {
			return place{}, remedy.New("write account=DIR there, with the absolute path of a directory that holds token and ca.crt", "EVERGATE_STORE: kubernetes: does not take what follows the question mark")
		}
		p.account = account(v[0])
	}
	return p, nil
}

// serverOf is the API server's address, as every pod has it in its environment.
func serverOf(getenv func(string) string) (string, error) {
	host, port := getenv("KUBERNETES_SERVICE_HOST"), getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return "", remedy.New("run Evergate in a pod, or set the two to the API server's address and port and name the credentials with kubernetes:NAMESPACE?account=DIR",
			"EVERGATE_STORE=kubernetes: there is no API server: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set")
	}
	return "https://" + net.JoinHostPort(strings.Trim(host, "[]"), port), nil
}

func (a account) token() (token.Secret, error) {
	b, err := readfile.Read(filepath.Join(string(a), "token"), largestFile)
	if err != nil {
		return token.Secret{}, remedy.New(mountIt, "the ServiceAccount's token cannot be read: %w", err)
	}
	value, err := plain.Value(string(b))
	switch {
	case err != nil:
		return token.Secret{}, remedy.New(mountIt, "the ServiceAccount's token in %s %w", a, err)
	case value == "":
		return token.Secret{}, remedy.New(mountIt, "the ServiceAccount's token in %s is empty", a)
	}
	return token.NewSecret(value), nil
}

const mountIt = "set automountServiceAccountToken: true for the pod, or mount a projected token there"

func (a account) authorities() ([]byte, error) {
	b, err := readfile.Read(filepath.Join(string(a), "ca.crt"), largestFile)
	if err != nil {
		return nil, remedy.New(mountIt, "the API server's authority cannot be read: %w", err)
	}
	return b, nil
}

func (a account) namespace() (string, error) {
	b, err := readfile.Read(filepath.Join(string(a), "namespace"), largestFile)
	if err != nil {
		return "", remedy.New("write it: EVERGATE_STORE=kubernetes:NAMESPACE", "the pod's own namespace is not known: %w", err)
	}
	name := strings.TrimSpace(string(b))
	if !isNamespace(name) {
		return "", fmt.Errorf("%s holds no name of a namespace", filepath.Join(string(a), "namespace"))
	}
	return name, nil
}
