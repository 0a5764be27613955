package postgres

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
	"evergate/test/process"
)

// modules are the packages of package.json, with Prisma's client generated.
var modules = sync.OnceValues(func() (string, error) {
	made := filepath.Join(modulesDir, ".prisma", "client", "default.js")
	if _, err := os.Stat(made); err == nil {
		return modulesDir, nil
	}
	schema, err := testdata.ReadFile("testdata/schema.prisma")
	if err != nil {
		return "", err
	}
	path := filepath.Join(filepath.Dir(modulesDir), "schema.prisma")
	if err := os.WriteFile(path, schema, 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("node", filepath.Join(modulesDir, "prisma", "build", "index.js"), "generate", "--schema", path)
	cmd.Dir = filepath.Dir(modulesDir)
	// Generating needs no engine; that there is a program keeps it from being downloaded.
	cmd.Env = append(os.Environ(), "PRISMA_SCHEMA_ENGINE_BINARY=/bin/true", "CHECKPOINT_DISABLE=1", "PRISMA_HIDE_UPDATE_MESSAGE=1", "DATABASE_URL=postgres://localhost/none")
	if out, err := cmd.CombinedOutput(); err != nil { // both: it says there what is wrong
		return "", errors.New(string(out))
	}
	return modulesDir, nil
})

var modulesDir string

// session is what an app's store says of one.
type session struct {
	Ready, Found, Active    bool
	Access, Refresh         string
	Expires, RefreshExpires int64
	Error                   string
}

// app is one that runs.
type app struct {
	in  io.Writer
	out *bufio.Scanner
}

var installing sync.Mutex

// startApp runs an app's store of sessions on a database.
func startApp(t *testing.T, layout, url string) *app {
	t.Helper()
	installing.Lock()
	modulesDir = process.NodeModules(t, "evergate-postgres-test")
	dir, err := modules()
	installing.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	program, err := testdata.ReadFile("testdata/app.mjs")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "app.mjs"), program, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(home, "node_modules")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "app.mjs", layout, url)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "DATABASE_URL="+url)
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("the app: %v", err)
		}
		if t.Failed() {
			t.Log(said.String())
		}
	})
	a := &app{in, bufio.NewScanner(out)}
	if got := a.answer(t); !got.Ready {
		t.Fatalf("the app does not start: %+v: %s", got, said.String())
	}
	return a
}

func (a *app) answer(t *testing.T) (s session) {
	t.Helper()
	if !a.out.Scan() {
		t.Fatal("the app has ended")
	}
	if err := json.Unmarshal(a.out.Bytes(), &s); err != nil || s.Error != "" {
		t.Fatalf("the app says %s, %v", a.out.Text(), err)
	}
	return s
}

func (a *app) do(t *testing.T, order map[string]any) session {
	t.Helper()
	order["shop"], order["scope"] = acme, "read_products,write_orders"
	if err := json.NewEncoder(a.in).Encode(order); err != nil {
		t.Fatal(err)
	}
	return a.answer(t)
}

// exchange has the app store what it got for a session token.
func (a *app) exchange(t *testing.T, name string, ends time.Time) {
	t.Helper()
	a.do(t, map[string]any{"order": "store", "access": "shpat_" + name, "refresh": "shprt_" + name, "expires": ends.UnixMilli(), "refreshExpires": ends.AddDate(0, 0, 90).UnixMilli()})
}

func (a *app) load(t *testing.T) session {
	t.Helper()
	return a.do(t, map[string]any{"order": "load"})
}

// databaseForApp is one in which an app finds what it does not make itself: the table of prisma's migration.
func databaseForApp(t *testing.T, layout string) (socket, tcp string) {
	t.Helper()
	socket, tcp = database(t)
	if layout == pgstore.LayoutPrisma {
		makeTable(t, socket, layout)
	}
	return socket, tcp
}

