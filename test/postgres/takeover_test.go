package postgres

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// appSQL is what an app writes and reads, by layout. The access token, the refresh token (with quotes, or NULL), and when they end, in
// seconds since 1970, as SQL.
var appSQL = map[string]struct{ put, get string }{
	pgstore.LayoutPrisma: {
		`INSERT INTO "Session" (id, shop, state, "isOnline", scope, expires, "accessToken", "refreshToken", "refreshTokenExpires")
		VALUES ('offline_%[1]s', '%[1]s', '', false, 'read_products,write_orders', to_timestamp(%[4]s) AT TIME ZONE 'UTC', '%[2]s', %[3]s, to_timestamp(%[5]s) AT TIME ZONE 'UTC')
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, "accessToken" = excluded."accessToken", "refreshToken" = excluded."refreshToken", "refreshTokenExpires" = excluded."refreshTokenExpires"`,
		`SELECT "accessToken", "refreshToken", extract(epoch FROM expires)::bigint, extract(epoch FROM "refreshTokenExpires")::bigint FROM "Session" WHERE id = 'offline_%s'`,
	},
	pgstore.LayoutShopify: {
		`INSERT INTO shopify_sessions (id, shop, state, "isOnline", scope, expires, "accessToken", "refreshToken", "refreshTokenExpires")
		VALUES ('offline_%[1]s', '%[1]s', '', false, 'read_products,write_orders', %[4]s, '%[2]s', %[3]s, %[5]s::bigint * 1000)
		ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, "accessToken" = excluded."accessToken", "refreshToken" = excluded."refreshToken", "refreshTokenExpires" = excluded."refreshTokenExpires"`,
		`SELECT "accessToken", "refreshToken", expires, "refreshTokenExpires" / 1000 FROM shopify_sessions WHERE id = 'offline_%s'`,
	},
	pgstore.LayoutRails: {
		`INSERT INTO shops (shopify_domain, shopify_token, access_scopes, expires_at, refresh_token, refresh_token_expires_at, created_at, updated_at)
		VALUES ('%[1]s', '%[2]s', 'read_products,write_orders', to_timestamp(%[4]s) AT TIME ZONE 'UTC', %[3]s, to_timestamp(%[5]s) AT TIME ZONE 'UTC', now(), now())
		ON CONFLICT (shopify_domain) DO UPDATE SET shopify_token = excluded.shopify_token, expires_at = excluded.expires_at, refresh_token = excluded.refresh_token, refresh_token_expires_at = excluded.refresh_token_expires_at`,
		`SELECT shopify_token, refresh_token, extract(epoch FROM expires_at)::bigint, extract(epoch FROM refresh_token_expires_at)::bigint FROM shops WHERE shopify_domain = '%s'`,
	},
}

// appPuts has the app store a pair of the name, as after a token exchange.
func appPuts(t *testing.T, url, layout, shop, name string, ends time.Time) {
	t.Helper()
	sql(t, url, fmt.Sprintf(appSQL[layout].put, shop, "shpat_"+name, "'shprt_"+name+"'", fmt.Sprint(ends.Unix()), fmt.Sprint(ends.AddDate(0, 0, 90).Unix())))
}

func pair(name string, issued time.Time) token.Pair {
	return token.Pair{
		Token:   token.Token{Access: token.NewSecret("shpat_" + name), Issued: issued, Life: time.Hour, Scopes: []string{"write_orders", "read_products"}},
		Refresh: token.NewSecret("shprt_" + name), RefreshExpires: issued.AddDate(0, 0, 90),
	}
}

func eachLayout(t *testing.T, test func(t *testing.T, url, layout string, s token.Store, b *pgstore.Backend)) {
	t.Parallel()
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			url := appDatabase(t, layout)
			b := open(t, url, layout)
			s, err := b.Shop(storetest.Shop())
			if err != nil {
				t.Fatal(err)
			}
			test(t, url, layout, s, b)
		})
	}
}

var acme = storetest.Shop().Domain()

func TestWhatTheAppHasIsTakenOver(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, _ *pgstore.Backend) {
		ends := time.Now().Add(50 * time.Minute).Truncate(time.Second)
		appPuts(t, url, layout, acme, "1", ends)
		r, handle, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		again, second, err := s.Load(t.Context())
		if err != nil || second != handle || !storetest.Equal(again, r) {
			t.Errorf("read again it is another one: %v", err)
		}
		c := r.Current
		switch {
		case c.Token.Access.Reveal() != "shpat_1" || c.Refresh.Reveal() != "shprt_1":
			t.Error("another pair")
		case !c.Token.Issued.Add(c.Token.Life).Equal(ends) || c.Token.Life != time.Hour || !c.RefreshExpires.Equal(ends.AddDate(0, 0, 90)):
			t.Errorf("issued %s, for %s, to be refreshed until %s", c.Token.Issued, c.Token.Life, c.RefreshExpires)
		case !slices.Equal(c.Token.Scopes, []string{"read_products", "write_orders"}):
			t.Errorf("scopes %q", c.Token.Scopes)
		case r.Shop != acme || r.ClientID == "" || r.Grant != "offline" || r.Epoch == "" || r.Generation != 1 || !strings.HasPrefix(r.Writer, "the app") || r.Previous != nil:
			t.Errorf("%+v", r)
		}
	})
}

