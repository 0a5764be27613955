//go:build linux

package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// renders is where test/kubernetes keeps what helm makes of the chart.
const renders = "../kubernetes/testdata/golden/"

// play is a pod of the chart, made by `podman kube play` of a golden render.
//
// Podman (4.3) knows no native sidecars, no start-up probes and no hooks, and copies a
// Secret once. What a kubelet does about these is done here instead, with the commands and
// the layout of files that the render and Kubernetes' contract prescribe: an init container with
// restartPolicy Always is started, and what comes after it only when its startupProbe has
// succeeded; the same for an ordinary container and its postStart hook; at the end the app gets
// SIGTERM before a native sidecar does.
type play struct {
	*podman
	pod     string
	sidecar map[string]any // as rendered
	secrets *secretVolume
}

// container is the name that podman gives a container of the pod.
func (p *play) container(name string) string { return p.pod + "-" + name }

// simulated is what the pods of these tests have beside the render: Shopify, and the settings that lead there.
var simulated = []any{
	map[string]any{"name": "EVERGATE_UPSTREAM_URL", "value": "http://127.0.0.1:4443"},
	map[string]any{"name": "EVERGATE_LOG_FORMAT", "value": "json"},
}

// newPlay makes the pod of an object of a render, with nothing of it started.
func newPlay(t *testing.T, p *podman, render, kind string, secrets map[string]string, appArgs ...string) *play {
	t.Helper()
	spec := renderedPod(t, render, kind)
	pl := &play{podman: p, pod: "play", secrets: newSecretVolume(t, secrets)}
	containers := spec["containers"].([]any)
	if inits, _ := spec["initContainers"].([]any); len(inits) > 0 {
		if inits[0].(map[string]any)["restartPolicy"] != "Always" {
			t.Fatalf("%s: the first init container is no native sidecar", render)
		}
		containers = append(inits[:1], containers...)
		delete(spec, "initContainers")
	}
	if strings.HasPrefix(render, "own/") { // the Deployment of its own has no app beside it
		containers = append(containers, map[string]any{})
	}
	if len(containers) != 2 {
		t.Fatalf("%s: %d containers, want Evergate and the app", render, len(containers))
	}
	pl.sidecar = maps.Clone(containers[0].(map[string]any))
	sidecar, app := containers[0].(map[string]any), containers[1].(map[string]any)
	for _, theKubelets := range []string{"restartPolicy", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"} {
		delete(sidecar, theKubelets)
	}
	sidecar["image"] = image
	sidecar["env"] = append(sidecar["env"].([]any), simulated...)
	app["name"], app["image"], app["command"], app["args"] = "app", appImage, []string{"/app"}, appArgs
	shopify := map[string]any{"name": "shopify", "image": image, "args": []string{
		"simulate", "--listen", "127.0.0.1:4443", "--control", "127.0.0.1:4444", "--plain", "--token-life", "3s",
		"--shop", "acme", "--client-id", "0123456789abcdef", "--client-secret", secrets["client-secret"],
	}}
	spec["containers"] = append(containers, shopify)
	spec["restartPolicy"] = "Never" // what ends here has ended
	delete(spec, "serviceAccountName")
	for _, v := range spec["volumes"].([]any) {
		if volume := v.(map[string]any); volume["name"] == "evergate-secrets" {
			delete(volume, "secret")
			volume["hostPath"] = map[string]any{"path": pl.secrets.dir, "type": "Directory"}
		}
	}
	pl.create(t, map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": pl.pod}, "spec": spec})
	return pl
}

// renderedPod is the spec of the pods of the first object of a kind.
func renderedPod(t *testing.T, render, kind string) map[string]any {
	t.Helper()
	f, err := os.Open(renders + render + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for documents := yaml.NewDecoder(f); ; {
		var object struct {
			Kind string
			Spec struct {
				Template struct{ Spec map[string]any }
			}
		}
		err := documents.Decode(&object)
		if errors.Is(err, io.EOF) {
			t.Fatalf("%s has no %s", render, kind)
		}
		if err != nil {
			t.Fatal(err)
		}
		if object.Kind == kind {
			return object.Spec.Template.Spec
		}
	}
}

func (p *play) create(t *testing.T, pod map[string]any) {
	t.Helper()
	manifest, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	p.afterwards(t, "pod", "rm", "--force", "--ignore", "--time", "0", p.pod)
	t.Cleanup(func() {
		if t.Failed() {
			for _, name := range []string{"evergate", "app", "shopify"} {
				t.Logf("%s printed:\n%s", name, p.logs(t, p.container(name)))
			}
		}
	})
	res, err := p.run(t, quick, strings.NewReader(string(manifest)), "kube", "play", "--start=false", "--network", "none", "-")
	if err != nil || res.code != 0 {
		t.Fatalf("podman kube play: %v, %v\n%s", err, res, manifest)
	}
}

func (p *play) startOne(t *testing.T, name string) {
	t.Helper()
	p.must(t, "start", p.container(name))
}

// command is what the render has for a field such as startupProbe/exec/command.
func (p *play) command(t *testing.T, path ...string) []string {
	t.Helper()
	var v any = p.sidecar
	for _, step := range path {
		m, _ := v.(map[string]any)
		v = m[step]
	}
	list, ok := v.([]any)
	if !ok {
		t.Fatalf("the sidecar has no %s: %v", strings.Join(path, "."), p.sidecar)
	}
	var command []string
	for _, word := range list {
		command = append(command, fmt.Sprint(word))
	}
	return command
}

// probe runs a command in the sidecar's container, as a kubelet does for an exec probe.
func (p *play) probe(t *testing.T, command []string) result {
	t.Helper()
	return p.try(t, append([]string{"exec", p.container("evergate")}, command...)...)
}

// awaitStart returns when the sidecar's start is over.
func (p *play) awaitStart(t *testing.T) {
	t.Helper()
	startup := p.command(t, "startupProbe", "exec", "command")
	eventually(t, quick, "the start-up probe to succeed", func() bool { return p.probe(t, startup).code == 0 })
}

// state is a field of a container's state.
func (p *play) state(t *testing.T, name, field string) string {
	t.Helper()
	return p.must(t, "inspect", "--format", "{{.State."+field+"}}", p.container(name))
}

// mustEnd waits for a container to end, with 0.
func (p *play) mustEnd(t *testing.T, name string) {
	t.Helper()
	if code := p.must(t, "wait", p.container(name)); code != "0" {
		t.Fatalf("%s ended with %s, want 0\n%s", name, code, p.logs(t, p.container(name)))
	}
}

// term sends SIGTERM and waits for nothing.
func (p *play) term(t *testing.T, names ...string) {
	t.Helper()
	args := []string{"kill", "--signal", "TERM"}
	for _, name := range names {
		args = append(args, p.container(name))
	}
	p.must(t, args...)
}

// control orders something of the simulator, from inside the pod.
func (p *play) control(t *testing.T, path, body string) string {
	t.Helper()
	return p.once(t, "--pod", p.pod, appImage, "/app", "--print", "--url", "http://localhost:4444/_sim/"+path, "--post", body)
}

// renewals is how many tokens the sidecar has obtained; the app has to be running.
func (p *play) renewals(t *testing.T) int {
	t.Helper()
	metrics := p.must(t, "exec", p.container("app"), "/app", "--url", "http://localhost:9090/metrics", "--print")
	m := refreshed.FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("no evergate_refreshes_total with result=\"ok\" in:\n%s", metrics)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// awaitCalls waits until the app has made this many calls.
func (p *play) awaitCalls(t *testing.T, n int) {
	t.Helper()
	eventually(t, quick, fmt.Sprintf("%d calls of the app", n), func() bool {
		return strings.Contains(p.logs(t, p.container("app")), fmt.Sprintf("call %d:", n))
	})
}

// secretVolume is a directory with the files of a Secret, laid out as a kubelet lays it out: the
// names are links into ..data, which is a link to the directory of one version. A change
// replaces ..data, so that all files change in the same moment.
type secretVolume struct {
	dir     string
	version int
}

func newSecretVolume(t *testing.T, files map[string]string) *secretVolume {
	t.Helper()
	v := &secretVolume{dir: t.TempDir()}
	v.write(t, files)
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(v.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// write makes another version the current one.
func (v *secretVolume) write(t *testing.T, files map[string]string) {
	t.Helper()
	v.version++
	version := fmt.Sprintf("..version_%d", v.version)
	if err := os.Mkdir(filepath.Join(v.dir, version), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(v.dir, version, name), []byte(content), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	next := filepath.Join(v.dir, "..data_tmp")
	if err := os.Symlink(version, next); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(v.dir, "..data")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(v.dir, fmt.Sprintf("..version_%d", v.version-1))); err != nil {
		t.Fatal(err)
	}
}

// background runs a command and delivers its result.
func (p *play) background(t *testing.T, args ...string) <-chan result {
	t.Helper()
	done := make(chan result, 1)
	go func() {
		res, err := p.run(t, quick, nil, args...)
		if err != nil {
			res.stderr += err.Error()
		}
		done <- res
	}()
	return done
}

// await waits for a background command.
func await(t *testing.T, what string, done <-chan result) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), quick)
	defer cancel()
	select {
	case res := <-done:
		return res
	case <-ctx.Done():
		t.Fatalf("waited %v for %s", quick, what)
		return result{}
	}
}
