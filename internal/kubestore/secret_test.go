package kubestore

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"evergate/internal/envelope"
	"evergate/internal/store/storetest"
	"evergate/internal/token"
)

const (
	secretsPath = "/api/v1/namespaces/ns/secrets"
	secretPath  = secretsPath + "/evergate-grant-acme"
)

func mustSwap(t *testing.T, s *shopStore, old token.Handle, name string) token.Handle {
	t.Helper()
	h, err := s.Swap(t.Context(), old, storetest.Named(name))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func stored(t *testing.T, s *shopStore) string {
	t.Helper()
	r, _, err := s.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return storetest.NameOf(r)
}

// Whether the answer to a write or the write itself was lost shows later, if at all; no order of the two may be a conflict.
func TestWriteWhoseAnswerWasLostIsKnownAgain(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		f, b := newFake(t)
		s := openShop(t, b)
		var from token.Handle
		if !first {
			from = mustSwap(t, s, "", "before")
		}
		// Seen at once: nobody has to try again.
		f.set(func(req *http.Request, answer func() *http.Response) (*http.Response, error) {
			if req.Method == http.MethodGet {
				return answer(), nil
			}
			return loses(req, answer)
		})
		from = mustSwap(t, s, from, "seen at once")
		// Not even that can be asked: it is tried again, from the same state.
		for range 3 {
			f.set(loses)
			if _, err := s.Swap(t.Context(), from, storetest.Named("lost")); err == nil || strings.Contains(err.Error(), "hunter2") || errors.Is(err, token.ErrConflict) {
				t.Fatalf("without an answer: %v", err)
			}
			f.set(nil)
			from = mustSwap(t, s, from, "tried again")
		}
		if got := stored(t, s); got != "tried again" {
			t.Errorf("stored is %q", got)
		}
		// Another's write from there is one, whatever was lost of ours.
		f.set(func(*http.Request, func() *http.Response) (*http.Response, error) { return nil, errCut })
		if _, err := s.Swap(t.Context(), from, storetest.Named("never arrives")); err == nil {
			t.Fatal("a write that did not arrive succeeds")
		}
		f.set(nil)
		mustSwap(t, openShop(t, f.open(b.client.account)), from, "theirs")
		if _, err := s.Swap(t.Context(), from, storetest.Named("ours")); !errors.Is(err, token.ErrConflict) {
			t.Errorf("over another's write: %v", err)
		}
	}
}

func TestRefusedWriteWasNotDone(t *testing.T) {
	t.Parallel()
	f, b := newFake(t)
	s := openShop(t, b)
	for status, hint := range map[int]string{401: "token", 403: "create, get, list, patch, watch of secrets", 404: "namespace", 413: "1 MiB", 422: "1 MiB", 400: "400"} {
		f.set(func(*http.Request, func() *http.Response) (*http.Response, error) {
			return answer(status, `{"message":"hunter2"}`), nil
		})
		_, err := s.Swap(t.Context(), "", storetest.Named("a"))
		if err == nil || errors.Is(err, token.ErrConflict) || !errors.Is(err, token.ErrTransient) || !strings.Contains(err.Error(), hint) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: %v, want a hint: %s", status, err, hint)
		}
	}
	if s.hasLost("") {
		t.Error("a write that was refused is taken for one that may have been done")
	}
}

func TestPutOffCallsWaitTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, b := newFake(t)
		s := openShop(t, b)
		began := time.Now()
		f.set(func(_ *http.Request, answer func() *http.Response) (*http.Response, error) {
			if time.Since(began) < 7*time.Second {
				r := answer429("7")
				return r, nil
			}
			return answer(), nil
		})
		mustSwap(t, s, "", "a")
		if waited := time.Since(began); waited < 7*time.Second || waited > 9*time.Second {
			t.Errorf("it was tried again after %s, want a little over 7 s", waited)
		}
		if n := f.count("POST " + secretsPath); n != 2 {
			t.Errorf("%d calls, want 2", n)
		}
		// Who comes later waits as well, and for no longer than its own time.
		f.set(func(*http.Request, func() *http.Response) (*http.Response, error) { return answer429("3600"), nil })
		ended := make(chan error, 1)
		go func() { _, _, err := s.Load(t.Context()); ended <- err }()
		synctest.Wait()
		n := f.count("GET " + secretPath)
		if _, err := s.Changed(t.Context(), ""); statusOf(err) != http.StatusTooManyRequests {
			t.Errorf("a server that never serves: %v", err)
		}
		if err := <-ended; statusOf(err) != http.StatusTooManyRequests {
			t.Errorf("a server that never serves: %v", err)
		}
		if n != 1 {
			t.Errorf("%d calls at once, want 1", n)
		}
	})
}

func answer429(seconds string) *http.Response {
	r := answer(http.StatusTooManyRequests, `{"message":"hunter2"}`)
	r.Header.Set("Retry-After", seconds)
	return r
}

func TestTokenIsReadForEachCall(t *testing.T) {
	t.Parallel()
	f, b := newFake(t)
	s := openShop(t, b)
	_, _, _ = s.Load(t.Context())
	if err := os.WriteFile(filepath.Join(string(b.client.account), "token"), []byte("second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, _ = s.Load(t.Context())
	if len(f.tokens) != 2 || f.tokens[0] != "Bearer first" || f.tokens[1] != "Bearer second" {
		t.Errorf("sent %q", f.tokens)
	}
	if err := os.WriteFile(filepath.Join(string(b.client.account), "token"), []byte("first\r\nsecond"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "", storetest.Named("a")); err == nil || !strings.Contains(err.Error(), "more than one line") || len(f.tokens) != 2 {
		t.Errorf("a token of two lines: %v", err)
	}
	if err := os.Remove(filepath.Join(string(b.client.account), "token")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "", storetest.Named("a")); err == nil || !strings.Contains(err.Error(), "automountServiceAccountToken") || s.hasLost("") {
		t.Errorf("without a token: %v", err)
	}
	if err := os.Mkdir(filepath.Join(string(b.client.account), "token"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "", storetest.Named("a")); err == nil || !strings.Contains(err.Error(), "a directory, and no file") {
		t.Errorf("a token that is no file: %v", err)
	}
}

func TestSecretThatIsNoRecordIsNeitherTakenNorReplaced(t *testing.T) {
	t.Parallel()
	plain, err := envelope.Codec{Shop: storetest.Shop()}.Encode(storetest.Named("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string]any{"plain": {"record": plain}, "other": {"password": []byte("hunter2")}, "none": nil} {
		f, b := newFake(t)
		f.objects[secretPath] = map[string]any{"metadata": map[string]any{"name": "evergate-grant-acme", "uid": "u", "resourceVersion": "1"}, "data": data}
		s := openShop(t, b)
		if _, _, err := s.Load(t.Context()); !errors.Is(err, envelope.ErrUnreadable) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want envelope.ErrUnreadable", name, err)
		}
		if _, err := s.Swap(t.Context(), "", storetest.Named("a")); !errors.Is(err, token.ErrConflict) {
			t.Errorf("%s: it is replaced: %v", name, err)
		}
	}
}
