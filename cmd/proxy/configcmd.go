package main

import (
	"encoding/json"
	"flag"

	"golang.org/x/term"

	"evergate/internal/config"
	"evergate/internal/sidecar"
)

// printConfig lists the settings. It prints what it can even when some are wrong, and
// then says which.
func printConfig() action {
	markdown, asJSON, changed, brief := false, false, false, false
	return action{
		flags: func(fs *flag.FlagSet) {
			fs.BoolVar(&markdown, "markdown", false, "print the table of docs/reference/configuration.md")
			fs.BoolVar(&asJSON, "json", false, "print an array of {setting, group, value, default, changed, meaning}")
			fs.BoolVar(&changed, "changed", false, "only those that have another value than their default")
			fs.BoolVar(&brief, "brief", false, "without what each means")
		},
		run: func(w env) error {
			if markdown {
				return config.Markdown(w.out)
			}
			c, err := sidecar.Load(w.environ)
			values := c.Values(changed)
			if asJSON {
				e := json.NewEncoder(w.out)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				if err := e.Encode(values); err != nil {
					return err
				}
			} else if err := config.Print(w.out, values, w.width(), brief); err != nil {
				return err
			}
			if err != nil {
				return configError(err)
			}
			return nil
		},
	}
}

// The widths of a page for people where no terminal says another, and at least.
const (
	usualWidth = 100
	leastWidth = 40
)

// width is how many characters a line of standard output may have.
func (w env) width() int {
	f, ok := sidecar.FileOf(w.out)
	if !ok {
		return usualWidth
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return usualWidth
	}
	return max(width, leastWidth)
}
