package grant

import (
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"evergate/internal/token"
)

func FuzzParsePair(f *testing.F) {
	for _, seed := range []string{
		pairBody, `{"access_token":"a","refresh_token":"r","expires_in":"1e3","refresh_token_expires_in":-1}`, `{"access_token":"a"}`, `{"access_token":"a","expires_in":1}`,
		`{"access_token":"a","refresh_token":""}`, `{"access_token":"a","REFRESH_TOKEN":"r"}`, `{"access_token":"a","refresh_token":"r","refresh_token":""}`, `{"access_token":"a","refresh_token":"\u0000"}`, "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		a, err := parseAnswer([]byte(body))
		if err != nil {
			return
		}
		a.sent = time.Unix(1_795_305_600, 0)
		p, err := a.pair()
		either, eitherErr := a.pairOrPermanent()
		switch {
		case err == nil && (eitherErr != nil || !reflect.DeepEqual(p, either)):
			t.Fatalf("%+v, but where it may be permanent %+v, %v", p, either, eitherErr)
		case err != nil && (!errors.Is(err, errNoRefresh) || !reflect.DeepEqual(p, token.Pair{})):
			t.Fatalf("%+v, %v", p, err)
		case err == nil && (!isHeaderSafe(p.Refresh.Reveal()) || p.Token.Life < time.Second || p.Token.Life > 366*24*time.Hour):
			t.Fatalf("%+v", p)
		case err == nil && !p.RefreshExpires.IsZero() && (p.RefreshExpires.Before(a.sent.Add(time.Second)) || p.RefreshExpires.After(a.sent.AddDate(1, 0, 2))):
			t.Fatalf("the refresh token ends %v", p.RefreshExpires)
		case err != nil && eitherErr == nil && (either.Token.Expires() || !either.Refresh.Empty() || !either.RefreshExpires.IsZero()):
			t.Fatalf("neither a pair nor permanent: %+v", either)
		}
		// Where no name comes twice, there is no doubt about what was said.
		var members map[string]any
		if json.Unmarshal([]byte(body), &members) != nil {
			t.Fatalf("%q is taken, and no JSON object", body)
		}
		ends, named := 0, 0
		for name, v := range members {
			if strings.EqualFold(name, "refresh_token") || strings.EqualFold(name, "expires_in") {
				named++
				if v != nil {
					ends++
				}
			}
		}
		if permanent := err != nil && eitherErr == nil; permanent && named > 0 && ends == named || !permanent && ends == 0 {
			t.Fatalf("%q is permanent: %t", body, permanent)
		}
	})
}

func FuzzCallback(f *testing.F) {
	for _, p := range []params{
		goodCallback(), goodCallback().with("error", "access_denied"), goodCallback().without("state"), goodCallback().with("shop", "other.myshopify.com"),
		goodCallback().with("a%=b&c", "%26;+ é"), goodCallback().with("timestamp", "1"),
	} {
		for _, encoded := range []bool{false, true} {
			f.Add(p.signed("shpss_old", encoded), false, encoded)
			f.Add(p.query(), true, encoded)
		}
	}
	f.Add("&&=&code&code", true, false)
	shop := regexp.MustCompile(`(?i)\A[a-z0-9][a-z0-9-]*\.myshopify\.com\z`)
	f.Fuzz(func(t *testing.T, query string, sign, encoded bool) {
		want := callbackWant(t)
		// The oracle's own parser: Go's, told that a semicolon separates nothing.
		values, parseErr := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
		if sign && parseErr == nil && !values.Has("hmac") {
			var p params
			for k := range values {
				p = append(p, [2]string{k, values.Get(k)})
			}
			query += "&hmac=" + signature(p, "shpss_new", encoded)
			values, parseErr = url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
		}
		var p params
		once := parseErr == nil
		for k, v := range values {
			once = once && len(v) == 1
			p = append(p, [2]string{k, v[0]})
		}
		isSigned := false
		for _, secret := range []string{"shpss_new", "shpss_old"} {
			for _, encoded := range []bool{false, true} {
				isSigned = isSigned || once && values.Get("hmac") == signature(p, secret, encoded)
			}
		}
		code, err := VerifyCallback(query, want)
		if err == nil {
			if !isSigned || values.Get("state") != want.State || !shop.MatchString(values.Get("shop")) || values.Has("error") || code.Reveal() != values.Get("code") || code.Empty() {
				t.Fatalf("accepted: %q", query)
			}
			return
		}
		if !code.Empty() {
			t.Fatalf("%v together with a code", err)
		}
		if slices.Contains([]error{ErrMalformed, ErrHMAC, ErrState, ErrStale, ErrDeclined}, err) {
			return // a constant, which holds nothing of the query
		}
		if !errors.Is(err, ErrShop) || !isSigned {
			t.Fatalf("%v", err)
		}
		name := strings.ToLower(values.Get("shop"))
		if !shop.MatchString(name) && err.Error() != ErrShop.Error()+": it names none" || len(err.Error()) > 300+len(name) {
			t.Fatalf("%q says too much of %q", err, query)
		}
	})
}
