package main

import (
	"fmt"
	"io"
	"strings"

	"evergate/internal/config"
	"evergate/internal/sidecar"
)

// greets reports whether a person has started the sidecar and reads what it says: on a terminal, and without
// having asked for a log of a certain form.
func greets(c *config.Config, w env) bool {
	return c.LogFormat == "" && sidecar.IsTerminal(w.out) && sidecar.IsTerminal(w.err)
}

// greet tells a person what is served to whom, and what to do next.
func greet(out io.Writer, c *config.Config, s *sidecar.Sidecar) {
	whom := c.Shop.Domain() + ", with " + config.GrantInWords(c.Grant)
	if c.ShopsFile != "" {
		whom = "the shops of " + c.ShopsFile
	}
	fmt.Fprintf(out, "Evergate %s for %s.\n\n", build().Version, whom)
	for i, url := range s.URLs() {
		what := "Tools call"
		if i > 0 {
			what = "or"
		}
		fmt.Fprintf(out, "  %-12s %s\n", what, url)
	}
	fmt.Fprintf(out, "  %-12s %s\n", "Try it", sidecar.FirstCall(s.URL(), c))
	fmt.Fprintf(out, "  %-12s %s\n\n", "Watch it", statusPage(s.AdminURL()))
	if c.Policy != "full" {
		fmt.Fprintf(out, "What tools may do: %s (EVERGATE_POLICY).\n", c.Policy)
	}
	fmt.Fprint(out, "Ctrl-C ends it.\n\n")
}

// statusPage is where to look, and a command that finds the sidecar from another terminal.
func statusPage(adminURL string) string {
	address := strings.TrimPrefix(adminURL, "http://")
	command := "evergate status"
	if address != config.DefaultAdmin {
		command = "EVERGATE_ADMIN_LISTEN=" + address + " " + command
	}
	if strings.HasPrefix(adminURL, "unix:") {
		return command
	}
	return adminURL + "/  or: " + command
}
