package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/config"
	"evergate/internal/grantadmin"
	"evergate/internal/shopsim"
	"evergate/internal/token"
)

var migrate = []string{"token", "migrate"}

// withEnviron adds settings.
func (s *grantShop) withEnviron(more ...string) *grantShop {
	c := *s
	c.environ = append(append([]string{}, s.environ...), more...)
	return &c
}

func (s *grantShop) putPermanent(t *testing.T) token.Secret {
	t.Helper()
	access := s.permanent()
	s.put(t, token.Record{Current: token.Pair{Token: token.Token{Access: access, Issued: time.Now().Round(0)}}})
	return access
}

// migrated looks whether the stored grant is a living pair and the permanent token dead.
func (s *grantShop) migrated(t *testing.T, permanent token.Secret) {
	t.Helper()
	r := s.stored(t)
	if grantadmin.IsPermanent(r.Current) || r.Current.Refresh.Empty() || !r.Original.Equal(permanent) || !s.accepts(t, r.Current.Token.Access) || s.accepts(t, permanent) || !s.ChainHeld("", "") {
		t.Errorf("%+v", grantadmin.StateOf(r, time.Now()))
	}
}

func TestMigrationExchangesThePermanentToken(t *testing.T) {
	t.Parallel()
	for name, fromStore := range map[string]bool{"stored": true, "settings": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newGrantShop(t)
			var permanent token.Secret
			if fromStore {
				permanent = s.putPermanent(t)
			} else {
				permanent = s.permanent()
				s = s.withEnviron("SHOPIFY_ACCESS_TOKEN=" + permanent.Reveal())
			}
			var atPost token.Record
			s.OnToken(func(shopsim.TokenEvent) { atPost = s.stored(t) })
			o := s.must(t, exitOK, "y\n", migrate, "Migrate it? [y/N]", "cannot be undone", "in every other program", s.file, "Migrated.")
			if !fromStore && !strings.Contains(o.out, "Remove SHOPIFY_ACCESS_TOKEN") {
				t.Errorf("%s", o.out)
			}
			if !atPost.Original.Equal(permanent) || !atPost.Current.Token.Access.Equal(permanent) {
				t.Error("the permanent token was not kept before it was given up")
			}
			s.migrated(t, permanent)
			s.must(t, exitOK, "", migrate, "nothing to migrate") // and asks nothing
			if n := s.Stats().TokenPosts; n != 1 {
				t.Errorf("%d POSTs", n)
			}
		})
	}
}

func TestDeclinedMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	permanent := s.putPermanent(t)
	before, err := os.ReadFile(s.file)
	if err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{"", "\n", "n\n", "no\n", "N", "yep\n", "y y\n"} {
		s.must(t, exitFailure, answer, migrate, "nothing was changed", "--yes")
	}
	after, err := os.ReadFile(s.file)
	if err != nil || string(before) != string(after) || s.Stats().TokenPosts != 0 || !s.accepts(t, permanent) {
		t.Error("something was changed")
	}
	s.must(t, exitOK, "", append(migrate[:2:2], "--yes"), "Migrated.")
	s.migrated(t, permanent)
}

// The grant that a sidecar then has is an ordinary one: its first refresh, after which the
// permanent token could bring nothing back any more, forgets it.
func TestFirstRefreshAfterAMigrationForgetsThePermanentToken(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.putPermanent(t)
	s.must(t, exitOK, "", append(migrate[:2:2], "--yes"))
	r := s.stored(t)
	r.Current = aged(r.Current, 2*time.Hour)
	s.put(t, r)
	s.must(t, exitOK, "", []string{"check"}, "it was renewed as the sidecar would have done")
	if r = s.stored(t); !r.Original.Empty() || r.Previous == nil {
		t.Errorf("%+v", r)
	}
}

func TestRunningSidecarGoesOnAcrossAMigration(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	permanent := s.putPermanent(t)
	r := start(s.environ, "serve")
	tools, _ := serving(t, r)
	call := func() int {
		client := http.Client{Transport: &http.Transport{}}
		resp, err := client.Get("http://" + tools + "/admin/api/2026-10/shop.json")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	before := call()
	s.must(t, exitOK, "", append(migrate[:2:2], "--yes"), "Migrated.")
	if after := call(); before != http.StatusOK || after != http.StatusOK {
		t.Errorf("%d before, %d after", before, after)
	}
	r.signals <- os.Interrupt
	r.mustEnd(t, exitOK)
	s.migrated(t, permanent)
}

func TestMigrationIsResumedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	permanent := s.permanent()
	s = s.withEnviron("SHOPIFY_ACCESS_TOKEN=" + permanent.Reveal())
	for _, kind := range []shopsim.Kind{shopsim.FaultDrop, shopsim.FaultCut, shopsim.FaultTruncate, shopsim.FaultEmpty} {
		s.Inject(shopsim.Fault{Kind: kind, Grant: shopsim.GrantMigration, AfterCommit: true, Count: 1})
		s.must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "is not known", "run the command again")
		s.must(t, exitOK, "", show, "begun and not finished")
	}
	s.must(t, exitOK, "y\n", migrate, "A migration was begun before", "Migrated.")
	s.migrated(t, permanent)
	if n := len(s.Generations("", "")); n != 1 {
		t.Errorf("%d pairs were made: each after the first ends the one before", n)
	}
}

