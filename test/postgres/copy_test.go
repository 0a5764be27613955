package postgres

import (
	"fmt"
	"strings"
	"testing"

	"evergate/internal/pgstore"
	"evergate/internal/store/storetest"
	"evergate/test/process"
)

// TestGrantsAreCopiedBetweenTheTablesOfADatabase has them move into the app's own table, and back out of it into another database.
func TestGrantsAreCopiedBetweenTheTablesOfADatabase(t *testing.T) {
	t.Parallel()
	const key = "EVERGATE_STORE_KEY=6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b" // that of keys
	app := appDatabase(t, pgstore.LayoutPrisma)
	other, _ := database(t)
	record := storetest.Named("shpat_0123456789abcdef")
	s, err := open(t, app, "").Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "", record); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		environ, args []string
		says          string
	}{
		{[]string{"EVERGATE_STORE=" + app}, []string{"--to", app, "--to-layout", "prisma"}, "with EVERGATE_STORE_LAYOUT=prisma,"},
		{[]string{"EVERGATE_STORE=" + app, "EVERGATE_STORE_LAYOUT=prisma"}, []string{"--to", other}, "without EVERGATE_STORE_LAYOUT,"},
	} {
		out, err := process.Command(t, binary(t), append(c.environ, key), append([]string{"store", "copy"}, c.args...)...).CombinedOutput() // both: a report on the one, what is wrong on the other
		if err != nil || !strings.Contains(string(out), "1 carried into") || !strings.Contains(string(out), c.says) {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if rows := sql(t, app, fmt.Sprintf(appSQL[pgstore.LayoutPrisma].get, storetest.Shop().Domain())); len(rows) != 1 || rows[0][0] != record.Current.Token.Access.Reveal() {
		t.Errorf("the app finds %v", rows)
	}
	s, err = open(t, other, "").Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	if r, _, err := s.Load(t.Context()); err != nil || !r.Current.Refresh.Equal(record.Current.Refresh) {
		t.Errorf("what came back: %v", err)
	}
}
