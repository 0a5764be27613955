package main

import (
	"log/slog"

	"evergate/internal/config"
	"evergate/internal/localca"
	"evergate/internal/sidecar"
)

// caCommand prints what clients have to trust, and makes it if there is none. What is printed is public.
func caCommand() action {
	return action{
		run: func(w env) error {
			ca, err := openCA(w)
			if err != nil {
				return err
			}
			roots, err := ca.Roots()
			if err != nil {
				return err
			}
			_, err = w.out.Write(roots)
			return err
		},
	}
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
