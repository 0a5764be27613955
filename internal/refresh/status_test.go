package refresh

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/token"
)

func TestStatusSaysHowTheLastAttemptFailed(t *testing.T) {
	t.Parallel()
	for name, decision := range map[string]error{"transient": token.ErrTransient, "config": token.ErrConfig, "reauthorize": token.ErrReauthorize} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEndpoint(t, time.Hour)
				s := newSource(e)
				run(t, s)
				use(t, s, e)
				if st := s.Status(); st.Failing != "" {
					t.Errorf("nothing has failed: %q", st.Failing)
				}
				e.failWith(func() error { return fmt.Errorf("no: %w", decision) })
				_ = s.Refresh(t.Context())
				if st := s.Status(); st.Failing != name || !st.Usable {
					t.Errorf("%q, usable: %t", st.Failing, st.Usable)
				}
				e.failWith(nil)
				time.Sleep(2 * time.Second)
				if err := s.Refresh(t.Context()); err != nil || s.Status().Failing != "" {
					t.Errorf("after a success: %q, %v", s.Status().Failing, err)
				}
			})
		})
	}
}
