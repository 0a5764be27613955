package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	documentedRow  = regexp.MustCompile("(?m)^\\| `(evergate_[a-z_]+)` \\| (counter|gauge|histogram) \\| ([^|]*) \\|")
	documentedName = regexp.MustCompile(`evergate_[a-z_]+`)
	quotedWord     = regexp.MustCompile("`([a-z]+)`")
)

func TestEveryMetricIsDocumentedAndNoOther(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	want := signatures(t, used(t))
	var rows, names []string
	for _, m := range documentedRow.FindAllStringSubmatch(string(page), -1) {
		var labels []string
		for _, l := range quotedWord.FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		rows = append(rows, m[1]+"{"+strings.Join(labels, ",")+"} "+m[2])
		names = append(names, m[1])
	}
	slices.Sort(rows)
	for _, line := range want {
		if !slices.Contains(rows, line) {
			t.Errorf("docs/operating/metrics.md has no row for %s", line)
		}
	}
	for _, row := range rows {
		if !slices.Contains(want, row) {
			t.Errorf("docs/operating/metrics.md has a row for %s, which is not published", row)
		}
	}
	for _, name := range documentedName.FindAllString(string(page), -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} { // of a histogram, in PromQL
			if base, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(names, base) {
				name = base
			}
		}
		if !slices.Contains(names, name) {
			t.Errorf("docs/operating/metrics.md speaks of %s, which is not published", name)
		}
	}
}

func TestEveryValueOfAClosedLabelIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operating/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range append(slices.Clone(methods), "graphql", "rest:products", "other", "ok", "transient", "config", "reauthorize", "client_credentials", "offline", "static", "401", "499") {
		if !strings.Contains(string(page), "`"+value+"`") {
			t.Errorf("docs/operating/metrics.md does not explain the value %s", value)
		}
	}
}
