package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"evergate/internal/config"
)

func TestEveryCommandHasAPage(t *testing.T) {
	t.Parallel()
	for _, s := range synopses() {
		o := execute(nil, append([]string{"help"}, strings.Fields(s.name)...)...)
		if o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "Usage: evergate "+s.usage+"\n") || !strings.Contains(o.out, sentence(s.summary)) {
			t.Errorf("%s: %+v", s.name, o)
		}
		for _, f := range s.flags {
			if !strings.Contains(o.out, "\n  --"+f.name) {
				t.Errorf("%s: nothing of --%s", s.name, f.name)
			}
		}
	}
	if o := execute(nil, "help", "nothing"); o.code != exitConfig || o.out != "" {
		t.Errorf("%+v", o)
	}
}

func TestMisspeltCommandsAreGuessed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ line, want string }{
		{"srve", "did you mean serve?"}, {"LOGIN", "did you mean login?"}, {"help chek", "did you mean check?"}, {"token shwo", "did you mean show?"},
		{"help token shwo", "did you mean token show?"}, {"--vrsion", "did you mean --version?"}, {"--hlep", "did you mean --help?"},
		{"check --jsno", "check has no flag --jsno; did you mean --json?"}, {"-v", "serve has no flag -v; did you mean --version?"}, {"check -jsno=x", "check has no flag -jsno; did you mean --json?"}, {"wait --timeuot=1s", "did you mean --timeout?"},
		{"token show --reveil", "token show has no flag --reveil; did you mean --reveal?"}, {"run --hepl", "did you mean --help?"},
	} {
		if o := execute(right(), strings.Fields(tc.line)...); o.code != exitConfig || o.out != "" || !strings.HasSuffix(o.err, tc.want+"\n") || strings.Count(o.err, "\n") != 1 {
			t.Errorf("%s: %+v", tc.line, o)
		}
	}
	if o := execute(right(), "check", "--frobnicate"); o.code != exitConfig || o.err != "evergate: check has no flag --frobnicate; `evergate help check` lists those it has\n" {
		t.Errorf("%+v", o)
	}
	if o := execute(right(), "frobnicate"); strings.Contains(o.err, "did you mean") {
		t.Errorf("%+v", o)
	}
}

func TestEveryCommandPrintsItsPageWhenAskedByAFlag(t *testing.T) {
	t.Parallel()
	for _, s := range synopses() {
		words := strings.Fields(s.name)
		want := execute(nil, append([]string{"help"}, words...)...)
		for _, f := range []string{"-h", "-help", "--help"} {
			if o := execute(nil, append(words[:len(words):len(words)], f)...); o != want || o.code != exitOK || o.out == "" {
				t.Errorf("%s %s: %+v, want %+v", s.name, f, o, want)
			}
		}
	}
	if o := execute(nil, "key", "agent", "--policy", "none", "--help"); o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, "Usage: evergate key") {
		t.Errorf("%+v", o)
	}
}

func TestAFlagAfterTheOtherProgramIsThatProgramsOwn(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"run -- --help", "run no-such-command-anywhere --help", "run -- no-such-command-anywhere -h"} {
		if o := execute(right(), strings.Fields(line)...); o.code != exitNotFound || o.out != "" {
			t.Errorf("%s: %+v", line, o)
		}
	}
}

// An example has to be a command of that page, with flags that exist.
func TestEveryPageHasAnExampleThatHolds(t *testing.T) {
	t.Parallel()
	for _, s := range synopses() {
		if o := execute(nil, append([]string{"help"}, strings.Fields(s.name)...)...); len(s.examples) == 0 || !strings.Contains(o.out, "\nExamples:\n\n  "+s.examples[0]+"\n") {
			t.Errorf("%s has no example on its page: give it one in commands(), in cmd/proxy/main.go, as `examples`:\n%s", s.name, o.out)
		}
		var known []string
		for _, f := range s.flags {
			known = append(known, f.name)
		}
		for _, e := range s.examples {
			_, line, _ := strings.Cut(" "+e, " evergate ")
			if _, inner, ok := strings.Cut(e, "$(evergate "); ok {
				line, _, _ = strings.Cut(inner, ")")
			}
			rest, isOwn := strings.CutPrefix(line+" ", s.name+" ")
			if !isOwn && len(s.sub) == 0 {
				t.Errorf("%s: %q is of another command", s.name, e)
			}
			own, _, _ := strings.Cut(" "+rest, " -- ")
			for _, word := range strings.Fields(own) {
				if name, isFlag := strings.CutPrefix(word, "--"); isFlag && !slices.Contains(known, name) {
					t.Errorf("%s: %q: there is no --%s", s.name, e, name)
				}
			}
		}
	}
}

func TestFlagsAndTheArgumentComeInAnyOrder(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"key agent --policy none --file -", "key --policy none agent --file -", "key --policy none --file - agent"} {
		if o := execute(nil, strings.Fields(line)...); o.code != exitOK || !strings.Contains(o.err, "agent sha256:") || !strings.Contains(o.err, "policy=none") {
			t.Errorf("%s: %+v", line, o)
		}
	}
	if o := execute(nil, "--version"); o.code != exitOK || !strings.HasPrefix(o.out, "evergate ") {
		t.Errorf("%+v", o)
	}
}

func TestTheManualHasEveryCommandFlagSettingAndExitCode(t *testing.T) {
	t.Parallel()
	o := execute([]string{"SOURCE_DATE_EPOCH=86400"}, "man")
	if o.code != exitOK || o.err != "" || !strings.HasPrefix(o.out, `.TH EVERGATE 1 "1970-01-02" "evergate `) {
		t.Fatalf("%+v", o)
	}
	has := func(term string) {
		t.Helper()
		if !strings.Contains(o.out, "\n.B "+roff(term)+"\n") {
			t.Errorf("nothing of %s", term)
		}
	}
	flags := 0
	for _, s := range synopses() {
		has("evergate " + s.usage)
		for _, f := range s.flags {
			has(strings.TrimSpace("--" + f.name + " " + f.value))
			flags++
		}
	}
	if flags < 20 {
		t.Errorf("%d flags", flags)
	}
	for _, s := range config.Settings() {
		if s.File {
			has(s.Name + ", " + s.Name + "_FILE")
		} else {
			has(s.Name)
		}
	}
	for _, code := range []string{"0", "1", "2"} {
		has(code)
	}
	// A hyphen that is not escaped cannot be pasted from the page.
	if bad := regexp.MustCompile(`(?m)^[^.].*[^\\]-.*$`).FindString(strings.ReplaceAll(o.out, `evergate \- auth`, "")); bad != "" {
		t.Errorf("%q", bad)
	}
}

func TestCompletionNeedsAShellThatItKnows(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}, {"man", "1"}} {
		if o := execute(nil, args...); o.code != exitConfig || o.out != "" || o.err == "" {
			t.Errorf("%q: %+v", args, o)
		}
	}
}

func TestRoffLeavesNothingToInterpret(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		".so /etc/passwd": `\&.so /etc/passwd`, "'br": `\&'br`, `a\fBb`: `a\efBb`, "--x": `\-\-x`, "a\n.br": `a .br`, "": "",
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// Backquotes in a flag's words name its value, whatever they were meant for.
func TestWhatAFlagTakesIsOneWord(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`^([a-z]*|[A-Z]+)$`)
	for _, s := range synopses() {
		for _, f := range s.flags {
			if !word.MatchString(f.value) || strings.Contains(f.help, "`") {
				t.Errorf("evergate %s --%s takes %q: %s", s.name, f.name, f.value, f.help)
			}
		}
	}
}
