package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"evergate/internal/config"
)

func TestInitRefusesWhatItCannotReplaceBeforeItAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink(filepath.Join(dir, "nowhere"), dangling); err != nil {
		t.Skipf("no links here: %v", err)
	}
	for path, want := range map[string]string{
		"":                              "needs the name of a file",
		"-":                             "needs the name of a file",
		dir:                             "no regular file",
		os.DevNull:                      "no regular file",
		dangling:                        "no regular file",
		filepath.Join(dir, "no", "env"): "cannot be written",
	} {
		o := execute(nil, "init", "--yes", "--file", path)
		if o.code == exitOK || !strings.Contains(o.err, want) || strings.Contains(o.err, "Shop, ") || strings.Contains(o.err, ".tmp") {
			t.Errorf("%q: %+v, want %q", path, o, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestInitWritesWhereASymlinkLeads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := &initDialog{file: filepath.Join(dir, "link"), yes: true, someone: &prompter{}}
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, i.file); err != nil {
		t.Skipf("no links here: %v", err)
	}
	if err := i.mayWrite(); err != nil {
		t.Fatal(err)
	}
	if err := i.write([]string{"SHOPIFY_SHOP=acme"}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(target); err != nil || !strings.Contains(string(text), "SHOPIFY_SHOP=acme\n") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestInitWritesTheWayThatItTook has a program with nothing but the file reach Shopify as init did.
func TestInitWritesTheWayThatItTook(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "proxy")
	if err := os.WriteFile(file, []byte("http://from-a-file:3128\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const ours = "EVERGATE_UPSTREAM_PROXY=http://user:p%24ss@proxy.internal:3128"
	for _, tc := range []struct {
		environ, want []string
	}{
		{nil, nil},
		{[]string{"EVERGATE_RESOLVER= 10.0.0.53 "}, []string{"EVERGATE_RESOLVER=10.0.0.53"}},
		{[]string{ours}, []string{ours}},
		{[]string{ours, "NO_PROXY=*"}, []string{ours}},
		{[]string{"EVERGATE_UPSTREAM_PROXY_FILE=" + file}, []string{"EVERGATE_UPSTREAM_PROXY_FILE=" + file}},
		{[]string{"HTTPS_PROXY=proxy.internal:3128"}, []string{"EVERGATE_UPSTREAM_PROXY=http://proxy.internal:3128"}},
		{[]string{"https_proxy=http://proxy.internal:3128", "NO_PROXY=.myshopify.com"}, nil},
		{[]string{"HTTPS_PROXY=http://127.0.0.1:8080", "EVERGATE_URL=http://127.0.0.1:8080"}, nil}, // another Evergate, for tools
	} {
		cfg, err := config.Load(append([]string{"SHOPIFY_SHOP=acme", "SHOPIFY_ACCESS_TOKEN=shpat_4"}, tc.environ...))
		if err != nil {
			t.Fatal(err)
		}
		if got := wayOf(tc.environ, cfg); !slices.Equal(got, tc.want) {
			t.Errorf("%q: %q", tc.environ, got)
		}
	}
}

// What init prints is pasted into a shell.
func TestInitPrintsFileNamesAsShellsReadThem(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"/etc/a-b_c.env": "evergate --env-file /etc/a-b_c.env\n",
		"my shop's.env":  `evergate --env-file 'my shop'\''s.env'` + "\n",
		"a;reboot":       "install -m 600 'a;reboot' /etc",
		"$HOME/x: y":     `env_file: "$HOME/x: y"` + "\n",
	} {
		var out bytes.Buffer
		(&initDialog{file: file}).whatNext(env{out: &out})
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: %s", file, out.String())
		}
	}
}

// TestAnInterruptEndsTheQuestionWhetherToWrite interrupts init after what it has tried failed: the tries listened for signals, too.
func TestAnInterruptEndsTheQuestionWhetherToWrite(t *testing.T) {
	t.Parallel()
	_, environ := simulated(t)
	environ = slices.DeleteFunc(environ, func(e string) bool { return strings.HasPrefix(e, "SHOPIFY_") })
	for range 20 {
		in, typing := io.Pipe()
		r := &running{newTail(), newTail(), make(chan os.Signal, 4), make(chan int, 1)}
		w := env{args: []string{"init", "--shop", "blue-finch", "--client-id", aClientID, "--file", filepath.Join(t.TempDir(), "e")}, environ: environ, stdin: in, out: r.out, err: r.err, signals: r.signals}
		go func() { r.code <- run(w) }()
		if _, err := io.WriteString(typing, "wrong\n"); err != nil {
			t.Fatal(err)
		}
		r.err.next(t, has("Not everything is right."))
		r.signals <- os.Interrupt
		r.mustEnd(t, exitFailure)
		_ = typing.Close()
	}
}
