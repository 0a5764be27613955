package kubernetes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAnAPIServer starts one for all its properties: it takes seconds to.
func TestAnAPIServer(t *testing.T) {
	t.Parallel() // each has a server of its own, and waits for it
	if testing.Short() {
		t.Skip("starts an API server: not with -short")
	}
	c := startCluster(t)
	c.mustKubectl(t, "", "apply", "--filename", "testdata/namespace.yaml", "--filename", "testdata/crds.yaml")
	c.mustKubectl(t, "", "wait", "--for", "condition=established", "crd", "--all", "--timeout", patience.String())
	for _, property := range []struct {
		name  string
		holds func(*testing.T, *cluster)
	}{
		{"accepts_every_render", acceptsEveryRender},
		{"admits_every_pod_as_restricted", admitsEveryPod},
		{"refuses_a_pod_that_is_less_restricted", refusesLessRestrictedPods},
		{"refuses_a_field_that_is_misspelt", refusesMisspeltFields},
		{"takes_an_upgrade_and_a_rollback", takesAnUpgrade},
		{"keeps_the_claim_of_a_grant", keepsTheClaim},
		{"runs_the_sidecar_of_an_app_natively", installsAnApp},
		{"accepts_the_kustomize_component", acceptsTheComponent},
		{"accepts_what_the_documentation_has_people_type", acceptsTheDocumentation},
	} {
		t.Run(property.name, func(t *testing.T) { property.holds(t, c) })
	}
}

