package denial

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestAnAnswerHasTheShapeThatClientsParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what       string
		err        error
		status     int
		body       string
		code       string
		retryAfter string
	}{
		{"plain", New(http.StatusForbidden, CodeDeniedPath, `no "x"`), 403, `{"errors":"no \"x\""}`, CodeDeniedPath, ""},
		{"GraphQL", New(http.StatusOK, CodeReadOnly, "no"), 200, `{"errors":[{"message":"no","extensions":{"code":"ACCESS_DENIED"}}]}`, CodeReadOnly, ""},
		{"rounded up", &Error{Status: 503, Code: CodeNoToken, Message: "no", RetryAfter: 1100 * time.Millisecond}, 503, `{"errors":"no"}`, CodeNoToken, "2"},
		{"never zero", &Error{Status: 503, Code: CodeNoToken, Message: "no", RetryAfter: time.Nanosecond}, 503, `{"errors":"no"}`, CodeNoToken, "1"},
	} {
		var d *Error
		if !errors.As(fmt.Errorf("wrapped: %w", c.err), &d) {
			t.Fatalf("%s: %T is no *Error", c.what, c.err)
		}
		w := httptest.NewRecorder()
		d.Answer(w)
		if w.Code != c.status || w.Body.String() != c.body || w.Header().Get(Header) != c.code || w.Header().Get("Retry-After") != c.retryAfter {
			t.Errorf("%s: %d %v %s", c.what, w.Code, w.Header(), w.Body)
		}
	}
}

func TestAnErrorOfAnotherKindIsNoLeaveToPass(t *testing.T) {
	t.Parallel()
	if d := Of(nil); d != nil {
		t.Errorf("%v for no error", d)
	}
	if d := Of(errors.New("x")); d == nil || d.Status != http.StatusForbidden {
		t.Errorf("%v for an unknown error", d)
	}
	if d := Of(fmt.Errorf("y: %w", New(http.StatusNotFound, CodeUnknownShop, "z"))); d.Code != CodeUnknownShop {
		t.Errorf("%v for a wrapped denial", d)
	}
}

func TestOnlyDenialsOfCallersAreAboutThem(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		CodeReadOnly: true, CodeUnauthenticated: true, CodeGraphQLTooLarge: true,
		CodeDeniedPath: false, CodeCrossSite: false, CodeNoToken: false, CodeNotLocal: false,
	} {
		if got := (&Error{Status: 403, Code: code}).AboutCaller(); got != want {
			t.Errorf("%s: %t", code, got)
		}
	}
}
