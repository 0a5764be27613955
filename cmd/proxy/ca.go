package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"evergate/internal/config"
	"evergate/internal/localca"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/sidecar"
	"evergate/internal/truststore"
)

func caCommands() []command {
	return []command{
		{name: "install", args: "[--from FILE] [--yes]", summary: "have this machine and the browsers of this user trust the local CA", new: caInstall,
			examples: []string{"evergate ca install"}},
		{name: "uninstall", args: "[--purge] [--yes]", summary: "end that trust, also in authorities from before; --purge removes the authority and its key", new: caUninstall,
			examples: []string{"evergate ca uninstall"}},
	}
}

// caCommand prints what clients have to trust, and makes it if there is none. What is printed is public.
func caCommand() action {
	bundle := false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&bundle, "bundle", false, "print the certificates that this system trusts before it, for programs that take one file for all")
		},
		run: func(w env) error {
			ca, err := openCA(w)
			if err != nil {
				return err
			}
			var text []byte
			if bundle {
				if text, err = rootsOfSystem(w); err != nil {
					return err
				}
			}
			roots, err := ca.RootCertificates()
			if err != nil {
				return err
			}
			for _, c := range roots {
				text = append(text, localca.PEM(c)...)
				fmt.Fprintln(w.err, described(c)) // to compare what was fetched over the network with
			}
			_, err = w.out.Write(text)
			return err
		},
	}
}

// described tells a root from any other, with its fingerprint as openssl x509 -fingerprint -sha256 writes it.
func described(c *x509.Certificate) string {
	return fmt.Sprintf("%s, until %s, SHA-256 %s", c.Subject.CommonName, c.NotAfter.UTC().Format(time.DateOnly), localca.FingerprintText(c))
}

// openCA returns the authority that the sidecar of this environment has. Its place is all that is read of the settings: whoever
// trusts an authority needs no shop.
func openCA(w env) (*localca.Authority, error) {
	cfg, err := config.Parse(w.environ)
	if err == nil {
		err = cfg.CheckCADir()
	}
	if err != nil {
		return nil, configError(err)
	}
	ca := sidecar.OpenCA(cfg, w.environ)
	ca.WarnTo(slog.New(slog.NewTextHandler(w.err, nil)))
	return ca, nil
}

// machine is whose trust is changed.
func (w env) machine() *truststore.Machine {
	if w.trust != nil {
		return w.trust
	}
	home := config.Getenv(w.environ)("HOME")
	if home == "" {
		home, _ = os.UserHomeDir() // without one there are no browsers
	}
	return truststore.This(runtime.GOOS, home)
}

// rootsOfSystem are the certificates that programs on this system trust.
func rootsOfSystem(w env) ([]byte, error) {
	if path := config.Getenv(w.environ)("SSL_CERT_FILE"); path != "" {
		text, err := readfile.Read(path, largestRead)
		if err != nil {
			return nil, remedy.Prefix("SSL_CERT_FILE", err)
		}
		return withNewline(text), nil
	}
	ctx, stop := w.untilSignal()
	defer stop()
	if text, err := w.machine().Roots(ctx); err == nil && len(text) > 0 {
		return withNewline(text), nil
	}
	if text := systemRoots(); len(text) > 0 {
		return withNewline(text), nil
	}
	return nil, remedy.New("name it in SSL_CERT_FILE", "the file with the certificates that this system trusts was not found")
}

func withNewline(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return text
}

// eachStore does one thing to every place of trust and says what came of it. A place that fails does not keep the others from
// their turn.
func eachStore(w env, m *truststore.Machine, do func(context.Context, truststore.Store) (string, error)) error {
	stores, missing := m.Stores()
	ctx, stop := w.untilSignal()
	defer stop()
	errs := remedy.All(missing)
	for _, s := range stores {
		said, err := do(ctx, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name(), err))
			continue
		}
		fmt.Fprintf(w.out, "%s: %s\n", s.Name(), said)
	}
	return errors.Join(errs...)
}