// acceptsEveryRender has the server validate all that is rendered, by its own schema.
func acceptsEveryRender(t *testing.T, c *cluster) {
	for _, name := range goldens(t) {
		render := read(t, goldenFile(name))
		if len(parse(t, render)) == 0 {
			continue
		}
		c.mustKubectl(t, render, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-")
	}
}

// podOf makes a pod of an object's template, as a controller would; ok is false for an object without one.
func podOf(t *testing.T, document map[string]any) (pod map[string]any, ok bool) {
	t.Helper()
	spec := podSpec(document)
	if spec == nil {
		return nil, false
	}
	var copied map[string]any
	if err := json.Unmarshal([]byte(asJSON(t, spec)), &copied); err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod", "spec": copied,
		"metadata": map[string]any{"name": strings.ToLower(document["kind"].(string))},
	}, true
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// admitsEveryPod creates pods, because the restricted level holds for them: of a Deployment
// the server only warns.
func admitsEveryPod(t *testing.T, c *cluster) {
	pods := 0
	for _, name := range goldens(t) {
		for _, document := range parse(t, read(t, goldenFile(name))) {
			pod, ok := podOf(t, document)
			if !ok {
				continue
			}
			if class := at(pod, "spec", "priorityClassName"); class == "system-cluster-critical" {
				delete(pod["spec"].(map[string]any), "priorityClassName") // is for kube-system only
			}
			pods++
			c.mustKubectl(t, asJSON(t, pod), "create", "--dry-run=server", "--validate=strict", "--filename", "-")
		}
	}
	if pods < 15 {
		t.Errorf("%d pods: these are not all", pods)
	}
}

// goldenPod is the pod of an app with the sidecar.
func goldenPod(t *testing.T) map[string]any {
	t.Helper()
	pod, ok := podOf(t, parse(t, read(t, goldenFile("app/native")))[0])
	if !ok {
		t.Fatal("no pod in the golden render")
	}
	return pod
}

// refusesLessRestrictedPods shows that the level is enforced, and that each part of it which
// the chart sets is needed.
func refusesLessRestrictedPods(t *testing.T, c *cluster) {
	for name, worsen := range map[string]func(pod, context map[string]any){
		"privilege_escalation": func(_, s map[string]any) { s["allowPrivilegeEscalation"] = true },
		"capabilities":         func(_, s map[string]any) { delete(s, "capabilities") },
		"seccomp":              func(_, s map[string]any) { delete(s, "seccompProfile") },
		"root":                 func(_, s map[string]any) { s["runAsNonRoot"] = false },
		"host_network":         func(pod, _ map[string]any) { pod["hostNetwork"] = true },
		"host_path": func(pod, _ map[string]any) {
			pod["volumes"] = []any{map[string]any{"name": "host", "hostPath": map[string]any{"path": "/"}}, at(pod, "volumes", 0)}
		},
	} {
		pod := goldenPod(t)
		sidecar := at(pod, "spec", "initContainers", 0, "securityContext").(map[string]any)
		worsen(pod["spec"].(map[string]any), sidecar)
		res := c.kubectl(t, asJSON(t, pod), "create", "--dry-run=server", "--filename", "-")
		if res.code == 0 || !strings.Contains(res.stderr, `violates PodSecurity "restricted:latest"`) {
			t.Errorf("%s: admitted, or refused for another reason: %v", name, res)
		}
	}
}

func refusesMisspeltFields(t *testing.T, c *cluster) {
	pod := goldenPod(t)
	at(pod, "spec", "initContainers", 0).(map[string]any)["startProbe"] = map[string]any{}
	res := c.kubectl(t, asJSON(t, pod), "create", "--dry-run=server", "--validate=strict", "--filename", "-")
	if res.code == 0 || !strings.Contains(res.stderr, "startProbe") {
		t.Errorf("a field that does not exist is accepted: %v", res)
	}
}

// previous is the chart as it was at version 0.1.0.
const previous = "testdata/evergate-0.1.0.tgz"

// takesAnUpgrade goes from the previous version to this one with several sets of values, and
// back. Fields that a server does not let change show here.
func takesAnUpgrade(t *testing.T, c *cluster) {
	for _, values := range []string{"minimal", "offline", "autoscaled", "monitored"} {
		file := "testdata/values/own/" + values + ".yaml"
		release := "up-" + values
		c.mustHelm(t, "install", release, previous, "--namespace", namespace, "--values", file)
		c.mustHelm(t, "upgrade", release, chart, "--namespace", namespace, "--values", file)
		if got, want := c.deployed(t, release), at(parse(t, read(t, chart+"/Chart.yaml"))[0], "version").(string); got != want {
			t.Errorf("%s: the chart is %s after the upgrade, want %s", values, got, want)
		}
		c.mustHelm(t, "rollback", release, "1", "--namespace", namespace)
		if got := c.deployed(t, release); got != "0.1.0" {
			t.Errorf("%s: the chart is %s after the rollback, want 0.1.0", values, got)
		}
		c.mustHelm(t, "upgrade", release, chart, "--namespace", namespace, "--values", file, "--set", "deployment.podLabels.again=yes")
		c.mustHelm(t, "uninstall", release, "--namespace", namespace)
	}
}

// deployed is the version of the chart that the server's Deployment is labelled with.
func (c *cluster) deployed(t *testing.T, release string) string {
	t.Helper()
	label := c.mustKubectl(t, "", "get", "deployment", release+"-evergate", "--output", `jsonpath={.metadata.labels.helm\.sh/chart}`)
	return strings.TrimPrefix(label, "evergate-")
}

// keepsTheClaim: with it goes the grant, which cannot be had again without a person.
func keepsTheClaim(t *testing.T, c *cluster) {
	c.mustHelm(t, "install", "kept", chart, "--namespace", namespace, "--values", "testdata/values/own/offline.yaml")
	c.mustHelm(t, "uninstall", "kept", "--namespace", namespace)
	if left := c.mustKubectl(t, "", "get", "persistentvolumeclaim", "kept-evergate", "--output", "name"); !strings.Contains(left, "kept-evergate") {
		t.Errorf("the claim is gone with the release: %q", left)
	}
	if res := c.kubectl(t, "", "get", "deployment", "kept-evergate"); res.code == 0 {
		t.Error("the Deployment is still there")
	}
}

// installsAnApp looks at what the server has stored: one that does not know native sidecars
// drops the field without a word, and the pod would never start.
func installsAnApp(t *testing.T, c *cluster) {
	c.mustHelm(t, "install", "shop", appChart(t), "--namespace", namespace)
	for _, kind := range []string{"deployment/shop", "job/shop-nightly"} {
		var stored map[string]any
		if err := json.Unmarshal([]byte(c.mustKubectl(t, "", "get", kind, "--output", "json")), &stored); err != nil {
			t.Fatal(err)
		}
		sidecar := at(podSpec(stored), "initContainers", 0)
		if at(sidecar, "restartPolicy") != "Always" || at(sidecar, "startupProbe") == nil || at(sidecar, "lifecycle") != nil {
			t.Errorf("%s: the sidecar is no native one with a start-up probe and without hooks: %v", kind, sidecar)
		}
		if beside := at(podSpec(stored), "containers", 1); beside != nil {
			t.Errorf("%s: beside the app there is %v", kind, beside)
		}
	}
}

// acceptsTheComponent applies an overlay that uses it, with kubectl's own kustomize.
func acceptsTheComponent(t *testing.T, c *cluster) {
	overlay := kustomization(t)
	c.mustKubectl(t, "", "apply", "--server-side", "--dry-run=server", "--validate=strict", "--kustomize", overlay)
	pods := 0
	for _, document := range parse(t, c.mustKubectl(t, "", "kustomize", overlay)) {
		if pod, ok := podOf(t, document); ok {
			pods++
			c.mustKubectl(t, asJSON(t, pod), "create", "--dry-run=server", "--validate=strict", "--filename", "-")
		}
	}
	if pods != 5 {
		t.Errorf("%d pods, want those of five objects", pods)
	}
}

// kustomization is an overlay as docs/containers/kubernetes.md has it, beside the component.
func kustomization(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	copyTree(t, root+"/deploy/kustomize", filepath.Join(dir, "deploy/kustomize"))
	copyTree(t, "testdata/kustomize", filepath.Join(dir, "app"))
	return filepath.Join(dir, "app")
}

// TestTheComponentAddsTheChartsSidecar holds the two to each other.
func TestTheComponentAddsTheChartsSidecar(t *testing.T) {
	t.Parallel()
	res := invoke(t, t.TempDir(), "", "", tool(t, "kubectl"), "kustomize", kustomization(t))
	if res.code != 0 {
		t.Fatal(res)
	}
	sameOrUpdate(t, "testdata/kustomize.golden", res.stdout)
	want := at(goldenPod(t), "spec", "initContainers", 0).(map[string]any)
	with, without := 0, 0
	for _, document := range parse(t, res.stdout) {
		spec := podSpec(document)
		if spec == nil {
			continue
		}
		if at(document, "metadata", "labels", "evergate") != "sidecar" {
			without++
			if spec["initContainers"] != nil {
				t.Errorf("an object without the label has the sidecar, too: %v", document)
			}
			continue
		}
		with++
		got, _ := at(spec, "initContainers", 0).(map[string]any)
		for _, field := range []string{"restartPolicy", "startupProbe", "readinessProbe", "livenessProbe", "resources", "securityContext", "volumeMounts"} {
			if asJSON(t, got[field]) != asJSON(t, want[field]) {
				t.Errorf("%v: %s is %s, the chart's is %s", document["kind"], field, asJSON(t, got[field]), asJSON(t, want[field]))
			}
		}
	}
	if with != 4 || without != 1 {
		t.Errorf("%d objects with the label and %d without, want 4 and 1", with, without)
	}
}

func TestPreviousVersionIsAFixture(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(previous); err != nil {
		t.Fatal(err)
	}
	if out := mustHelm(t, "show", "chart", previous); !strings.Contains(out, "version: 0.1.0") {
		t.Errorf("%s is %s", previous, out)
	}
}
