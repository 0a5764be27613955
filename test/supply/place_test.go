package supply

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"evergate/test/process"
)

// Where releases are published is said once. Whoever publishes elsewhere changes one line.
func TestThePlaceOfPublicationIsSaidOnce(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile(`(?m)^PUBLISH_REPOSITORY=(([\w.-]+)/evergate)$`).FindStringSubmatch(read(t, filepath.Join(root, "publish.env")))
	if m == nil {
		t.Fatal("publish.env has no PUBLISH_REPOSITORY=OWNER/evergate")
	}
	elsewhere := regexp.MustCompile(`(?i)` + regexp.QuoteMeta(m[1]) + `|(?:github\.com|ghcr\.io)/` + regexp.QuoteMeta(m[2]) + `/`)
	list := exec.CommandContext(t.Context(), "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
	list.Dir = root
	files, err := process.Output(list)
	if err != nil {
		t.Skip("not a checkout:", err) // an archive of the source is one
	}
	looked := 0
	for name := range strings.SplitSeq(files, "\x00") {
		if name == "" || name == "publish.env" || name == "test/supply/place_test.go" || !filepath.IsLocal(name) {
			continue
		}
		if info, err := filepath.Glob(filepath.Join(root, name)); err != nil || len(info) != 1 {
			continue // deleted, or not a plain name
		}
		looked++
		if found := elsewhere.FindString(read(t, filepath.Join(root, name))); found != "" {
			t.Errorf("%s says %s by itself: take it from scripts/place", name, found)
		}
	}
	if looked < 500 {
		t.Errorf("%d files: these are not all", looked)
	}
}

func TestWhatFollowsFromThePlace(t *testing.T) {
	t.Parallel()
	place := func(args ...string) (string, error) {
		return process.Output(exec.CommandContext(t.Context(), filepath.Join(root, "scripts/place"), args...))
	}
	repository, err := place("PUBLISH_REPOSITORY")
	if err != nil || !strings.HasSuffix(repository, "/evergate") {
		t.Fatal(repository, err)
	}
	owner := strings.TrimSuffix(repository, "/evergate")
	for name, want := range map[string]string{
		"PUBLISH_DOWNLOADS": "https://github.com/" + repository + "/releases/download",
		"PUBLISH_IMAGE":     "ghcr.io/" + strings.ToLower(owner) + "/evergate",
		"PUBLISH_CHARTS":    "oci://ghcr.io/" + strings.ToLower(owner) + "/charts",
	} {
		if got, err := place(name); got != want || err != nil {
			t.Errorf("%s=%s, want %s; %v", name, got, want, err)
		}
	}
	if _, err := place("--expect", repository); err != nil {
		t.Error(err)
	}
	if _, err := place("--expect", "somebody/fork"); err == nil || !strings.Contains(err.Error(), "publish.env") {
		t.Errorf("a fork would publish what names another place: %v", err)
	}
	release := read(t, filepath.Join(root, ".github/workflows/release.yml"))
	if jobs, asked := strings.Count(release, "contents: write")+strings.Count(release, "packages: write"), strings.Count(release, `scripts/place --expect "$GITHUB_REPOSITORY"`); jobs == 0 || asked != jobs {
		t.Errorf("%d jobs publish, %d ask first whether this is the place", jobs, asked)
	}
}
