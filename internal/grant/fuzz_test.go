package grant

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"evergate/internal/shopify"
	"evergate/internal/token"
)

func FuzzParseAnswer(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"access_token":"`, `","scope":"read_products,write_orders","expires_in":86399}`}, {`{"access_token":"x","scope":"`, `","expires_in":"1e3"}`},
		{"", ""}, {`{"access_token":"x","expires_in":1e400,"`, `":0}`}, {`{"access_token":"\u0000`, `"}`}, {"<html>", "</html>"}, {"[", "]"}, {`{"ACCESS_TOKEN":"`, `"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		a, err := parseAnswer([]byte(before + leaked + after))
		if err != nil {
			if !errors.Is(err, errEmpty) && !errors.Is(err, errNotJSON) && !errors.Is(err, errNoAccess) || strings.Contains(err.Error(), leaked) {
				t.Fatalf("%v", err)
			}
			return
		}
		access := a.access.Reveal()
		if access == "" || strings.ContainsFunc(access, func(r rune) bool { return r <= ' ' || r > '~' }) {
			t.Fatalf("%q cannot travel in a header", access)
		}
		tok := a.expiring(longestClientCredentials)
		if tok.Life < time.Second || tok.Life > 25*time.Hour || tok.Assumed && tok.Life != assumedLife || tok.Assumed != (a.expiresIn == 0) {
			t.Fatalf("life %v, assumed %t, of %v", tok.Life, tok.Assumed, a.expiresIn)
		}
		for _, scope := range tok.Scopes {
			if scope == "" || strings.ContainsAny(scope, ", ") {
				t.Fatalf("scope %q", scope)
			}
		}
	})
}

func FuzzParseFailure(f *testing.F) {
	for _, seed := range []struct {
		status                            int
		contentType, before, after, moved string
	}{
		{400, "text/html", page("400 - Oauth error app_not_installed", "Oauth error app_not_installed: "), "", ""},
		{400, "application/json", `{"error":"invalid_client","error_description":"`, `"}`, ""},
		{400, "application/json", `{"error":"`, `"}`, ""},
		{400, "", "Oauth error ", ": x", ""}, {400, "text/html", "<title>", "</title>", ""}, {401, "", `{"errors":"Oauth error `, `"}`, ""},
		{301, "", "", "", "https://user:pw@elsewhere.test:1/" + leaked}, {302, "", "", "", "//%41\n"}, {529, "text/plain", "error code: ", "", ""},
	} {
		f.Add(seed.status, seed.contentType, seed.before, seed.after, seed.moved)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, before, after, moved string) {
		err := endpoint(t, nil).failure(&shopify.Answer{
			Status: status, Body: []byte(before + leaked + after),
			Header: http.Header{"Content-Type": {contentType}, "Location": {moved}},
		})
		var e *EndpointError
		if !errors.As(err, &e) || e.Status != status {
			t.Fatalf("%v", err)
		}
		decisions := 0
		for _, d := range []error{token.ErrTransient, token.ErrConfig, token.ErrReauthorize} {
			if errors.Is(err, d) {
				decisions++
			}
		}
		message := err.Error()
		if decisions != 1 || e.Err.Remedy == "" || len(message) > 1500 || strings.ContainsFunc(message, unicode.IsControl) {
			t.Fatalf("%d decisions, %d bytes: %q", decisions, len(message), message)
		}
		if strings.Contains(message, leaked) && !strings.Contains(moved, leaked) {
			t.Fatalf("the body is in the error: %s", message)
		}
		if strings.Trim(e.Code, "abcdefghijklmnopqrstuvwxyz_") != "" || len(e.Code) > 64 {
			t.Fatalf("code %q", e.Code)
		}
	})
}
