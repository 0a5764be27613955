package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

var show = []string{"token", "show"}

func TestShowSaysHowTheGrantStands(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t, "EVERGATE_GRANT=offline")
	permanent := token.Pair{Token: token.Token{Access: s.permanent(), Issued: time.Now().Add(-50 * time.Hour)}}
	for name, tc := range map[string]struct {
		record token.Record
		kind   string
		usable bool
		parts  []string
	}{
		"expiring":  {token.Record{Current: s.pair()}, grantadmin.Expiring, true, []string{"offline, expires and is renewed", "ends in 59m", "kept; ends on "}},
		"ended":     {token.Record{Current: aged(s.pair(), 3*time.Hour)}, grantadmin.Expiring, false, []string{"(3h0m ago), ended 2h0m ago"}},
		"permanent": {token.Record{Current: permanent}, grantadmin.Permanent, true, []string{"2 days ago", "does not expire"}},
		"seed":      {token.Record{Current: token.Pair{Refresh: s.pair().Refresh}}, grantadmin.Seed, false, []string{"not used yet", "none yet", "its end is not known"}},
		"previous":  {token.Record{Current: s.pair(), Previous: &token.Previous{Refresh: s.pair().Refresh}}, grantadmin.Expiring, true, []string{"is kept until this one has been used"}},
		"attempt":   {token.Record{Current: s.pair(), Attempt: &token.Attempt{Fingerprint: "f", Started: time.Now()}}, grantadmin.Expiring, true, []string{"its outcome is not known"}},
		"begun":     {token.Record{Current: permanent, Original: permanent.Token.Access}, grantadmin.Permanent, true, []string{"run `evergate token migrate` again"}},
		"migrated":  {token.Record{Current: s.pair(), Original: s.permanent()}, grantadmin.Expiring, true, []string{"brings the same pair back"}},
		"dead":      {token.Record{Current: s.pair(), Reauthorize: &token.Reauthorize{Since: time.Now(), Reason: "it was ended"}}, grantadmin.Expiring, true, []string{"must be authorised anew since", "it was ended"}},
		"other_app": {token.Record{Current: s.pair(), ClientID: "another"}, grantadmin.Expiring, true, []string{"belongs to another app", "another"}},
	} {
		s.put(t, tc.record)
		s.must(t, exitOK, "", show, append(tc.parts, s.file, shopsim.DefaultShop)...)
		var got grantadmin.State
		o := s.must(t, exitOK, "", []string{"token", "show", "--json"})
		if err := json.Unmarshal([]byte(o.out), &got); err != nil || got.Kind != tc.kind || got.Usable != tc.usable || got.Store != s.file ||
			got.OtherApp != (name == "other_app") || (got.Reauthorize != nil) != (name == "dead") || (got.Migration != "") != (name == "begun" || name == "migrated") ||
			got.AttemptSince.IsZero() == (name == "attempt") || got.PreviousKept != (name == "previous") {
			t.Errorf("%s: %v, %s", name, err, o.out)
		}
	}
}

func TestShowWithoutAGrantFails(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	if o := execute(right(), show...); o.code != exitFailure || !strings.Contains(o.err, "nothing is stored: the grant client_credentials keeps its token in memory") {
		t.Errorf("%+v", o)
	}
	s.environ = append(s.environ, "EVERGATE_GRANT=offline")
	s.must(t, exitFailure, "", show, "nothing is stored for "+shopsim.DefaultShop, s.file, "evergate login")
	s.put(t, token.Record{Grant: config.GrantClientCredentials})
	s.must(t, exitFailure, "", show, "nothing is stored for")
	if err := os.WriteFile(s.file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.must(t, exitFailure, "", show, "damaged")
	if err := os.Chmod(s.file[:strings.LastIndex(s.file, "/")], 0o755); err != nil {
		t.Fatal(err)
	}
	s.must(t, exitConfig, "", show, "chmod 700")
}

// The settings of a migration: the sidecar refuses them, because it cannot know which is meant.
func TestShowLooksAtTheStoreBesideAPermanentToken(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.environ = append(s.environ, "SHOPIFY_ACCESS_TOKEN="+s.permanent().Reveal())
	s.must(t, exitOK, "", show, "expires and is renewed")
}

func TestValuesAreShownOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	r := token.Record{Current: s.pair(), Original: s.permanent(), Previous: &token.Previous{Refresh: s.pair().Refresh}}
	s.put(t, r)
	secrets := []string{r.Current.Token.Access.Reveal(), r.Current.Refresh.Reveal(), r.Original.Reveal(), r.Previous.Refresh.Reveal()}
	for _, args := range [][]string{show, {"token", "show", "--json"}} {
		s.must(t, exitOK, "", args) // say looks for credentials
		o := s.must(t, exitOK, "", append(args, "--reveal"), secrets...)
		if !strings.Contains(o.err, "live credentials") || strings.Contains(o.err, "shp") {
			t.Errorf("%s", o.err)
		}
	}
}