func TestTheAppReadsWhatIsRenewed(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, _ *pgstore.Backend) {
		appPuts(t, url, layout, acme, "1", time.Now().Add(10*time.Minute))
		r, handle, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		issued := time.Now().Truncate(time.Second)
		r.Previous = &token.Previous{Refresh: r.Current.Refresh, FirstUsed: issued}
		r.Current, r.Generation = pair("2", issued), 2
		if handle, err = s.Swap(t.Context(), handle, r); err != nil {
			t.Fatal(err)
		}
		want := []string{"shpat_2", "shprt_2", fmt.Sprint(issued.Add(time.Hour).Unix()), fmt.Sprint(issued.AddDate(0, 0, 90).Unix())}
		if rows := sql(t, url, fmt.Sprintf(appSQL[layout].get, acme)); len(rows) != 1 || !slices.Equal(rows[0], want) {
			t.Errorf("%q, want %q", rows, want)
		}
		if got, h, err := s.Load(t.Context()); err != nil || h != handle || !storetest.Equal(got, r) {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// An exchange in the middle of a renewal: the app's pair is the newer one, and the only one that is alive.
func TestAnExchangeByTheAppWins(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, _ *pgstore.Backend) {
		appPuts(t, url, layout, acme, "1", time.Now().Add(10*time.Minute))
		r, handle, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		note := r
		note.Attempt = &token.Attempt{Fingerprint: "f", Started: time.Now()}
		if handle, err = s.Swap(t.Context(), handle, note); err != nil {
			t.Fatal(err)
		}
		appPuts(t, url, layout, acme, "exchanged", time.Now().Add(time.Hour))
		next := r
		next.Current = pair("2", time.Now())
		if _, err := s.Swap(t.Context(), handle, next); !errors.Is(err, token.ErrConflict) {
			t.Fatalf("the renewal is stored over the exchange: %v", err)
		}
		got, after, err := s.Load(t.Context())
		if err != nil || got.Current.Refresh.Reveal() != "shprt_exchanged" || got.Attempt != nil || got.Epoch == r.Epoch {
			t.Fatalf("%+v, %v", got, err)
		}
		if got.Previous != nil {
			t.Error("what the exchange has retired would be tried again")
		}
		next = got
		next.Current = pair("3", time.Now())
		next.Current.Token.Life = 20 * time.Minute
		if _, err := s.Swap(t.Context(), after, next); err != nil {
			t.Errorf("what was taken over cannot be renewed: %v", err)
		}
		appPuts(t, url, layout, acme, "4", time.Now().Add(19*time.Minute))
		if got, _, err := s.Load(t.Context()); err != nil || got.Current.Token.Life != 20*time.Minute {
			t.Errorf("the life is not that of the one before: %+v, %v", got, err)
		}
	})
}

func TestAPermanentTokenDoesNotExpire(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, b *pgstore.Backend) {
		sql(t, url, fmt.Sprintf(appSQL[layout].put, acme, "shpat_0123", "NULL", "NULL", "NULL"))
		r, _, err := s.Load(t.Context())
		if err != nil || r.Current.Token.Expires() || !r.Current.Refresh.Empty() || r.Current.Token.Access.Reveal() != "shpat_0123" {
			t.Errorf("%+v, %v", r, err)
		}
		for shop := range b.Due(t.Context(), time.Now().AddDate(1, 0, 0)) {
			t.Errorf("%s is due", shop)
		}
	})
}

