// Package denialtest is for tests of what says no.
package denialtest

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"evergate/internal/denial"
)

// statuses are those that each code goes out with; some that are well understood GraphQL also
// go out with 200, in GraphQL's own shape.
var statuses = map[string]int{
	denial.CodeAmbiguousRequest: http.StatusBadRequest,
	denial.CodeAmbiguousPath:    http.StatusBadRequest,
	denial.CodeDeniedPath:       http.StatusForbidden,
	denial.CodeDeniedMethod:     http.StatusForbidden,
	denial.CodeDeniedConnect:    http.StatusForbidden,
	denial.CodeMisdirectedHost:  http.StatusMisdirectedRequest,
	denial.CodeUnknownShop:      http.StatusNotFound,
	denial.CodeCrossSite:        http.StatusForbidden,

	denial.CodeUnauthenticated:  http.StatusForbidden,
	denial.CodeDeniedPeer:       http.StatusForbidden,
	denial.CodeDeniedShop:       http.StatusForbidden,
	denial.CodeReadOnly:         http.StatusForbidden,
	denial.CodeDeniedOperation:  http.StatusForbidden,
	denial.CodeAmbiguousMethod:  http.StatusBadRequest,
	denial.CodeAmbiguousGraphQL: http.StatusBadRequest,
	denial.CodeMalformedGraphQL: http.StatusBadRequest,
	denial.CodeGraphQLTooLarge:  http.StatusRequestEntityTooLarge,
}

// Of is the denial that err is; of no error, the zero one. Any other error fails the test.
func Of(t testing.TB, err error) *denial.Error {
	t.Helper()
	var d *denial.Error
	if err == nil {
		return &denial.Error{}
	}
	if !errors.As(err, &d) {
		t.Fatalf("%T is no denial: %v", err, err)
	}
	return d
}

// Check fails the test when err is neither nil nor a denial that is fit to be sent.
func Check(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	d := Of(t, err)
	status, ok := statuses[d.Code]
	if (d.Code == denial.CodeReadOnly || d.Code == denial.CodeDeniedOperation) && d.Status == http.StatusOK {
		status = http.StatusOK
	}
	if !ok || status != d.Status || d.Message == "" || len(d.Message) > 1000 || strings.ContainsFunc(d.Message, unprintable) {
		t.Fatalf("an unfit denial: %+v", d)
	}
}

func unprintable(c rune) bool { return c < ' ' || c > '~' }

// Want fails the test when err has another code, or no message. No code means no error.
func Want(t testing.TB, what string, err error, code string) {
	t.Helper()
	d := Of(t, err)
	if d.Code != code || (err != nil) != (code != "") || (d.Message == "") != (code == "") {
		t.Errorf("%.200s: %+v, want code %q", what, d, code)
	}
}

// Watched is h, with a test that fails when an answer to an httptest.ResponseRecorder is not as docs/reference/errors.md
// has it: what is no success has a code and says why, in JSON except for a page or the text for a probe, and nothing else has a code.
func Watched(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		answer, ok := w.(*httptest.ResponseRecorder)
		if !ok {
			return
		}
		header := answer.Result().Header
		codes, kind := header[denial.Header], header.Get("Content-Type")
		if answer.Code < http.StatusBadRequest {
			if len(codes) != 0 {
				t.Errorf("%s %s: %d with the code %q", r.Method, r.URL, answer.Code, codes)
			}
			return
		}
		if len(codes) != 1 || codes[0] == "" {
			t.Errorf("%s %s: %d with the codes %q: %s", r.Method, r.URL, answer.Code, codes, answer.Body)
		}
		var shape map[string]string
		switch {
		case kind == "text/html; charset=utf-8", kind == "text/plain; charset=utf-8":
			if answer.Body.Len() == 0 {
				t.Errorf("%s %s: %d and no word", r.Method, r.URL, answer.Code)
			}
		case kind != "application/json; charset=utf-8" || json.Unmarshal(answer.Body.Bytes(), &shape) != nil || len(shape) != 1 || shape["errors"] == "":
			t.Errorf("%s %s: %d, %s: %s", r.Method, r.URL, answer.Code, kind, answer.Body)
		}
	})
}