func TestMigrationIsResumedAfterAFailedWrite(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	permanent := s.putPermanent(t)
	var once sync.Once
	s.OnToken(func(shopsim.TokenEvent) { // Shopify has it, and we do not
		once.Do(func() {
			if err := errors.Join(os.Rename(s.file, s.file+".aside"), os.Mkdir(s.file, 0o700)); err != nil {
				t.Error(err)
			}
		})
	})
	o := s.must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "migrated at Shopify", "could not be stored", "run the command again")
	if strings.Contains(o.out, "Migrated") {
		t.Errorf("success is claimed: %s", o.out)
	}
	if err := errors.Join(os.Remove(s.file), os.Rename(s.file+".aside", s.file)); err != nil {
		t.Fatal(err)
	}
	s.must(t, exitOK, "", append(migrate[:2:2], "--yes"), "Migrated.")
	s.migrated(t, permanent)
}

// init lets this binary be the real one, for tests that kill it.
func init() {
	if os.Getenv("PROXY_TEST_ITSELF") != "" {
		os.Exit(run(processEnv()))
	}
}

func TestMigrationIsResumedAfterACrash(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := newGrantShop(t)
	permanent := s.permanent()
	s = s.withEnviron("SHOPIFY_ACCESS_TOKEN=" + permanent.Reveal())
	cmd := exec.Command(self, "token", "migrate", "--yes")
	cmd.Env = append(os.Environ(), append(s.environ, "PROXY_TEST_ITSELF=1")...)
	cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
	minted := make(chan struct{}, 1)
	s.OnToken(func(shopsim.TokenEvent) {
		select {
		case minted <- struct{}{}:
		default:
		}
	})
	s.Inject(shopsim.Fault{Kind: shopsim.FaultDelay, Grant: shopsim.GrantMigration, AfterCommit: true, Delay: time.Minute, Count: 1})
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-minted: // and the answer is not sent yet
	case err := <-ended:
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	if r := s.stored(t); !r.Original.Equal(permanent) || !grantadmin.IsPermanent(r.Current) {
		t.Fatalf("%+v", r)
	}
	s.must(t, exitOK, "", append(migrate[:2:2], "--yes"), "Migrated.")
	s.migrated(t, permanent)
}

func TestRefusedMigrationLeavesEverythingAsItWas(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	short := s.IssueToken("", "", time.Hour) // a token that expires, taken for a permanent one
	s.withEnviron("SHOPIFY_ACCESS_TOKEN="+short).must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "not migrated, and nothing was changed", "cannot be migrated")
	s.must(t, exitOK, "", []string{"check"}, "with client credentials") // as before

	permanent := s.putPermanent(t)
	s.RotateSecret("", "", true)
	before := s.stored(t)
	s.must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "not migrated, and nothing was changed")
	if r := s.stored(t); !r.Original.Empty() || !r.Current.Token.Access.Equal(permanent) || !r.Current.Token.Issued.Equal(before.Current.Token.Issued) {
		t.Errorf("%+v", r)
	}
}

// What was begun stays written down until its outcome is known.
func TestRefusalOfAResumedMigrationKeepsTheNote(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	permanent := s.putPermanent(t)
	r := s.stored(t)
	r.Original = permanent
	s.put(t, r)
	s.RevokeTokens(permanent.Reveal())
	s.must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "not migrated: ")
	if !s.stored(t).Original.Equal(permanent) {
		t.Error("the note is gone")
	}
}

func TestMigrationOfNothingOrOfSomethingElse(t *testing.T) {
	t.Parallel()
	s := newGrantShop(t)
	s.must(t, exitConfig, "", migrate, "there is no permanent token", "SHOPIFY_ACCESS_TOKEN")
	static := s.withEnviron("SHOPIFY_ACCESS_TOKEN=" + s.permanent().Reveal())

	s.put(t, token.Record{Current: s.pair()})
	s.must(t, exitOK, "", migrate, "nothing to migrate")
	static.must(t, exitFailure, "", append(migrate[:2:2], "--yes"), "would end it")

	s.put(t, token.Record{Current: s.pair(), ClientID: "another"})
	static.must(t, exitConfig, "", append(migrate[:2:2], "--yes"), "belongs to another app")
	s.withEnviron("EVERGATE_STORE=memory:").must(t, exitConfig, "", migrate, "EVERGATE_STORE=file:DIR")
	if n := s.Stats().TokenPosts; n != 0 {
		t.Errorf("%d POSTs", n)
	}

	// A dead grant has nothing to lose, and one that can be asked for neither.
	for _, r := range []token.Record{
		{Current: s.pair(), Reauthorize: &token.Reauthorize{Since: time.Now()}}, {Current: s.pair(), Grant: config.GrantClientCredentials},
	} {
		permanent := s.permanent()
		s.put(t, r)
		s.withEnviron("SHOPIFY_ACCESS_TOKEN="+permanent.Reveal()).must(t, exitOK, "", append(migrate[:2:2], "--yes"), "Migrated.")
		s.migrated(t, permanent)
	}
}
