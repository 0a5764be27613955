package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/sidecar"
	"evergate/internal/token"
)

// shown is what `token show --json` prints. The secrets are there with --reveal only.
type shown struct {
	grantadmin.State
	Access   string `json:"access_token,omitempty"`
	Refresh  string `json:"refresh_token,omitempty"`
	Previous string `json:"previous_refresh_token,omitempty"`
	Original string `json:"original_token,omitempty"`
}

// tokenShow says how the stored grant stands.
func tokenShow() action {
	reveal, asJSON, shop := false, false, ""
	return action{
		flags: func(fs *flag.FlagSet) {
			shopFlag(fs, &shop)
			fs.BoolVar(&reveal, "reveal", false, "print the tokens, too")
			fs.BoolVar(&asJSON, "json", false, "print JSON")
		},
		run: func(w env) error {
			c, err := openGrant(w, lookingAtStore(w.environ), shop)
			if err != nil {
				return err
			}
			record, err := loadToShow(c)
			if err != nil {
				return err
			}
			s := shown{State: grantadmin.StateOf(record, time.Now())}
			s.Remedies, s.Store, s.OtherApp = c.Remedies(), c.RecordPlace(), record.ClientID != "" && record.ClientID != c.ClientID()
			if reveal {
				fmt.Fprintln(w.err, "evergate: warning: these are live credentials: whoever reads them acts as your app on the shop")
				s.reveal(record)
			}
			if asJSON {
				e := json.NewEncoder(w.out)
				e.SetIndent("", "  ")
				return e.Encode(s) //nolint:gosec // G117: it holds tokens with --reveal only
			}
			t := tabwriter.NewWriter(w.out, 0, 0, 2, ' ', 0)
			for _, line := range append(s.Lines(), s.secrets()...) {
				fmt.Fprintf(t, "%s\t%s\n", line[0], line[1])
			}
			return t.Flush()
		},
	}
}

// lookingAtStore settles a case in which the sidecar refuses to start: a permanent token
// beside an app's credentials, as `token import` and `token migrate` have it.
func lookingAtStore(environ []string) []string {
	cfg, _ := config.Parse(environ) // mistakes are reported by whoever loads it
	if cfg != nil && cfg.Grant == config.GrantAuto && !cfg.AccessToken.Empty() && cfg.ClientID != "" {
		return append(withDefaults(environ), "EVERGATE_GRANT="+config.GrantOffline)
	}
	return environ
}

func loadToShow(c *sidecar.Installation) (token.Record, error) {
	if c.Store == nil {
		return token.Record{}, fmt.Errorf("nothing is stored: the grant %s keeps its token in memory", c.Grant)
	}
	record, err := adminOf(c).Load()
	if err == nil && record.IsBlank() {
		return record, fmt.Errorf("nothing is stored for %s in %s: run %s, or %s", c.Shop, c.RecordPlace(), c.Remedies().Command("login"), c.Remedies().Command("token import"))
	}
	return record, err
}

func (s *shown) reveal(r token.Record) {
	s.Access, s.Refresh, s.Original = r.Current.Token.Access.Reveal(), r.Current.Refresh.Reveal(), r.Original.Reveal()
	if r.Previous != nil {
		s.Previous = r.Previous.Refresh.Reveal()
	}
}

// secrets are the lines that --reveal adds.
func (s *shown) secrets() (list [][2]string) {
	for _, line := range [][2]string{
		{"access token =", s.Access}, {"refresh token =", s.Refresh}, {"previous one =", s.Previous}, {"migrated token =", s.Original},
	} {
		if line[1] != "" {
			list = append(list, line)
		}
	}
	return list
}