// withApp runs a test beside each of the packages, on a table that the app has made where it makes one.
func withApp(t *testing.T, test func(t *testing.T, a *app, s token.Store)) {
	t.Parallel()
	for _, layout := range []string{pgstore.LayoutPrisma, pgstore.LayoutShopify} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			socket, tcp := databaseForApp(t, layout)
			a := startApp(t, layout, tcp)
			s, err := open(t, socket, layout).Shop(storetest.Shop())
			if err != nil {
				t.Fatal(err)
			}
			test(t, a, s)
		})
	}
}

func TestTheAppItselfReadsWhatIsRenewedAndWritesWhatIsTakenOver(t *testing.T) {
	withApp(t, func(t *testing.T, a *app, s token.Store) {
		if got := a.load(t); got.Found {
			t.Fatalf("the app finds %+v in an empty table", got)
		}
		a.exchange(t, "1", time.Now().Add(4*time.Minute))
		if got := a.load(t); got.Active {
			t.Errorf("the app would not exchange now: %+v", got)
		}
		r, handle, err := s.Load(t.Context())
		if err != nil || r.Current.Refresh.Reveal() != "shprt_1" {
			t.Fatalf("%+v, %v", r, err)
		}
		issued := time.Now()
		r.Current, r.Generation = pair("2", issued), 2
		if handle, err = s.Swap(t.Context(), handle, r); err != nil {
			t.Fatal(err)
		}
		ends := issued.Add(time.Hour).UnixMilli()
		got := a.load(t)
		if !got.Active || got.Access != "shpat_2" || got.Refresh != "shprt_2" || got.Expires > ends || got.Expires < ends-1000 || got.RefreshExpires != issued.AddDate(0, 0, 90).UnixMilli() {
			t.Errorf("the app reads %+v", got)
		}
		a.exchange(t, "3", time.Now().Add(time.Hour))
		if changed, err := s.Changed(t.Context(), handle); err != nil || !changed {
			t.Errorf("the app's exchange is not noticed: %v", err)
		}
		if r, _, err := s.Load(t.Context()); err != nil || r.Current.Refresh.Reveal() != "shprt_3" {
			t.Errorf("%+v, %v", r, err)
		}
		a.do(t, map[string]any{"order": "delete"}) // as after an uninstallation
		if _, _, err := s.Load(t.Context()); !errors.Is(err, token.ErrNotFound) {
			t.Errorf("the app has deleted the session: %v", err)
		}
	})
}

// A grant that Evergate got by itself, where the app had none, is the app's too.
func TestTheAppItselfReadsAFirstGrant(t *testing.T) {
	withApp(t, func(t *testing.T, a *app, s token.Store) {
		r := storetest.Named("")
		r.Current = pair("1", time.Now())
		handle, err := s.Swap(t.Context(), "", r)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.load(t); !got.Active || got.Access != "shpat_1" || got.Refresh != "shprt_1" {
			t.Errorf("the app reads %+v", got)
		}
		a.exchange(t, "2", time.Now().Add(time.Hour))
		if _, err := s.Swap(t.Context(), handle, r); !errors.Is(err, token.ErrConflict) {
			t.Errorf("a renewal over the app's exchange: %v", err)
		}
		if got := a.load(t); got.Access != "shpat_2" {
			t.Errorf("the app's exchange is lost: %+v", got)
		}
	})
}

// Our copy of the table is the one that the package makes.
func TestThePackageMakesTheTableThatIsTested(t *testing.T) {
	t.Parallel()
	const columns = `SELECT column_name, data_type, coalesce(character_maximum_length, 0), is_nullable FROM information_schema.columns WHERE table_name = 'shopify_sessions' ORDER BY 1`
	socket, tcp := database(t)
	startApp(t, pgstore.LayoutShopify, tcp)
	theirs, ours := sql(t, socket, columns), sql(t, appDatabase(t, pgstore.LayoutShopify), columns)
	if !slices.EqualFunc(theirs, ours, slices.Equal) || len(ours) == 0 {
		t.Errorf("the package makes\n%q\nand testdata has\n%q", theirs, ours)
	}
}
