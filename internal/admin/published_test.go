package admin

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// published by Evergate, as internal/metrics holds it: name{labels} type.
const goldenMetrics = "../metrics/testdata/metrics.golden"

// A metric that is renamed would take a meter from the page without a word: what the page
// reads is what is published, and so is what its tests publish in the real one's place.
func TestThePageReadsWhatIsPublished(t *testing.T) {
	t.Parallel()
	golden, err := os.ReadFile(goldenMetrics)
	if err != nil {
		t.Fatal(err)
	}
	real := map[string]bool{} // whole lines
	names := map[string]bool{}
	for line := range strings.Lines(string(golden)) {
		real[strings.TrimSpace(line)] = true
		name, _, _ := strings.Cut(line, "{")
		names[name] = true
	}

	source, err := os.ReadFile("snapshot.go")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, m := range regexp.MustCompile(`"(evergate_\w+)"`).FindAllStringSubmatch(string(source), -1) {
		read[m[1]] = true
		if !names[m[1]] {
			t.Errorf("the page reads %s, which is not published", m[1])
		}
	}

	p := publish()
	p.serve("200", 1)
	families, err := p.Gather()
	if err != nil {
		t.Fatal(err)
	}
	faked := map[string]bool{}
	for _, f := range families {
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		line := f.GetName() + "{" + strings.Join(labels, ",") + "} " + strings.ToLower(f.GetType().String())
		if !real[line] {
			t.Errorf("the tests publish %s, which Evergate does not", line)
		}
		faked[f.GetName()] = true
	}
	if !maps.Equal(read, faked) || len(read) == 0 {
		t.Errorf("the page reads %v, its tests publish %v", slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(faked)))
	}
}
