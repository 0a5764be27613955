package kubernetes

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// namespace is the one of the cluster that enforces the restricted pod-security level.
const namespace = "shop"

// cluster is an API server and its etcd, without any controller.
type cluster struct {
	home   string // has the kubeconfig
	server string
	token  string

	dir       string // of both processes
	etcd, api *process.Process
	etcdURL   string
	apiArgs   []string
}

// startCluster returns when the API server is ready. Both processes end with t.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl", "helm"} {
		tool(t, name)
	}
	c := &cluster{home: t.TempDir(), token: rand.Text()}
	// Neither program can be given port 0, so a free port is looked for; another process may
	// be faster, hence the second and third try.
	var err error
	for range 3 {
		if err = c.start(t); err == nil {
			return c
		}
	}
	t.Fatal(err)
	return nil
}

func (c *cluster) start(t *testing.T) error {
	t.Helper()
	client, peer, secure := process.FreePort(t), process.FreePort(t), process.FreePort(t)
	dir := t.TempDir()
	c.dir, c.etcdURL = dir, "http://127.0.0.1:"+client
	c.etcd = launch(t, dir, "etcd", "--data-dir", filepath.Join(dir, "etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", "http://127.0.0.1:"+client, "--advertise-client-urls", "http://127.0.0.1:"+client,
		"--listen-peer-urls", "http://127.0.0.1:"+peer, "--initial-advertise-peer-urls", "http://127.0.0.1:"+peer,
		"--initial-cluster", "default=http://127.0.0.1:"+peer)
	key, tokens := filepath.Join(dir, "sa.key"), filepath.Join(dir, "tokens.csv")
	writeKey(t, key)
	if err := os.WriteFile(tokens, []byte(c.token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return err
	}
	// ServiceAccount admission wants accounts that a controller makes. The address that is
	// advertised is one for documentation: nobody asks for it.
	c.apiArgs = []string{"--etcd-servers", c.etcdURL,
		"--bind-address", "127.0.0.1", "--secure-port", secure, "--cert-dir", filepath.Join(dir, "certs"),
		"--advertise-address", "192.0.2.1", "--endpoint-reconciler-type", "none",
		"--authorization-mode", "RBAC", "--token-auth-file", tokens, "--disable-admission-plugins", "ServiceAccount",
		"--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", key,
		"--service-account-signing-key-file", key, "--service-cluster-ip-range", "10.0.0.0/24"}
	c.api = launch(t, dir, "kube-apiserver", c.apiArgs...)
	c.server = "https://127.0.0.1:" + secure
	if err := os.WriteFile(filepath.Join(c.home, "kubeconfig"), []byte(c.kubeconfig()), 0o600); err != nil {
		return err
	}
	return c.ready(t, c.etcd, c.api)
}

// restartAPI ends the API server and starts it on the same port, with what etcd has; it lives as long as t.
func (c *cluster) restartAPI(t *testing.T) {
	t.Helper()
	c.api.Kill()
	c.api = launch(t, c.dir, "kube-apiserver", c.apiArgs...)
	if err := c.ready(t, c.etcd, c.api); err != nil {
		t.Fatal(err)
	}
}

// authority is the certificate that the API server's own is signed with.
func (c *cluster) authority(t *testing.T) string {
	t.Helper()
	return read(t, filepath.Join(c.dir, "certs", "apiserver.crt"))
}

func (c *cluster) kubeconfig() string {
	return `apiVersion: v1
kind: Config
clusters:
  - name: test
    cluster: {server: "` + c.server + `", insecure-skip-tls-verify: true}
users:
  - name: admin
    user: {token: ` + c.token + `}
contexts:
  - name: test
    context: {cluster: test, user: admin, namespace: ` + namespace + `}
current-context: test
`
}

// ready waits until the API server says so, or one of the processes has ended.
func (c *cluster) ready(t *testing.T, processes ...*process.Process) error {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	var ended error // then asking again is of no use
	err := process.Poll(patience, 100*time.Millisecond, func() error {
		for _, p := range processes {
			if !p.Running() {
				ended = fmt.Errorf("%s has ended: %s", p.Cmd.Path, p.Tail())
				return nil
			}
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.server+"/readyz", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New("the API server answers " + resp.Status)
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("%w: %s", err, processes[len(processes)-1].Tail())
	}
	return errors.Join(ended, err)
}

// launch starts etcd or the API server, and ends it with t: nothing that it has is worth a clean end.
func launch(t *testing.T, dir, name string, args ...string) *process.Process {
	t.Helper()
	cmd := process.Command(t, tool(t, name), nil, args...)
	cmd.Dir = dir
	p := process.Launch(t, cmd)
	t.Cleanup(p.Kill)
	return p
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kubectl and helm run against the cluster.
func (c *cluster) kubectl(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return invoke(t, c.home, "", stdin, tool(t, "kubectl"), args...)
}

func (c *cluster) mustKubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	return c.quiet(t, "kubectl", args, c.kubectl(t, stdin, args...))
}

func (c *cluster) mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	return c.quiet(t, "helm", args, invoke(t, c.home, "", "", tool(t, "helm"), args...))
}

// quiet demands success and no warning: that is how the API server says what the pod-security
// level will not let in, and which field it does not know.
func (c *cluster) quiet(t *testing.T, program string, args []string, res result) string {
	t.Helper()
	if res.code != 0 || strings.Contains(strings.ToLower(res.stderr), "warning") {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), res)
	}
	return res.stdout
}
