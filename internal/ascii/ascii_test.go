package ascii

import (
	"strconv"
	"strings"
	"testing"
)

func TestOnlyLettersOfASCIIAreFolded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"Host", "hOST", true},
		{"host", "hosts", false},
		{"@[`{", "`{@[", false}, // the neighbours of the letters are 32 apart as well
		{"@", "`", false},
		{"[", "{", false},
		{"shop", "\u017fhop", false}, // a long s
		{"k", "\u212a", false},       // the Kelvin sign
		{"\xc3\x84", "\xc3\xa4", false},
	} {
		if EqualFold(c.a, c.b) != c.want || EqualFold([]byte(c.b), c.a) != c.want {
			t.Errorf("%q and %q: want %t", c.a, c.b, c.want)
		}
	}
}

func TestASuffixIsFoldedToo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s, suffix string
		want      bool
	}{
		{"a.MyShopify.com", ".myshopify.com", true},
		{"myshopify.com", ".myshopify.com", false},
		{"a.myshopify.com.", ".myshopify.com", false},
		{"x", "", true},
	} {
		if HasSuffixFold(c.s, c.suffix) != c.want {
			t.Errorf("%q ends in %q: want %t", c.s, c.suffix, c.want)
		}
	}
}

func TestHostNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"localhost": true, "a.b": true, "A-1_2.example": true,
		"": false, ".": false, ".a": false, "a.": false, "a..b": false, "a b": false, "a:1": false, "a/b": false, "\u017f": false, "a\x00": false,
	} {
		if IsHostName(name) != want {
			t.Errorf("%q: want %t", name, want)
		}
	}
}

func TestHexadecimalDigitsAreThoseOfStrconv(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		c := byte(i)
		n, err := strconv.ParseUint(string([]byte{c}), 16, 8)
		if IsHex(c) != (err == nil) {
			t.Errorf("%q: IsHex is %t", c, IsHex(c))
		}
		if err == nil && uint64(Unhex(c)) != n {
			t.Errorf("%q: %d", c, Unhex(c))
		}
	}
}

func TestComparingAllocatesNothing(t *testing.T) {
	a, b := []byte("X-Shopify-Access-Token"), "x-shopify-access-token"
	if n := testing.AllocsPerRun(100, func() {
		if !EqualFold(a, b) || !HasSuffixFold(b, "TOKEN") {
			t.Error("not equal")
		}
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// Of ASCII strings.EqualFold says the same; of anything else only equal bytes are equal.
func FuzzEqualFold(f *testing.F) {
	f.Add("Host", "hOST")
	f.Add("k", "\u212a")
	f.Add("@", "`")
	f.Add("\xff", "\xdf")
	f.Fuzz(func(t *testing.T, a, b string) {
		isASCII := func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
		}
		got := EqualFold(a, b)
		if isASCII(a) && isASCII(b) && got != strings.EqualFold(a, b) {
			t.Errorf("%q and %q: %t", a, b, got)
		}
		if got && isASCII(a) != isASCII(b) {
			t.Errorf("%q passes for %q", a, b)
		}
		if got != EqualFold(b, a) {
			t.Errorf("%q and %q: the order matters", a, b)
		}
	})
}
