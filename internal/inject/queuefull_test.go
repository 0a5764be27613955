package inject

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/denial"
	"evergate/internal/shopsim"
)

func TestWhatACallersShareDoesNotServeIsRefusedWhileOthersWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPaced(t, shopsim.Settings{}, 4*time.Second, 5*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), minute)
		defer cancel()
		var refused atomic.Int64
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				w := httptest.NewRecorder()
				p.ServeHTTP(w, restJob.request(ctx, "greedy"))
				if w.Code != http.StatusServiceUnavailable {
					return
				}
				refused.Add(1)
				retry, err := strconv.Atoi(w.Header().Get("Retry-After"))
				if code := w.Header().Get(denial.Header); code != denial.CodeRateLimitQueueFull || err != nil || retry < 1 || retry > 60 {
					t.Errorf("code %q, Retry-After %q", code, w.Header().Get("Retry-After"))
				}
			})
		}
		synctest.Wait()
		began := time.Now()
		for range 10 {
			if a, ok := p.call(ctx, began, restJob, "modest"); !ok || a.refused || a.took > 2*time.Second {
				t.Errorf("a call took %s, refused: %v", a.took, a.refused)
			}
		}
		group.Wait()
		if refused.Load() == 0 {
			t.Error("all calls of a caller with a hundred were sent, although others waited")
		}
	})
}
