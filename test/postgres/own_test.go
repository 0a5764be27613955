package postgres

import (
	"strings"
	"testing"

	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

func TestOwnTableConforms(t *testing.T) {
	t.Parallel()
	storetest.RunBackend(t, func(t *testing.T) func() token.Backend {
		url, _ := database(t)
		return func() token.Backend { return open(t, url, "") }
	})
}

// Whoever looks into the table sees which shops there are and when their tokens end, and nothing else.
func TestNothingSecretRestsInClear(t *testing.T) {
	t.Parallel()
	url, _ := database(t)
	b := open(t, url, "")
	s, err := b.Shop(storetest.Shop())
	if err != nil {
		t.Fatal(err)
	}
	r := storetest.Named("shpat_s3cret")
	r.Current.Refresh = token.NewSecret("shprt_s3cret")
	if _, err := s.Swap(t.Context(), "", r); err != nil {
		t.Fatal(err)
	}
	rows := sql(t, url, "SELECT g::text, convert_from(envelope, 'UTF8') FROM evergate_grants g")
	if len(rows) != 1 || !strings.Contains(rows[0][0], storetest.Shop().Domain()) || strings.Contains(strings.Join(rows[0], " "), "s3cret") {
		t.Errorf("%q", rows)
	}
}
