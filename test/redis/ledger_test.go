package redis

import (
	"math"
	"testing"
	"time"

	"evergate/internal/pace"
	"evergate/internal/token"
	"evergate/test/process"
)

func ledgerOf(t testing.TB, url, name string) pace.Ledger {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, url).Ledger(shop)
}

func account(t *testing.T, l pace.Ledger, api pace.API, e pace.Entry) pace.Balance {
	t.Helper()
	e.Size, e.Rate = 40, 0.001 // as good as nothing leaks while the test runs
	b, err := l.Account(t.Context(), api, e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTheLedger goes through what can be entered, at one server and in a Cluster, from two processes.
func TestTheLedger(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]func() string{
		"alone":   func() string { return "redis://" + start(t).address() },
		"cluster": func() string { return "redis://" + startCluster(t, 0)[0].address() },
	} {
		url := url()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := ledgerOf(t, url, "acme"), ledgerOf(t, url, "acme")
			near := func(got pace.Balance, want pace.Balance) {
				t.Helper()
				if got.Promised != want.Promised || math.Abs(got.Lent-want.Lent) > 0.01 || math.Abs(got.Free-want.Free) > 0.1 || math.Abs(got.Returned-want.Returned) > 0.01 {
					t.Errorf("%+v, want %+v", got, want)
				}
			}
			near(account(t, a, pace.REST, pace.Entry{}), pace.Balance{Promised: true, Free: 40})
			near(account(t, a, pace.REST, pace.Entry{Spent: 10}), pace.Balance{Promised: true, Free: 30})
			near(account(t, b, pace.REST, pace.Entry{Need: 5, Extra: 2}), pace.Balance{Promised: true, Lent: 2, Free: 23})
			near(account(t, a, pace.REST, pace.Entry{Spent: -4}), pace.Balance{Promised: true, Free: 27, Returned: 4})
			near(account(t, b, pace.REST, pace.Entry{Full: 20}), pace.Balance{Promised: true, Free: 20, Returned: 4})
			near(account(t, b, pace.REST, pace.Entry{Full: 10, Need: 19.5, Extra: 2}), pace.Balance{Promised: true, Free: 0.5, Returned: 4})
			// What does not fit would be due in 500 s, and that is too late for anybody.
			late := account(t, a, pace.REST, pace.Entry{Need: 1, Extra: 2})
			near(late, pace.Balance{Free: 0.5, Returned: 4})
			if late.Due < 400*time.Second || late.Due > 600*time.Second {
				t.Errorf("due in %s", late.Due)
			}
			near(account(t, a, pace.REST, pace.Entry{Spent: -100}), pace.Balance{Promised: true, Free: 40, Returned: 104})
			near(account(t, a, pace.GraphQL, pace.Entry{}), pace.Balance{Promised: true, Free: 40})
			near(account(t, ledgerOf(t, url, "beta"), pace.REST, pace.Entry{}), pace.Balance{Promised: true, Free: 40})
		})
	}
}

// TestPromisesAreInOrder: each is due after the one before, by what it needs.
func TestPromisesAreInOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	l := ledgerOf(t, "redis://"+s.address(), "acme")
	e := pace.Entry{Size: 40, Rate: 20, Need: 10}
	for i, due := range []time.Duration{0, 0, 0, 0, 500 * time.Millisecond, time.Second, 1500 * time.Millisecond} {
		b, err := l.Account(t.Context(), pace.REST, e)
		if err != nil || !b.Promised || b.Due > due || b.Due < due-300*time.Millisecond {
			t.Errorf("promise %d is due in %s, %v, want %s", i, b.Due, err, due)
		}
	}
	if ttl, err := time.ParseDuration(s.do(t, "PTTL", "evergate:pace:{acme.myshopify.com}:rest") + "ms"); err != nil || ttl < time.Minute || ttl > 70*time.Second {
		t.Errorf("the model stays for %s, %v", ttl, err)
	}
	s.Kill()
	process.Eventually(t, func() error {
		_, err := l.Account(t.Context(), pace.REST, e)
		if err != nil {
			return nil
		}
		t.Error("a server that is dead answers")
		return nil
	})
}
