//go:build linux

package container

import (
	"archive/tar"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"evergate/test/process"
)

const (
	image    = "localhost/evergate:test"
	appImage = "localhost/evergate-app:test"

	version = "v0.0.0-container-test"
	commit  = "0123456789abcdef"
)

// buildImage builds the image from the repository's Dockerfile, without a network.
func (p *podman) buildImage(t *testing.T) {
	t.Helper()
	base := p.baseImage(t)
	p.probe(t, base)
	root := filepath.Dir(goEnv(t, "GOMOD"))
	dependOn(t, root)
	// The build sees the module cache and no network: whatever it needs is fetched before.
	goTool(t, root, nil, "mod", "download")
	p.afterwards(t, "rmi", "--force", "--ignore", image)
	release, err := process.Alone()
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	// The format docker has a place for HEALTHCHECK, OCI's own does not. Without layers, because those of a former
	// source are of no use to anybody: the compiler's own cache makes the next build fast.
	res, err := p.run(t, slow, nil, "build", "--format", "docker", "--layers=false", "--network", "none", "--pull=never",
		"--volume", goEnv(t, "GOMODCACHE")+":/go/pkg/mod:ro", "--build-arg", "GO_IMAGE="+base,
		"--build-arg", "VERSION="+version, "--build-arg", "COMMIT="+commit, "--tag", image, root)
	if err != nil || res.code != 0 {
		t.Fatalf("building the image: %v, %v", err, res)
	}
}

// dependOn looks at what the image is made of. Podman reads it unseen by the Go command, which would otherwise take
// the result of this test from its cache when only those files have changed.
func dependOn(t *testing.T, root string) {
	t.Helper()
	for _, name := range []string{"Dockerfile", ".dockerignore", "go.mod", "go.sum", "cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, name), func(_ string, _ fs.DirEntry, err error) error { return err })
		if err != nil {
			t.Fatal(err)
		}
	}
}

// probe makes sure that this machine can run containers at all: inside another container it often cannot.
func (p *podman) probe(t *testing.T, base string) {
	t.Helper()
	if res := p.try(t, "run", "--rm", "--network", "none", base, "mkdir", "/tmp/probe"); res.code != 0 {
		process.Missing(t, "podman cannot run a container here ("+res.String()+")", "apt-get install podman runc")
	}
}

// buildApp makes an image with the program of the directory app in it.
func (p *podman) buildApp(t *testing.T) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "app")
	goTool(t, ".", []string{"CGO_ENABLED=0"}, "build", "-o", program, "./app")
	p.afterwards(t, "rmi", "--force", "--ignore", appImage)
	p.load(t, appImage, func(w *tar.Writer) error { return addFile(w, program, "/app") })
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	return goTool(t, ".", nil, "env", name)
}

func goTool(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}
