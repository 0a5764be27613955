package clientenv

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// awkward are values that a quotation mark, a dollar sign or the end of a line would make something else of.
var awkward = []string{
	"", "plain", "http://evg_k:x@127.0.0.1:1", "a b", " a ", "-Da=b \"-Dc=d e\" -Dx=a|b|*.c", "$HOME", "$(id)", "$$(id)", "$$", "$", "`id`", "a#b", "#a",
	"!!", "*", "~", "a;b&c|d>e", "\\", "\\n", "C:\\dir\\\\x", "\"", "'", "''", "it's", "'\\''", "a\nb", "a\n", "\t", "é\u2028", "%s%d", "[a]", "{a: b}", "yes", "0x10", "null", "- a", "${A:-b}", "<&>",
}

func environmentOf(values []string) (e Environment) {
	for i, value := range values {
		e.Set = append(e.Set, Variable{"TEST_" + string(rune('A'+i/26)) + string(rune('A'+i%26)), value})
	}
	return e
}

func wanted(e Environment) map[string]string {
	all := map[string]string{}
	for _, v := range e.Set {
		all[v.Name] = v.Value
	}
	return all
}

func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if value, ok := got[name]; !ok || value != want[name] {
			t.Errorf("%q became %q (%t)", want[name], value, ok)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d variables, want %d", len(got), len(want))
	}
}

// ours picks the variables of this test from what env -0 prints.
func ours(out []byte) map[string]string {
	all := map[string]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		if name, value, ok := strings.Cut(entry, "="); ok && strings.HasPrefix(name, "TEST_") {
			all[name] = value
		}
	}
	return all
}

func TestShellsReadWhatWasMeant(t *testing.T) {
	t.Parallel()
	e := environmentOf(awkward)
	e.Unset = []string{"TEST_GONE"}
	script, err := Shell(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, shell := range []string{"sh", "bash", "dash", "zsh", "busybox"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			path, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err)
			}
			args := []string{"-c", `eval "$1"; env -0`, "sh", script}
			if shell == "busybox" {
				args = append([]string{"sh"}, args...)
			}
			cmd := exec.CommandContext(t.Context(), path, args...)
			cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TEST_GONE=x"}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			compare(t, ours(out), wanted(e))
		})
	}
}

func TestKubernetesReadsWhatWasMeant(t *testing.T) {
	t.Parallel()
	e := environmentOf(awkward)
	text, err := Kubernetes(e)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Env []struct{ Name, Value string }
	}
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range list.Env {
		got[v.Name] = expand(v.Value)
	}
	compare(t, got, wanted(e))
}

// expand does what the kubelet does with a value: $(NAME) is another variable, $$ a dollar sign, and any other dollar sign
// itself. There is no other variable here.
func expand(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch rest := value[i:]; {
		case strings.HasPrefix(rest, "$$"):
			b.WriteByte('$')
			i++
		case strings.HasPrefix(rest, "$(") && strings.Contains(rest, ")"):
			b.WriteString("[a reference]")
			i += strings.Index(rest, ")")
		default:
			b.WriteByte(value[i])
		}
	}
	return b.String()
}

// holdable are the values that a form can hold; For each other one it has to say so.
func holdable(t *testing.T, format Format, where, without string) Environment {
	t.Helper()
	var fit []string
	for _, value := range awkward {
		if !strings.ContainsAny(value, without) {
			fit = append(fit, value)
			continue
		}
		if text, err := format(environmentOf([]string{value})); err == nil || !strings.Contains(err.Error(), where) || strings.Contains(err.Error(), value) && len(value) > 2 {
			t.Errorf("%q becomes %q, %v", value, text, err)
		}
	}
	return environmentOf(fit)
}

func TestDockerReadsWhatWasMeant(t *testing.T) {
	t.Parallel()
	e := holdable(t, Docker, "Docker's env file", "\n")
	text, err := Docker(e)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") { // as its command line does it
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		got[name] = value
	}
	compare(t, got, wanted(e))
}

func TestNodeReadsTheDotenvThatWasMeant(t *testing.T) {
	t.Parallel()
	e := holdable(t, Dotenv, ".env file", "'\\\n")
	text, err := Dotenv(e)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--env-file", file, "-e", `for (const n in process.env) process.stdout.write(n + "=" + process.env[n] + "\0")`)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Skip("no Node that reads env files: " + err.Error())
	}
	compare(t, ours(out), wanted(e))
}

// A POSIX shell, which systemd's and compose's readers follow as far as this goes.
func TestAShellReadsTheDotenvThatWasMeant(t *testing.T) {
	t.Parallel()
	e := holdable(t, Dotenv, ".env file", "'\\\n")
	text, err := Dotenv(e)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "set -a; . /dev/stdin; env -0")
	cmd.Stdin, cmd.Env = bytes.NewBufferString(text), []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	compare(t, ours(out), wanted(e))
}
