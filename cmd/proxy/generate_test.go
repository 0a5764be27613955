package main

import (
	"errors"
	"flag"
	"regexp"
	"strings"
	"testing"

	"evergate/internal/config"
)

// Describing a command must not do what it does: some of them open listeners.
func TestEveryCommandParsesItsFlagsFirst(t *testing.T) {
	t.Parallel()
	for _, s := range append(synopses(), synopsis{name: "man", command: generators()[1]}) {
		if s.takesCommand || len(s.sub) > 0 {
			continue
		}
		described := 0
		err := s.run(world{describe: func(*flag.FlagSet) { described++ }}) // a nil writer or channel would panic or hang
		if described != 1 || !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %d, %v", s.name, described, err)
		}
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
