package sidecar

import (
	"testing"
	"time"

	"evergate/internal/admin"
)

func TestAShopThatIsOnlyStoredIsFoundByItsName(t *testing.T) {
	t.Parallel()
	r := newFleetRig(t, []string{"listed", "stored"}, "stored: true\nshops: {listed: {}}\n")
	r.store(t, "stored", time.Minute)
	for search, want := range map[string]string{
		"": "listed.myshopify.com", "stored": "stored.myshopify.com", "Stored.MyShopify.com": "stored.myshopify.com", "store": "", "nobody": "", "listed": "listed.myshopify.com",
	} {
		page, more := shownShops{r.many}.List("", search, 100)
		got := ""
		for _, st := range page {
			if got += st.Shop; st.State != admin.Idle {
				t.Errorf("%q: %+v", search, st)
			}
		}
		if got != want || more {
			t.Errorf("%q: %q, want %q", search, got, want)
		}
	}
	if r.many.fleet.Len() != 0 {
		t.Error("a look has made a shop active")
	}
	if page, _ := (shownShops{r.many}).List("stored.myshopify.com", "stored", 100); len(page) != 0 {
		t.Errorf("the page after it: %+v", page)
	}
}
