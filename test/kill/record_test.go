//go:build linux

package kill

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/shopsim"
	"evergate/internal/token"
	"evergate/test/process"
)

const otherKey = "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100"

// damage turns a good record into one that cannot be used.
var damages = []struct {
	name, says string
	key        string // that the record is written with; the process has storeKey
	spoil      func([]byte) []byte
}{
	{"truncated", "damaged or cut short: restore it from a backup, or move it away and log in again", "", func(b []byte) []byte { return b[:len(b)/2] }},
	{"empty", "damaged or cut short", "", func([]byte) []byte { return nil }},
	{"zeros", "damaged or cut short", "", func(b []byte) []byte { return make([]byte, len(b)) }},
	{"of_a_newer_version", "a newer Evergate wrote it: upgrade this one", "", func(b []byte) []byte {
		return regexp.MustCompile(`"evergate":\d+`).ReplaceAll(b, []byte(`"evergate":99`))
	}},
	{"of_another_shop", "it belongs to another shop", "", func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(shopsim.DefaultShop), []byte("red-finch.myshopify.com"))
	}},
	{"with_another_key", "neither EVERGATE_STORE_KEY nor EVERGATE_STORE_KEY_PREVIOUS is the key it was written with", otherKey, bytes.Clone},
	{"sealed_and_altered", "was altered, damaged or taken from another shop", storeKey, func(b []byte) []byte {
		i := bytes.Index(b, []byte(`"sealed":"`)) + 30
		b = bytes.Clone(b)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		return b
	}},
}

// spoiled is a shop whose stored record cannot be used, and the good one.
func spoiled(t *testing.T, key string, spoil func([]byte) []byte) (s *shopify, good, bad []byte) {
	t.Helper()
	s = newShopify(t, shopsim.Settings{}, 1)
	if key != "" {
		k, err := envelope.ParseKey(key)
		must(t, err)
		s.keys.Current = k
	}
	s.seed(t)
	good, err := os.ReadFile(s.recordFile())
	must(t, err)
	bad = spoil(good)
	must(t, os.WriteFile(s.recordFile(), bad, 0o600))
	return s, good, bad
}

func TestRecordThatCannotBeUsedIsLeftAloneAndExplained(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s, good, bad := spoiled(t, d.key, d.spoil)
			p := start(t, s.environ("EVERGATE_STORE_KEY="+storeKey, "EVERGATE_TOKEN_WAIT=300ms"))
			for range 2 {
				status, body, err := p.call()
				if err != nil || status != http.StatusServiceUnavailable || !strings.Contains(body, d.says) || !strings.Contains(body, s.recordFile()) {
					t.Errorf("%d %s, %v", status, body, err)
				}
			}
			p.says(t, `"level":"ERROR"`, d.says)
			if r, err := p.status(); err != nil || !strings.Contains(r.LastError, d.says) || r.Ready {
				t.Errorf("%+v, %v", r, err)
			}
			if n := s.Stats().TokenPosts; n != 0 {
				t.Errorf("%d requests for a token: with what?", n)
			}
			if now, err := os.ReadFile(s.recordFile()); err != nil || !bytes.Equal(now, bad) {
				t.Errorf("the file was touched: %v", err)
			}
			if d.key == otherKey {
				return // the good one cannot be read either
			}
			must(t, os.WriteFile(s.recordFile()+".good", good, 0o600))
			must(t, os.Rename(s.recordFile()+".good", s.recordFile()))
			process.Eventually(t, func() error { return served(p) }) // without a restart
		})
	}
}

// With a seed the start itself needs the record, to know whether the seed is still worth
// something. A record that cannot be read must not pass for an absent one.
func TestSeedDoesNotDisplaceARecordThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s, _, bad := spoiled(t, d.key, d.spoil)
			p := start(t, s.environ("EVERGATE_STORE_KEY="+storeKey, "SHOPIFY_REFRESH_TOKEN=shprt_seed"))
			if code := p.Exit(t); code != 1 {
				t.Errorf("exit code %d", code)
			}
			p.says(t, "the grant cannot be begun with SHOPIFY_REFRESH_TOKEN", d.says)
			if now, err := os.ReadFile(s.recordFile()); err != nil || !bytes.Equal(now, bad) || s.Stats().TokenPosts != 0 {
				t.Errorf("the file was touched, or something was sent: %v, %+v", err, s.Stats())
			}
		})
	}
}

// A clock that was wrong when the record was written, or is now.
func TestStoredTokenOfUnknownAgeIsNotTrusted(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"from_the_future": time.Hour, "long_over": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShopify(t, shopsim.Settings{}, 1)
			access, refresh := s.IssuePair("", "")
			s.put(t, token.Pair{
				Token:   token.Token{Access: token.NewSecret(access), Issued: time.Now().Add(off).Round(0), Life: 30 * time.Minute},
				Refresh: token.NewSecret(refresh),
			})
			p := start(t, s.environ())
			p.mustServe(t)
			for _, e := range s.Journal() {
				if e.Token == access {
					t.Error("the stored token was sent")
				}
			}
			if n := s.Stats(); n.Refreshes < 1 || n.DeadRefreshes != 0 {
				t.Errorf("%+v", n)
			}
			if record, _, err := s.open(t).Load(t.Context()); err != nil || time.Since(record.Current.Token.Issued).Abs() > time.Minute {
				t.Errorf("the clock's mistake is still stored: %v, %v", record.Current.Token.Issued, err)
			}
		})
	}
}

func TestTwoProcessesOnOneDirectoryRefreshOncePerLife(t *testing.T) {
	t.Parallel()
	s := newShopify(t, shopsim.Settings{Rotation: shopsim.RotationStrict}, 1) // in which a second refresh would be the end
	s.seed(t)
	a, b := start(t, s.environ()), start(t, s.environ())
	a.mustServe(t)
	b.mustServe(t)
	stopA, stopB := a.traffic(), b.traffic()
	began, first := time.Now(), s.refreshes()
	const lives = 5
	process.Eventually(t, func() error {
		if n := s.refreshes() - first; n < lives {
			return fmt.Errorf("%d refreshes", n)
		}
		return nil
	})
	took := time.Since(began)
	for _, stop := range []func() (int, error){stopA, stopB} {
		if good, bad := stop(); bad != nil || good < 20 {
			t.Errorf("%d requests were served; the first that was not: %v", good, bad)
		}
	}
	if n := s.Stats(); n.DeadRefreshes != 0 || n.Retries != 0 {
		t.Errorf("%+v", n)
	}
	// A token is renewed at 70 % of its life at the earliest. Two processes of which each
	// renews for itself would need half the time.
	if least := (lives - 1) * life * 7 / 10; took < least {
		t.Errorf("%d refreshes in %s, want them to take %s", lives, took, least)
	}
}
