//go:build linux

package pkg

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"evergate/test/process"
)

// completions are what somebody types before the tab key, and what has to stand there then:
// after the one tab that is enough where only one thing is possible.
var completions = map[string]string{
	"tok":                                "token",
	"token mig":                          "token migrate",
	"token import --acc":                 "token import --access",
	"he":                                 "he", // help and healthcheck: the shell cannot choose
	"healthcheck --r":                    "healthcheck --ready",
	"simulate --ca":                      "simulate --ca-file",
	"simulate --ca-file /etc/nsswitch.c": "simulate --ca-file /etc/nsswitch.conf",
	"login --no":                         "login --no-browser",
	"run -- systemd-socket-activ":        "run -- systemd-socket-activate",
	"run --no-p":                         "run --no-proxy",
	"run --policy read-only -- systemd-socket-activ": "run --policy read-only -- systemd-socket-activate",
	"env --kub":                       "env --kubernetes",
	"nonsense --":                     "nonsense --",
	"wait --timeout 5s --no-such-fla": "wait --timeout 5s --no-such-fla",
}

// completionFile is as the package has it.
func completionFile(t *testing.T, shell string) string {
	t.Helper()
	return filepath.Join(packages(t, oldVersion), "share/evergate."+shell)
}

func TestBashCompletes(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"bash": "bash", "shellcheck": "shellcheck"})
	file := completionFile(t, "bash")
	if out, err := exec.Command("shellcheck", "-s", "bash", file).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
	// What bash does at a tab: it calls the function with the words, and where that has
	// nothing to say it completes file names.
	const script = `source "$1"; IFS=' ' read -ra COMP_WORDS <<<"evergate $2"; [[ $2 != *' ' ]] || COMP_WORDS+=('')
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _evergate
		[ ${#COMPREPLY[@]} -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
		mapfile -t COMPREPLY < <(printf '%s\n' "${COMPREPLY[@]}" | sort -u)
		if [ ${#COMPREPLY[@]} -eq 1 ] && [ -n "${COMPREPLY[0]}" ]; then COMP_WORDS[COMP_CWORD]=${COMPREPLY[0]}; fi; echo "${COMP_WORDS[*]:1}"`
	for typed, want := range completions {
		if got := strings.TrimSpace(output(t, "bash", "--norc", "-c", script, "bash", file, typed)); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
	// bash agrees that this is the function for the command.
	if said := output(t, "bash", "--norc", "-c", `source "$1"; complete -p evergate`, "bash", file); said != "complete -o default -F _evergate evergate\n" {
		t.Errorf("%q", said)
	}
}

func TestFishCompletes(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"fish": "fish"})
	file := completionFile(t, "fish")
	for typed, want := range completions {
		cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "-c", `source $argv[1]; complete --do-complete "evergate $argv[2]"`, file, typed)
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		got := typed
		if lines := strings.Split(strings.TrimSpace(string(out)), "\n"); len(lines) == 1 && lines[0] != "" {
			word, _, described := strings.Cut(lines[0], "\t")
			got = typed[:strings.LastIndex(typed, " ")+1] + word
			if !described && !strings.HasPrefix(word, "/") && !strings.Contains(typed, "run --") {
				t.Errorf("%q: %q is not explained", typed, word)
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

// zsh completes in a terminal only, so it gets one: zpty, of its own.
func TestZshCompletes(t *testing.T) {
	t.Parallel()
	requirePrograms(t, map[string]string{"zsh": "zsh"})
	dir := t.TempDir()
	b, err := os.ReadFile(completionFile(t, "zsh"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_evergate"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	// The command line is read back from a function of the command's name, which prints what it got.
	const script = `zmodload zsh/zpty
		zpty -b t zsh -f -i
		until zpty -w t 'PS1=READY"> "'; do :; done
		zpty -r t seen '*READY> *'
		zpty -w t "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -D; setopt no_beep no_auto_menu; evergate() { print -r GOT:\$*:END }; print LOA''DED"
		zpty -r t seen '*LOADED*READY> *'
		zpty -n -w t "evergate $2"$'\t\n'
		zpty -r t seen '*GOT:*:END*'
		print -r -- ${${seen##*GOT:}%%:END*}`
	for typed, want := range completions {
		ctx, stop := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, "zsh", "-f", "-c", script, "zsh", dir, typed)
		cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=dumb")
		cmd.WaitDelay = time.Second
		got, err := process.Output(cmd)
		stop()
		if err != nil || got != want {
			t.Errorf("%q: %q, want %q (%v)", typed, got, want, err)
		}
	}
}
