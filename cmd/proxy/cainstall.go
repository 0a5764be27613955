package main

import (
	"context"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"strings"

	"evergate/internal/config"
	"evergate/internal/localca"
	"evergate/internal/readfile"
	"evergate/internal/remedy"
	"evergate/internal/truststore"
)

// caInstall changes what this machine trusts.
func caInstall() action {
	yes, from := false, ""
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&yes, "yes", false, "do not ask")
			fs.StringVar(&from, "from", "", "the `FILE` with the certificates of a sidecar elsewhere, as its /ca.pem has them; - reads standard input")
		},
		run: func(w env) error {
			m := w.machine()
			roots, err := rootsToInstall(w, m, from)
			if err != nil {
				return err
			}
			var list []string
			for _, c := range roots {
				list = append(list, described(c))
			}
			explanation := fmt.Sprintf(`This has the programs of this machine trust
  %s
The key that signs for it can sign for *.myshopify.com and for this machine, and for no other
name or address; see docs/using/ca.md. evergate ca uninstall takes it back.`, strings.Join(list, "\n  "))
			if from == "-" && !yes {
				return configError(fmt.Errorf("%s\n\nthe answer cannot be asked for where the certificates come from: give --yes", explanation))
			}
			if err := w.prompter().confirm(yes, explanation, "Trust it?"); err != nil {
				return err
			}
			return eachStore(w, m, func(ctx context.Context, s truststore.Store) (string, error) {
				return "it is trusted", s.Install(ctx, roots)
			})
		},
	}
}

// rootsToInstall are those of a file, or of the authority of this environment, which is made if there is none.
func rootsToInstall(w env, m *truststore.Machine, from string) ([]*x509.Certificate, error) {
	if from != "" {
		return rootsFrom(w, from)
	}
	getenv := config.Getenv(w.environ)
	if m.Privileged && getenv("SUDO_USER") != "" && getenv("EVERGATE_CA_DIR") == "" {
		return nil, configError(remedy.New("run it without sudo, which it asks for itself where that is needed; or give the certificate with --from FILE",
			"this would trust an authority of root's, and not that of %s", getenv("SUDO_USER")))
	}
	ca, err := openCA(w)
	if err != nil {
		return nil, err
	}
	if s, err := ca.Status(); err == nil && s.Place == "memory:" {
		return nil, configError(remedy.New("give the certificate of the sidecar that runs: curl -o ca.pem http://127.0.0.1:9090/ca.pem, then evergate ca install --from ca.pem", "EVERGATE_CA_DIR=memory: ends with this command"))
	}
	return ca.RootCertificates()
}

// rootsFrom reads roots that another process has made. Others than ours are refused: uninstall would not find them.
func rootsFrom(w env, from string) ([]*x509.Certificate, error) {
	var text []byte
	var err error
	if from == "-" {
		text, err = io.ReadAll(io.LimitReader(w.stdin, maxInput))
	} else {
		text, err = readfile.Read(from, maxInput)
	}
	if err != nil {
		return nil, err
	}
	all, err := truststore.Certificates(text)
	if err != nil || len(all) == 0 {
		return nil, remedy.New("give what evergate ca or /ca.pem prints", "%s holds no certificate in PEM form", from)
	}
	for _, c := range all {
		if !c.IsCA || !strings.HasPrefix(c.Subject.CommonName, localca.RootName+" ") || c.CheckSignatureFrom(c) != nil {
			return nil, remedy.New("give what evergate ca or /ca.pem prints", "%s holds the certificate %q, which is no root of a local CA", from, c.Subject)
		}
	}
	return all, nil
}
