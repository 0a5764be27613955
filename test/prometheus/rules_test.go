package prometheus

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func promtool(t *testing.T, args ...string) {
	t.Helper()
	requireProgram(t, "promtool")
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestRulesAreWellFormed(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint-fatal", rulesFile)
}

func TestRulesFireInSimulatedOutagesAndOnNoOtherDay(t *testing.T) {
	t.Parallel()
	promtool(t, "test", "rules", rulesTestFile)
}

// rule is an alert as its text in the file.
type rule struct{ name, text string }

var alertLine = regexp.MustCompile(`(?m)^      - alert: (\w+)$`)

// rules splits the file at its alerts.
func rules(t *testing.T) (all []rule) {
	t.Helper()
	text := read(t, rulesFile)
	places := alertLine.FindAllStringSubmatchIndex(text, -1)
	for i, p := range places {
		end := len(text)
		if i+1 < len(places) {
			end = places[i+1][0]
		}
		all = append(all, rule{text[p[2]:p[3]], text[p[0]:end]})
	}
	if len(all) < 12 || strings.Count(text, "alert:") != len(all) {
		t.Fatalf("%d alerts found of %d", len(all), strings.Count(text, "alert:"))
	}
	return all
}

func TestEveryAlertSaysHowGraveItIsAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, r := range rules(t) {
		for _, want := range []*regexp.Regexp{
			regexp.MustCompile(`(?m)^        labels: \{severity: (page|ticket)\}$`),
			regexp.MustCompile(`(?m)^          summary: ".*"$`),
			regexp.MustCompile(`(?m)^          description: ".*\."$`),
			regexp.MustCompile(`(?m)^          runbook_url: docs/runbooks/` + r.name + `\.md$`),
			regexp.MustCompile(`(?m)^        for: \d+m$`),
		} {
			if !want.MatchString(r.text) {
				t.Errorf("%s has nothing like %s", r.name, want)
			}
		}
	}
}

func TestEveryRunbookAnswersTheSameQuestions(t *testing.T) {
	t.Parallel()
	var names []string
	for _, r := range rules(t) {
		names = append(names, r.name+".md")
		page := read(t, filepath.Join(docs, "runbooks", r.name+".md"))
		severity := regexp.MustCompile(`severity: (\w+)`).FindStringSubmatch(r.text)[1]
		at := 0
		for _, want := range []string{"# " + r.name + "\n", "`" + severity + "`: ", "\n## What it means\n", "\n## What a customer notices\n", "\n## What to do now\n", "\n## How to verify it is over\n"} {
			i := strings.Index(page[at:], want)
			if i < 0 {
				t.Errorf("%s.md: no %q, or not in its place", r.name, want)
				break
			}
			at += i
		}
	}
	pages, err := os.ReadDir(filepath.Join(docs, "runbooks"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages {
		if !slices.Contains(names, p.Name()) {
			t.Errorf("%s is about no alert", p.Name())
		}
	}
}

func TestDocumentationListsTheAlerts(t *testing.T) {
	t.Parallel()
	page := read(t, filepath.Join(docs, "operating", "alerts.md"))
	all := rules(t)
	for _, r := range all {
		severity := regexp.MustCompile(`severity: (\w+)`).FindStringSubmatch(r.text)[1]
		if row := fmt.Sprintf("\n| [%s](../runbooks/%s.md) | %s | ", r.name, r.name, severity); !strings.Contains(page, row) {
			t.Errorf("docs/operating/alerts.md has no row %q", row)
		}
	}
	if n := strings.Count(page, "](../runbooks/Evergate"); n != len(all) {
		t.Errorf("docs/operating/alerts.md lists %d alerts of %d", n, len(all))
	}
}

// A rule without a case in which it fires could be one that cannot.
func TestEveryAlertHasACaseInWhichItFires(t *testing.T) {
	t.Parallel()
	cases := read(t, rulesTestFile)
	for _, r := range rules(t) {
		if !strings.Contains(cases, "alertname: "+r.name+"\n        exp_alerts:\n") || !strings.Contains(cases, `alertname="`+r.name+`"`) {
			t.Errorf("%s has no case in rules_test.yaml", r.name)
		}
	}
}
