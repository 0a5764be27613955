package main

import (
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

var revoke = []string{"token", "revoke"}

func TestRevocationUninstallsTheAppAndMarksTheGrant(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	pair := s.pair()
	s.put(t, token.Record{Current: pair})
	s.must(t, exitFailure, "n\n", revoke, "uninstalls the app "+shopsim.DefaultClientID, "Every token", "Uninstall it? [y/N]", "nothing was changed")
	if !s.accepts(t, pair.Token.Access) || s.stored(t).Reauthorize != nil {
		t.Fatal("something was changed")
	}
	s.must(t, exitOK, "y\n", revoke, "is uninstalled from "+shopsim.DefaultShop)
	r := s.stored(t)
	if s.accepts(t, pair.Token.Access) || s.ChainAlive("", "") || r.Reauthorize == nil || !r.Current.Refresh.Equal(pair.Refresh) {
		t.Errorf("%+v", r)
	}
	s.must(t, exitOK, "", show, "must be authorised anew", "evergate token revoke")
	s.must(t, exitFailure, "", append(revoke[:2:2], "--yes"), "may be uninstalled already")
}

func TestRevocationWithAnEndedTokenObtainsAnotherOne(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)})
	s.must(t, exitOK, "", append(revoke[:2:2], "--yes"), "is uninstalled")
	if s.Stats().Refreshes != 1 || s.stored(t).Reauthorize == nil {
		t.Errorf("%+v", s.Stats())
	}
}

func TestRevocationByEveryGrant(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.must(t, exitOK, "", append(revoke[:2:2], "--yes"), "is uninstalled") // with client credentials
	if r := s.stored(t); r.Grant != config.GrantClientCredentials || r.Reauthorize != nil {
		t.Errorf("%+v", r)
	}
	s.must(t, exitFailure, "", append(revoke[:2:2], "--yes"), "may be uninstalled already")

	s.Install("", "")
	static := s.withEnviron("EVERGATE_STORE=", "EVERGATE_GRANT=static", "SHOPIFY_ACCESS_TOKEN="+s.permanent().Reveal())
	static.must(t, exitOK, "", append(revoke[:2:2], "--yes"), "is uninstalled")
}

func TestRevocationThatFailsSaysWhatIsKnown(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.put(t, token.Record{Current: s.pair()})
	s.Inject(shopsim.Fault{Kind: shopsim.FaultDrop, Method: "DELETE", AfterCommit: true, Count: 1})
	s.Inject(shopsim.Fault{Kind: shopsim.FaultStatus, Status: 503, Method: "DELETE", Count: 1})
	s.must(t, exitFailure, "", append(revoke[:2:2], "--yes"), "whether the app is uninstalled is not known")
	s.must(t, exitFailure, "", append(revoke[:2:2], "--yes"), "nothing was changed", "status 503")
	s.put(t, token.Record{Current: aged(s.pair(), 2*time.Hour)})
	s.EndChain("", "")
	s.withEnviron("EVERGATE_GRANT=offline").must(t, exitFailure, "", append(revoke[:2:2], "--yes"), "there is no token to uninstall the app with", "in the shop's admin")
	// Two settings name two grants, and this is no command to guess in.
	s.withEnviron("SHOPIFY_ACCESS_TOKEN="+s.permanent().Reveal()).must(t, exitConfig, "", append(revoke[:2:2], "--yes"), "EVERGATE_GRANT")
}
