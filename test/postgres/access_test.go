package postgres

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/test/pgserver"
)

// as is a URL for another user, over the socket.
func as(database, user string) string {
	return strings.Replace(database, "user=postgres", "user="+user, 1)
}

// Where the user may not make tables, the error has what an administrator has to run, and that is enough.
func TestTheErrorHasTheSQLToRun(t *testing.T) {
	t.Parallel()
	for _, layout := range append([]string{pgstore.LayoutOwn}, layouts...) {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			var admin string
			if layout == pgstore.LayoutOwn {
				admin, _ = database(t)
			} else {
				admin = appDatabase(t, layout)
			}
			user := "nobody_" + strings.ReplaceAll(layout, "-", "_")
			sql(t, admin, "CREATE ROLE "+user+" LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
			b := open(t, as(admin, user), layout)
			s, err := b.Shop(storetest.Shop())
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = s.Load(t.Context())
			if err == nil {
				t.Fatal("it may")
			}
			_, run, found := strings.Cut(err.Error(), "have somebody who may run: ")
			if !found {
				t.Fatalf("%v", err)
			}
			if found := b.Check(t.Context()); len(found) == 0 || !found[0].Loses {
				t.Errorf("check finds %v", found)
			}
			sql(t, admin, run)
			handle, err := s.Swap(t.Context(), "", storetest.Named("shpat_1"))
			if err == nil {
				_, err = s.Swap(t.Context(), handle, storetest.Named("shpat_2"))
			}
			if err != nil {
				t.Errorf("after that: %v", err)
			}
			release, err := s.Lease(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			release()
			for _, f := range b.Check(t.Context()) {
				if f.Loses {
					t.Errorf("%s: %s", f.Text, f.Do)
				}
			}
		})
	}
}

func TestCheckFindsWhatLoses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ before, says string }{
		"unlogged":  {"ALTER TABLE evergate_grants SET UNLOGGED", "unlogged"},
		"read_only": {"DO $$BEGIN EXECUTE 'ALTER DATABASE ' || quote_ident(current_database()) || ' SET default_transaction_read_only = on'; END$$", "read-only"},
		"no_update": {"CREATE ROLE reader LOGIN; GRANT SELECT, INSERT ON evergate_grants TO reader; GRANT ALL ON evergate_leases TO reader", "UPDATE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, _ := database(t)
			b := open(t, u, "")
			if found := b.Check(t.Context()); len(found) != 0 {
				t.Fatalf("found in an empty database: %v", found)
			}
			sql(t, u, tc.before)
			if name == "no_update" {
				u = as(u, "reader")
			}
			found := open(t, u, "").Check(t.Context())
			if len(found) != 1 || !found[0].Loses || !strings.Contains(found[0].Text, tc.says) || found[0].Do == "" {
				t.Errorf("%+v", found)
			}
		})
	}
}

func TestNoErrorHasThePassword(t *testing.T) {
	t.Parallel()
	_, tcp := database(t)
	u, err := url.Parse(tcp)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(u *url.URL){
		"right_password_no_database": func(u *url.URL) { u.Path = "/none" },
		"wrong_password":             func(u *url.URL) { u.User = url.UserPassword("postgres", "hunter2") },
		"nobody_listens":             func(u *url.URL) { u.Host = "127.0.0.1:1" },
		"no_tls_there":               func(u *url.URL) { u.RawQuery = "sslmode=require" },
		"password_as_parameter":      func(u *url.URL) { u.User = url.User("postgres"); u.RawQuery = "sslmode=disable&password=hunter2" },
	} {
		v := *u
		change(&v)
		s, err := open(t, v.String(), "").Shop(storetest.Shop())
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Load(t.Context())
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, secret := range []string{"hunter2", pgserver.Password, url.QueryEscape(pgserver.Password), "pa55"} {
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), secret) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), ": ") {
			t.Errorf("%s: %q", name, err)
		}
		t.Log(err)
	}
}
