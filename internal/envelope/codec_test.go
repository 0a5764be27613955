package envelope

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

// decodeErrors are all that decode may say, and each is a constant.
var decodeErrors = []error{ErrDamaged, errNewer, errKey, errSeal, errShop}

// key returns the key that consists of one letter.
func key(letter string) token.Secret { return token.NewSecret(strings.Repeat(letter, KeySize)) }

func plain() Codec { return Codec{Shop: storetest.Shop()} }

func sealed(letter string) Codec {
	return Codec{Shop: storetest.Shop(), Keys: Keys{Current: key(letter)}}
}

func encoded(t testing.TB, c Codec, r token.Record) []byte {
	t.Helper()
	b, err := c.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

//go:embed testdata/sealed-1.json
var sealedOne []byte

// What was written by an earlier version of Evergate stays readable.
func TestFormatOneIsReadable(t *testing.T) {
	t.Parallel()
	const open = `{"evergate":1,"nonce":"n","record":{"shop":"acme.myshopify.com","client_id":"id","grant":"offline","current":{"access":"shpat_1","scopes":["read_products"],` +
		`"issued":"2026-11-01T02:03:04.000000005Z","life_ns":3600000000000,"refresh":"shprt_1","refresh_expires":"2027-01-30T02:03:04Z"},` +
		`"previous":{"refresh":"shprt_0","expires":"2027-01-30T01:03:04Z","first_used":"2026-11-01T02:03:04Z","tried":true},` +
		`"attempt":{"fingerprint":"f","started":"2026-11-01T03:03:04Z"},"original":"shpat_0","reauthorize":{"since":"2026-11-01T04:03:04Z","reason":{"base64":"/w=="}}}}`
	at := time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC)
	want := token.Record{
		Shop: "acme.myshopify.com", ClientID: "id", Grant: "offline", Original: token.NewSecret("shpat_0"),
		Current: token.Pair{
			Token:   token.Token{Access: token.NewSecret("shpat_1"), Scopes: []string{"read_products"}, Issued: at.Add(5), Life: time.Hour},
			Refresh: token.NewSecret("shprt_1"), RefreshExpires: at.AddDate(0, 0, 90),
		},
		Previous:    &token.Previous{Refresh: token.NewSecret("shprt_0"), Expires: at.AddDate(0, 0, 90).Add(-time.Hour), FirstUsed: at, Tried: true},
		Attempt:     &token.Attempt{Fingerprint: "f", Started: at.Add(time.Hour)},
		Reauthorize: &token.Reauthorize{Since: at.Add(2 * time.Hour), Reason: "\xff"},
	}
	for name, b := range map[string][]byte{"open": []byte(open), "sealed": sealedOne} {
		if got, err := sealed("k").Decode(b); err != nil || !storetest.Equal(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	_, record, _ := strings.Cut(open, `"record":`)
	if got := encoded(t, plain(), want); !strings.HasSuffix(string(got), record+"\n") {
		t.Errorf("is now written as %s", got)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Codec{"open": plain(), "sealed": sealed("k")} {
		whole := bytes.TrimSpace(encoded(t, c, storetest.Named("shpat_1")))
		for n := range whole {
			if _, err := c.Decode(whole[:n]); err != ErrDamaged { //nolint:errorlint // it is this very value
				t.Fatalf("%s, cut to %d of %d bytes: %v", name, n, len(whole), err)
			}
		}
	}
	c := sealed("k")
	var e sealedForm
	if err := json.Unmarshal(encoded(t, c, storetest.Named("shpat_1")), &e); err != nil {
		t.Fatal(err)
	}
	for i := range e.Sealed {
		altered := e
		altered.Sealed = bytes.Clone(e.Sealed)
		altered.Sealed[i] ^= 1
		if _, err := c.open(altered); err != errSeal { //nolint:errorlint // it is this very value
			t.Fatalf("byte %d altered: %v", i, err)
		}
	}
}

func TestWhatCannotBeUsedIsRefusedForWhatItIs(t *testing.T) {
	t.Parallel()
	other := Codec{Shop: shopOf(t, "other"), Keys: Keys{Current: key("k")}}
	for name, tc := range map[string]struct {
		by   Codec
		b    string
		want error
	}{
		"nothing":             {plain(), "", ErrDamaged},
		"zeros":               {plain(), string(make([]byte, 512)), ErrDamaged},
		"no_envelope":         {plain(), "{}", ErrDamaged},
		"no_record":           {plain(), `{"evergate":1}`, ErrDamaged},
		"null_record":         {plain(), `{"evergate":1,"record":null}`, ErrDamaged},
		"empty_record":        {plain(), `{"evergate":1,"record":{}}`, ErrDamaged},
		"version_zero":        {plain(), `{"evergate":0}`, ErrDamaged},
		"negative_version":    {plain(), `{"evergate":-1}`, ErrDamaged},
		"both":                {sealed("k"), `{"evergate":1,"record":{"shop":"acme.myshopify.com"},"key":"x","sealed":"AAAA"}`, ErrDamaged},
		"newer":               {plain(), `{"evergate":2,"record":7,"sealed":{}}`, errNewer},
		"much_newer":          {plain(), `{"evergate":2000000000}`, errNewer},
		"two":                 {plain(), string(encoded(t, plain(), storetest.Named("a"))) + "{}", ErrDamaged},
		"year_out_of_range":   {plain(), `{"evergate":1,"record":{"shop":"acme.myshopify.com","current":{"issued":"0000-01-01T00:00:00+01:00"}}}`, ErrDamaged},
		"no_key":              {plain(), string(encoded(t, sealed("k"), storetest.Named("a"))), errKey},
		"wrong_key":           {sealed("j"), string(encoded(t, sealed("k"), storetest.Named("a"))), errKey},
		"sealed_for_another":  {other, string(encoded(t, sealed("k"), storetest.Named("a"))), errSeal},
		"of_another":          {other, string(encoded(t, plain(), storetest.Named("a"))), errShop},
		"sealed_under_no_key": {sealed("k"), `{"evergate":1,"sealed":"AAAA"}`, errKey},
		"sealed_too_short":    {sealed("k"), `{"evergate":1,"key":"` + keyID(key("k")) + `","sealed":"AAAA"}`, errSeal},
	} {
		if _, err := tc.by.Decode([]byte(tc.b)); err != tc.want { //nolint:errorlint // it is this very value
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

// A key id that is rewritten in the header does not make another key's record ours.
func TestSealCoversTheHeader(t *testing.T) {
	t.Parallel()
	b := encoded(t, sealed("k"), storetest.Named("a"))
	b = bytes.Replace(b, []byte(keyID(key("k"))), []byte(keyID(key("j"))), 1)
	if _, err := sealed("j").Decode(b); err != errSeal { //nolint:errorlint // it is this very value
		t.Errorf("%v, want %v", err, errSeal)
	}
	if !bytes.Contains(sealed("k").bound("id"), []byte("id/acme.myshopify.com")) {
		t.Error("the seal is not bound to the key's id and the shop")
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	r := storetest.Named("shpat_1")
	between := Codec{Shop: storetest.Shop(), Keys: Keys{Current: key("j"), Previous: key("k")}}
	for name, before := range map[string]Codec{"from_none": plain(), "from_another": sealed("k"), "from_the_same": sealed("j")} {
		got, err := between.Decode(encoded(t, before, r))
		if err != nil || !storetest.Equal(got, r) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	after := encoded(t, between, r)
	if _, err := sealed("j").Decode(after); err != nil {
		t.Errorf("with the current key alone: %v", err)
	}
	if _, err := sealed("k").Decode(after); err == nil {
		t.Error("the previous key still encrypts")
	}
	if bytes.Contains(after, []byte("shpat_1")) || bytes.Contains(after, []byte("acme")) {
		t.Errorf("something can be read: %s", after)
	}
}

func TestRecordThatCouldNotBeReadBackIsNotWritten(t *testing.T) {
	t.Parallel()
	big, late := storetest.Named(strings.Repeat("x", MaxSize)), storetest.Named("a")
	late.Current.Token.Issued = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, r := range map[string]token.Record{"big": big, "late": late} {
		if _, err := plain().Encode(r); err == nil || len(err.Error()) > 200 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range []Codec{plain(), sealed("k"), sealed("j")} {
		f.Add(encoded(f, c, storetest.Named("shpat_1")))
	}
	for _, seed := range []string{
		"", "{}", "null", `{"evergate":2}`, `{"evergate":1e0,"record":{}}`, `{"EVERGATE":1,"Record":{"shop":"acme.myshopify.com","SHOP":"x"}}`,
		`{"evergate":1,"record":{"shop":{"base64":"YWNtZS5teXNob3BpZnkuY29t"},"current":{"scopes":[],"life_ns":-1,"issued":"2026-02-29T24:00:00+23:59"}}}`,
		`{"evergate":1,"record":{"shop":"acme.myshopify.com","current":{"scopes":[null],"access":null},"previous":{},"attempt":{},"reauthorize":{"since":null}}}`,
		`{"evergate":1,"record":{"shop":"acme.myshopify.com","current":{"issued":"9999-12-31T23:59:59.999999999-23:59"}}}`, "{\"evergate\":1,\"record\":{\"shop\":\"acme.myshopify.com\",\"grant\":\"\xff\"}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > MaxSize/16 {
			return // escaped, it might become too large to be written
		}
		c := sealed("k")
		r, err := c.Decode(b)
		if err != nil {
			// One of a few constants, so it cannot contain anything of b.
			if !slices.Contains(decodeErrors, err) {
				t.Fatalf("%v is not of the list", err)
			}
			return
		}
		for _, c := range []Codec{c, plain()} {
			again, err := c.Decode(encoded(t, c, r))
			if err != nil || !storetest.Equal(again, r) {
				t.Fatalf("%+v becomes %+v, %v", r, again, err)
			}
		}
	})
}

func shopOf(t *testing.T, name string) token.Shop {
	t.Helper()
	shop, err := token.ParseShop(name)
	if err != nil {
		t.Fatal(err)
	}
	return shop
}
