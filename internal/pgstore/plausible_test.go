package pgstore

import (
	"strings"
	"testing"
)

func TestWhatIsATokenOfShopifys(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"shpat_0123456789abcdef0123456789abcdef": true, "shprt_A1-b_2": true, "shpua_x": true, "shptka_0": true, "atkn_0": true, strings.Repeat("0f", 16): true,
		"": false, "shpat_": false, "_x": false, "shpat_x=": false, "Shpat_x": false, "shpat_x y": false, "shpat_x\n": false, "shpatétoken_x": false, strings.Repeat("0f", 17): false,
		strings.Repeat("0F", 16): false, `{"p":"x","h":{}}`: false, "eyJhbGciOiJkaXIifQ..a.b.c": false, "v1.aesgcm256.00.iv_x.c": false, "gAAAAABl_x": false, "toolongprefix_x": false,
	} {
		if got := isTokenLike(s); got != want {
			t.Errorf("%q: %t", s, got)
		}
	}
}
