package postgres

import (
	"embed"
	"testing"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

//go:embed testdata
var testdata embed.FS

// layouts are those of apps.
var layouts = []string{pgstore.LayoutPrisma, pgstore.LayoutShopify, pgstore.LayoutRails}

// appDatabase is one in which the app's table is and nothing else.
func appDatabase(t *testing.T, layout string) (socket string) {
	t.Helper()
	socket, _ = database(t)
	makeTable(t, socket, layout)
	return socket
}

// makeTable makes the table that an app of a layout has.
func makeTable(t *testing.T, socket, layout string) {
	t.Helper()
	made, err := testdata.ReadFile("testdata/" + layout + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	sql(t, socket, string(made))
}

func TestLayoutsConform(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
				url, fitter := appDatabase(t, layout), &storetest.Fitter{Most: 255}
				return func() token.Backend { return fitter.Backend(open(t, url, layout)) }
			})
		})
	}
}
