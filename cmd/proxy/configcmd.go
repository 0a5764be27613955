package main

import (
	"flag"

	"evergate/internal/config"
	"evergate/internal/sidecar"
)

// printConfig lists the settings. It prints what it can even when some are wrong, and
// then says which.
func printConfig() action {
	markdown := false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&markdown, "markdown", false, "print the table of docs/reference/configuration.md")
		},
		run: func(w env) error {
			if markdown {
				return config.Markdown(w.out)
			}
			c, err := sidecar.Load(w.environ)
			if perr := c.Print(w.out); perr != nil {
				return perr
			}
			if err != nil {
				return configError(err)
			}
			return nil
		},
	}
}
