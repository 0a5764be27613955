package kubernetes

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = root + "/docs/containers/kubernetes.md"

// block is a fenced block of a page, with the file that a comment above it names.
type block struct{ file, language, text string }

var fenced = regexp.MustCompile("(?ms)(?:^<!-- write: (\\S+) -->\n)?^```(\\w+)\n(.*?)^```$")

func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, m := range fenced.FindAllStringSubmatch(read(t, page), -1) {
		all = append(all, block{m[1], m[2], m[3]})
	}
	if len(all) < 10 {
		t.Fatalf("%d blocks: this is not the page", len(all))
	}
	return all
}

// acceptsTheDocumentation does what docs/containers/kubernetes.md says, from top to bottom, in a copy of
// what a reader has: it writes the files, runs the commands and applies the manifests. What
// needs a registry or a running pod is not run; of that, the part that Evergate has to
// understand is checked.
func acceptsTheDocumentation(t *testing.T, c *cluster) {
	dir := t.TempDir()
	copyTree(t, chart, filepath.Join(dir, "charts/evergate"))
	copyTree(t, root+"/deploy", filepath.Join(dir, "deploy"))
	write(t, filepath.Join(dir, "client-secret"), "not-a-real-secret")
	binary := filepath.Join(dir, "evergate")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "evergate/cmd/proxy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ran := 0
	for _, b := range blocks(t) {
		switch {
		case b.file != "":
			write(t, filepath.Join(dir, b.file), b.text)
		case b.language == "yaml":
			c.mustKubectl(t, b.text, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename", "-")
		case b.language == "sh":
			for line := range strings.Lines(b.text) {
				ran += c.follow(t, dir, binary, strings.TrimSpace(line))
			}
		default:
			t.Errorf("a block in %s: nothing here checks it", b.language)
		}
	}
	if ran < 10 {
		t.Errorf("%d commands were run: these are not all", ran)
	}
	c.hasSidecarFirst(t, "deployment/acme", "job/acme-export", "deployment/app")
}

// follow runs a command of the page, and returns 1 if it did.
func (c *cluster) follow(t *testing.T, dir, binary, line string) int {
	t.Helper()
	if strings.HasPrefix(line, "docker ") {
		return 0 // there is no registry; test/container builds the image
	}
	if command, inside, ok := strings.Cut(line, " -- "); ok && strings.Contains(command, " exec ") {
		inside, _, _ = strings.Cut(inside, " <")
		understands(t, binary, strings.Fields(inside))
		return 0
	}
	c.quiet(t, "bash", []string{line}, c.shell(t, dir, line))
	return 1
}

// shell runs a line with the programs that were built and the cluster's configuration.
func (c *cluster) shell(t *testing.T, dir, line string) result {
	t.Helper()
	path := "PATH=" + dir + ":" + filepath.Dir(tool(t, "helm")) + ":" + os.Getenv("PATH") // what is built from here lies in dir
	return invoke(t, c.home, dir, "", "/bin/bash", "-c", "export "+path+"; set -euo pipefail; "+line)
}

// understands checks a command for inside a container: Evergate must have it, with each flag.
func understands(t *testing.T, binary string, words []string) {
	t.Helper()
	if words[0] != "/evergate" {
		t.Errorf("%q: the image has nothing but /evergate", words)
		return
	}
	args := words[1:]
	var flags []string
	for i, w := range args {
		if strings.HasPrefix(w, "--") {
			args, flags = args[:i], args[i:]
			break
		}
	}
	help, err := exec.CommandContext(t.Context(), binary, append(slices.Clone(args), "--help")...).CombinedOutput() // both: wherever a command prints its help
	if err != nil {
		t.Errorf("%q: %v\n%s", words, err, help)
	}
	for _, f := range flags {
		if name := strings.TrimLeft(f, "-"); !strings.Contains(string(help), "-"+name) {
			t.Errorf("%q: there is no %s:\n%s", words, f, help)
		}
	}
}

// hasSidecarFirst looks at what the commands have left on the server.
func (c *cluster) hasSidecarFirst(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		got := c.mustKubectl(t, "", "get", name, "--output", "jsonpath={.spec.template.spec.initContainers[0].name} {.spec.template.spec.initContainers[0].restartPolicy}")
		if got != "evergate Always" {
			t.Errorf("%s: the first init container is %q, want evergate Always", name, got)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The page's own chart is the one that the golden renders are made of, so that what is
// run under podman is what a reader copies; so is the Deployment of its overlay.
func TestTheDocumentedTemplateIsTheTestedOne(t *testing.T) {
	t.Parallel()
	tested := map[string]string{"my-app/templates/deployment.yaml": "testdata/app/templates/deployment.yaml", "overlay/deployment.yaml": "testdata/kustomize/deployment.yaml"}
	for _, b := range blocks(t) {
		if file, ok := tested[b.file]; ok && b.text == read(t, file) {
			delete(tested, b.file)
		}
	}
	for documented, file := range tested {
		t.Errorf("%s of docs/containers/kubernetes.md and %s differ", documented, file)
	}
}

// TestTheComposeFilesAreTheDocumentedOnes: docs/containers/container.md shows what lies in deploy/compose.
func TestTheComposeFilesAreTheDocumentedOnes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"compose.yaml", "hosts.yaml", "keys.yaml"} {
		theComposeFileIsTheDocumentedOne(t, read(t, root+"/deploy/compose/"+name))
	}
}

func theComposeFileIsTheDocumentedOne(t *testing.T, file string) {
	t.Helper()
	_, body, ok := strings.Cut(file, "\nservices:\n")
	if !ok || !strings.Contains(read(t, root+"/docs/containers/container.md"), "```yaml\nservices:\n"+body+"```") {
		t.Error("a compose file in docs/containers/container.md is not that in deploy/compose")
	}
	for _, path := range [][]any{
		{"services", "evergate", "read_only"},
		{"services", "evergate", "healthcheck", "test", 3},
		{"services", "app", "depends_on", "evergate", "condition"},
	} {
		if at(parse(t, file)[0], path...) == nil {
			t.Errorf("it has no %v", path)
		}
	}
}
