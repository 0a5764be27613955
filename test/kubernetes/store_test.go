package kubernetes

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"evergate/internal/envelope"
	"evergate/internal/kubestore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// home is the namespace of the ServiceAccounts that tests use; each place for grants is a namespace of its own.
const home = "evergate-home"

// TestGrantsInSecrets runs the store of Secrets against an API server that enforces RBAC.
func TestGrantsInSecrets(t *testing.T) {
	t.Parallel() // each has a server of its own, and waits for it
	if testing.Short() {
		t.Skip("starts an API server: not with -short")
	}
	c := startCluster(t)
	c.mustKubectl(t, "", "create", "namespace", home)
	c.mustKubectl(t, "", "create", "serviceaccount", "evergate", "--namespace", home)
	c.mustKubectl(t, "", "create", "serviceaccount", "stranger", "--namespace", home)
	grants := &grantPlaces{cluster: c, owner: t, account: c.accountDir(t, "evergate")}
	t.Run("conforms", func(t *testing.T) {
		storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
			namespace := grants.make(t)
			return func() token.Backend { return grants.open(t, namespace, grants.account) }
		})
	})
	for _, property := range []struct {
		name  string
		holds func(*testing.T)
	}{
		{"says_which_rights_are_missing", grants.saysWhichRightsAreMissing},
		{"says_what_cannot_be_reached", grants.withoutANamespace},
		{"made_again_is_another", grants.madeAgainIsAnother},
		{"token_file_rotates", grants.tokenRotates},
		{"lists_many_shops", grants.listsManyShops},
		{"replicas_share_a_chain", grants.replicasShareAChain},
		{"race", grants.race},
		{"watch_survives_a_restart", grants.watchSurvivesARestart},
		{"watch_survives_a_compaction", grants.watchSurvivesACompaction},
	} {
		t.Run(property.name, property.holds)
	}
}

// grantPlaces makes namespaces for grants.
type grantPlaces struct {
	cluster *cluster
	owner   *testing.T // outlives every place
	account string     // the directory of an account that has the rights
	made    atomic.Int32
}

// accountDir is what the kubelet mounts for a pod of the ServiceAccount.
func (c *cluster) accountDir(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"token": c.mustKubectl(t, "", "create", "token", name, "--namespace", home), "ca.crt": c.authority(t), "namespace": home,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// make makes a namespace in which the account has the rights that a Role gives, and no others.
func (g *grantPlaces) make(t *testing.T) string {
	t.Helper()
	namespace := fmt.Sprintf("grants-%d", g.made.Add(1))
	g.cluster.mustKubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "`+namespace+`"}}`, "create", "--filename", "-")
	g.cluster.mustKubectl(t, role(t, namespace), "create", "--filename", "-")
	return namespace
}

// role is the Role of the page about this store and its binding, to the account of the tests.
func role(t *testing.T, namespace string) string {
	t.Helper()
	for _, m := range fenced.FindAllStringSubmatch(read(t, root+"/docs/operating/store-kubernetes.md"), -1) {
		if manifest := m[3]; m[2] == "yaml" {
			last := strings.LastIndex(manifest, "namespace: shop")
			return strings.ReplaceAll(manifest[:last], "namespace: shop", "namespace: "+namespace) + "namespace: " + home + "\n"
		}
	}
	t.Fatal("the page has no Role")
	return ""
}

// TestTheChartsRoleIsThePages holds the chart to what the suite has shown to be enough.
func TestTheChartsRoleIsThePages(t *testing.T) {
	t.Parallel()
	rules := map[string]string{}
	for _, text := range []string{read(t, goldenFile("own/secrets-store")), role(t, "grants")} {
		for _, document := range parse(t, text) {
			if document["kind"] == "Role" {
				rules[asJSON(t, document["rules"])] = at(document, "metadata", "namespace").(string)
			}
		}
	}
	if len(rules) != 1 {
		t.Errorf("there are two Roles: %v", rules)
	}
}

func (g *grantPlaces) open(t *testing.T, namespace, account string) token.Backend {
	t.Helper()
	return g.openAt(t, g.cluster.server, namespace, account)
}

func (g *grantPlaces) openAt(t *testing.T, server, namespace, account string) token.Backend {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(u.Host)
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	b, err := kubestore.Open(kubestore.Options{
		Rest: namespace + "?account=" + url.QueryEscape(account), Keys: envelope.Keys{Current: token.NewSecret(strings.Repeat("k", envelope.KeySize))},
		Getenv: func(name string) string { return env[name] },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// saysWhichRightsAreMissing has a stranger told, does as it is told, and asks again.
func (g *grantPlaces) saysWhichRightsAreMissing(t *testing.T) {
	namespace := g.make(t)
	b := g.open(t, namespace, g.cluster.accountDir(t, "stranger"))
	findings := b.Check(t.Context())
	if len(findings) != 1 || !findings[0].Loses || !strings.Contains(findings[0].Text, "create, get, list, patch, watch of secrets and create, delete, get, update of leases") {
		t.Fatalf("a stranger is told %+v", findings)
	}
	_, named, _ := strings.Cut(findings[0].Do, "\n")
	g.cluster.mustKubectl(t, named, "apply", "--server-side", "--force-conflicts", "--filename", "-")
	if findings := g.open(t, namespace, g.account).Check(t.Context()); len(findings) != 0 {
		t.Errorf("with the Role that it named: %+v", findings)
	}
	g.cluster.mustKubectl(t, "", "delete", "rolebinding", "evergate-grants", "--namespace", namespace)
	g.cluster.mustKubectl(t, "", "create", "role", "reader", "--verb", "get,list", "--resource", "secrets", "--namespace", namespace)
	g.cluster.mustKubectl(t, "", "create", "rolebinding", "reader", "--role", "reader", "--serviceaccount", home+":stranger", "--namespace", namespace)
	findings = b.Check(context.WithoutCancel(t.Context()))
	if len(findings) != 1 || !strings.Contains(findings[0].Text, ": create, patch, watch of secrets and") {
		t.Errorf("who may read is told %+v", findings)
	}
}
