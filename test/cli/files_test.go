//go:build linux

package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"evergate/test/process"
)

const permanent = "shpat_0123456789abcdef0123456789abcdef"

func environ(more ...string) []string {
	return append([]string{"SHOPIFY_SHOP=acme", "EVERGATE_LISTEN=127.0.0.1:0", "EVERGATE_ADMIN_LISTEN=127.0.0.1:0", "EVERGATE_UPSTREAM_URL=http://127.0.0.1:9"}, more...)
}

func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWhatIsNoFileIsRefused names what would be waited for, or read, for ever, in each setting that takes a file.
func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket, large := filepath.Join(dir, "socket"), filepath.Join(dir, "large")
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil {
		t.Fatal(err)
	}
	token := "SHOPIFY_ACCESS_TOKEN=" + permanent
	for _, s := range []struct{ name, beside string }{
		{"SHOPIFY_ACCESS_TOKEN_FILE", "EVERGATE_PACE=on"}, {"SHOPIFY_CLIENT_SECRET_FILE", "SHOPIFY_CLIENT_ID=0123456789abcdef0123456789abcdef"},
		{"EVERGATE_STORE_KEY_FILE", token}, {"EVERGATE_UPSTREAM_CA_FILE", token}, {"EVERGATE_CLIENT_KEYS_FILE", token}, {"EVERGATE_POLICY_FILE", token},
		{"EVERGATE_TLS_CERT_FILE", "EVERGATE_TLS_KEY_FILE=/dev/null"}, {"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_ENDPOINT=https://localhost:1"}, {"--env-file", token},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for what, path := range map[string]string{"pipe": fifo(t), "socket": socket, "directory": dir, "device": "/dev/zero", "large": large} {
				for _, command := range []string{"check", "config", "serve"} {
					if strings.HasPrefix(s.name, "OTEL") && command != "serve" {
						continue // nothing else reads it
					}
					args, with := []string{command}, environ(s.beside, s.name+"="+path)
					if s.name == "--env-file" {
						args, with = append(args, s.name, path), environ(s.beside)
					}
					if !strings.HasPrefix(s.name, "SHOPIFY") && s.beside != token {
						with = append(with, token)
					}
					ctx, stop := context.WithTimeout(t.Context(), process.Patience)
					cmd := exec.CommandContext(ctx, binary, args...)
					cmd.Env = with
					var said bytes.Buffer
					cmd.Stdout, cmd.Stderr = &said, &said
					err := cmd.Run()
					late := ctx.Err()
					stop()
					if late != nil || !strings.Contains(said.String(), path) || err == nil && command != "config" {
						t.Errorf("%s, a %s: %v, %v, %s", command, what, err, late, said.String())
					}
				}
			}
		})
	}
}

// TestAPipeGivesASecret has what shells and secret managers do.
func TestAPipeGivesASecret(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	for name, script := range map[string]string{
		"process substitution":  `exec env SHOPIFY_ACCESS_TOKEN_FILE=<(sleep 0.2; echo ` + permanent + `) "$0" config`,
		"standard input":        `echo ` + permanent + ` | SHOPIFY_ACCESS_TOKEN_FILE=/dev/stdin "$0" config`,
		"a file":                `SHOPIFY_ACCESS_TOKEN_FILE=/dev/stdin "$0" config <<<` + permanent,
		"a descriptor":          `SHOPIFY_ACCESS_TOKEN_FILE=/dev/fd/7 "$0" config 7< <(echo ` + permanent + `)`,
		"a pipe with a name":    `echo ` + permanent + ` > ` + path + ` & exec env SHOPIFY_ACCESS_TOKEN_FILE=` + path + ` "$0" config`,
		"settings of a program": `exec "$0" config --env-file <(echo SHOPIFY_ACCESS_TOKEN=` + permanent + `)`,
	} {
		cmd := process.Command(t, "bash", environ("PATH="+os.Getenv("PATH")), "-c", script, binary)
		p := process.Start(t, cmd)
		if code := p.Exit(t); code != 0 {
			t.Errorf("%s: it ends with %d: %s", name, code, p.Tail())
		}
	}
	// What came through a pipe is kept: it is asked for again when a token is obtained.
	p := process.Start(t, process.Command(t, "bash", environ(), "-c", `exec env SHOPIFY_ACCESS_TOKEN_FILE=<(echo `+permanent+`) "$0" serve`, binary))
	p.AwaitLog(t, "listening for operators")
	p.Signal(t, syscall.SIGTERM)
	if code := p.Exit(t); code != 0 || strings.Contains(p.Err.String(), "is empty") {
		t.Errorf("serve ends with %d: %s", code, p.Tail())
	}
}

// TestASignalEndsACommandThatWaitsForAFile holds a pipe open without writing into it.
func TestASignalEndsACommandThatWaitsForAFile(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"check", "config", "serve"} {
		for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			path := fifo(t)
			p := process.Start(t, process.Command(t, binary, environ("SHOPIFY_ACCESS_TOKEN_FILE="+path), command))
			w, err := os.OpenFile(path, os.O_WRONLY, 0) // which returns when it is being read
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, "shpat_"); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			p.Signal(t, sig)
			if code := p.Exit(t); code == 0 || time.Since(began) > 5*time.Second {
				t.Errorf("%s, %s: it ends with %d after %s", command, sig, code, time.Since(began))
			}
			_ = w.Close()
		}
	}
}