func TestEncryptedColumnsAreRefused(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, b *pgstore.Backend) {
		for _, value := range []string{
			`{"p":"n7J0","h":{"iv":"mg==","at":"zQ=="}}`, "eyJpdiI6IkFBPT0iLCJ2YWx1ZSI6IkJCPT0iLCJtYWMiOiIwMSJ9", "v1.aesgcm256.4d6.iv.c1", "gAAAAABl_z-Q", "U2FsdGVkX19abc",
			"vault:v1:8SDd3WHDOjf7mq69", "9f86d081884c7d659a2feaa0c55ad015:a3bf4f1b2b0b822cd15d6c15b0f00a08", strings.Repeat("0f", 60), "AQICAHh", `\x0a0b`, "-----BEGIN AGE", "two words",
		} {
			for _, as := range []string{"access", "refresh"} {
				access, refresh := "shpat_1", "'"+value+"'"
				if as == "access" {
					access, refresh = value, "'shprt_1'"
				}
				sql(t, url, fmt.Sprintf(appSQL[layout].put, acme, access, refresh, "2000000000", "2000000000"))
				_, _, err := s.Load(t.Context())
				if err == nil || !strings.Contains(err.Error(), "encrypted") || strings.Contains(err.Error(), value) {
					t.Errorf("%s %s: %v", as, value, err)
				}
				if _, err := s.Swap(t.Context(), "", storetest.Named("shpat_2")); err == nil || !strings.Contains(err.Error(), "encrypted") {
					t.Errorf("%s %s is written over: %v", as, value, err)
				}
				for l, err := range b.All(t.Context()) {
					if l.Domain != acme || err == nil {
						t.Errorf("%s %s is listed: %+v, %v", as, value, l, err)
					}
				}
			}
		}
	})
}

func TestAnOldTableIsRefusedByTheColumn(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, b *pgstore.Backend) {
		table, column := map[string]string{pgstore.LayoutPrisma: `"Session"`, pgstore.LayoutShopify: "shopify_sessions", pgstore.LayoutRails: "shops"}[layout], `"refreshToken"`
		if layout == pgstore.LayoutRails {
			column = "refresh_token"
		}
		appPuts(t, url, layout, acme, "1", time.Now().Add(time.Hour))
		if _, _, err := s.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		sql(t, url, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN %s TO gone", table, column))
		if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), strings.Trim(column, `"`)) || !strings.Contains(err.Error(), "run") {
			t.Errorf("without the column: %v", err)
		}
		if found := b.Check(t.Context()); len(found) == 0 || !found[0].Loses {
			t.Errorf("check finds %v", found)
		}
		sql(t, url, fmt.Sprintf("ALTER TABLE %s RENAME COLUMN gone TO %s", table, column))
		if _, _, err := s.Load(t.Context()); err != nil {
			t.Errorf("after the migration: %v", err)
		}
		sql(t, url, fmt.Sprintf("DROP TABLE %s", table))
		if _, _, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "is not there") {
			t.Errorf("without the table: %v", err)
		}
	})
}

// Nobody tells of what the app writes, so it is looked for.
func TestWhatTheAppWritesIsNoticed(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, _ token.Store, b *pgstore.Backend) {
		told := make(chan string, 100)
		go b.Watch(t.Context(), func(domain string) { told <- domain })
		appPuts(t, url, layout, "other.myshopify.com", "1", time.Now().Add(time.Hour))
		appPuts(t, url, layout, acme, "1", time.Now().Add(time.Hour))
		for <-told != "" {
		}
		others, written := 0, 0
		for range 3 {
			for domain := ""; domain != acme; {
				if domain == "" { // everything is to be read, which the last writing is a part of; it may be said twice at the beginning
					if written++; written > 4 {
						t.Fatalf("everything was to be read %d times too often", written-3)
					}
					appPuts(t, url, layout, acme, fmt.Sprint("again", written), time.Now().Add(time.Hour))
				}
				select {
				case domain = <-told:
					if domain == "other.myshopify.com" {
						others++
					}
				case <-time.After(20 * time.Second):
					t.Fatal("nobody is told")
				}
			}
		}
		if others > 1 {
			t.Errorf("told %d times of a row that was written once", others)
		}
	})
}

func TestOnlyWhoseTokenEndsIsDue(t *testing.T) {
	eachLayout(t, func(t *testing.T, url, layout string, s token.Store, b *pgstore.Backend) {
		now := time.Now()
		for i, name := range []string{"third", "first", "second", "later"} {
			appPuts(t, url, layout, name+".myshopify.com", name, now.Add([]time.Duration{30, 10, 20, 59}[i]*time.Minute))
		}
		due := func() (all []string) {
			for shop, err := range b.Due(t.Context(), now.Add(40*time.Minute)) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, strings.TrimSuffix(shop, ".myshopify.com"))
			}
			return all
		}
		if got := due(); !slices.Equal(got, []string{"first", "second", "third"}) {
			t.Errorf("due are %q", got)
		}
		appPuts(t, url, layout, acme, "1", now)
		r, handle, err := s.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := due(); len(got) != 4 || got[0] != "acme" {
			t.Errorf("due are %q", got)
		}
		r.Reauthorize = &token.Reauthorize{Since: now, Reason: "refused"}
		if _, err := s.Swap(t.Context(), handle, r); err != nil {
			t.Fatal(err)
		}
		if got := due(); len(got) != 3 {
			t.Errorf("one for which a person has to act is due: %q", got)
		}
		appPuts(t, url, layout, acme, "2", now)
		if got := due(); len(got) != 4 {
			t.Errorf("one that the app has authorised anew is not due: %q", got)
		}
	})
}
