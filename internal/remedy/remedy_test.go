package remedy

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	missing := &fs.PathError{Op: "open", Path: "/etc/keys", Err: fs.ErrNotExist}
	full := New("make room on "+"/var", "%s cannot be written: %w", "/var/record", errors.New("no space left"))
	for _, c := range []struct {
		err           error
		wrong, remedy string
	}{
		{missing, "open /etc/keys: file does not exist", ""},
		{full, "/var/record cannot be written: no space left", "make room on /var"},
		{fmt.Errorf("the store: %w", full), "the store: /var/record cannot be written: no space left", "make room on /var"},
		{fmt.Errorf("%w; nothing was changed", full), "/var/record cannot be written: no space left: make room on /var; nothing was changed", ""},
	} {
		if wrong, remedy := Split(c.err); wrong != c.wrong || remedy != c.remedy {
			t.Errorf("%v: %q and %q, want %q and %q", c.err, wrong, remedy, c.wrong, c.remedy)
		}
	}
}

func TestErrorIsWhatItWasMadeOf(t *testing.T) {
	cause := errors.New("no space left")
	if err := New("make room", "cannot write: %w", cause); !errors.Is(err, cause) || err.Error() != "cannot write: no space left: make room" {
		t.Errorf("%v", err)
	}
}

func TestACommandNamesTheShopWhereThereAreMany(t *testing.T) {
	if got := Shop("").Command("login"); got != "`evergate login`" {
		t.Error(got)
	}
	if got := ShopOf("acme.myshopify.com").Command("token import"); got != "`evergate token import --shop acme`" {
		t.Error(got)
	}
}

func TestAll(t *testing.T) {
	a, b, c := errors.New("a"), errors.New("b"), errors.New("c")
	if got := All(errors.Join(a, errors.Join(b, nil), c)); !slices.Equal(got, []error{a, b, c}) {
		t.Errorf("%v", got)
	}
	if err := Prefix("x", errors.Join(a, b)); err.Error() != "x: a\nx: b" || !errors.Is(err, b) {
		t.Errorf("%v", err)
	}
	if err := Prefix("x", nil); err != nil {
		t.Errorf("%v", err)
	}
	if got := All(a); !slices.Equal(got, []error{a}) {
		t.Errorf("%v", got)
	}
}
