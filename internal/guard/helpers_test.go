package guard

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"evergate/internal/access"
	"evergate/internal/denial/denialtest"
	"evergate/internal/limit"
	"evergate/internal/listen"
	"evergate/internal/request"
)

// serveAccess answers on address with who the caller is, or why it may not pass.
func serveAccess(t *testing.T, a *access.Access, address listen.Address) net.Listener {
	t.Helper()
	admission := newAdmission(t)
	admission.access = a
	// As the sidecar does, so that what wraps a connection hides nobody.
	opened, _, err := a.Listen(t.Context(), []listen.Address{address}, access.Wrappers{First: limit.NewConnections(10, limit.NewBudget(1<<20), 0).Wrap})
	if err != nil {
		t.Fatal(err)
	}
	l := opened[0].Listener
	srv := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, BaseContext: a.BaseContext, ConnContext: a.ConnContext, ConnState: limit.State, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := admission.Admit(view(r))
			w.Header().Set("X-Caller", p.Caller.Name)
			w.Header().Set("X-Base", p.Origin()+p.Prefix)
			if p.Caller.Key != nil {
				w.Header().Set("X-Kind", kindOf(p.Caller.Key))
			}
			if err != nil {
				denialtest.Of(t, err).Answer(w)
			}
		}),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l
}

func kindOf(key any) string {
	switch k := key.(type) {
	case net.Conn:
		return "connection"
	case string:
		return "name " + k
	}
	switch what, text := fmt.Sprintf("%T", key), fmt.Sprint(key); what {
	case "caller.userID":
		return "user " + text
	case "caller.certKey":
		return "certificate " + text
	}
	return "?"
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "guard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "evergate.sock")
}

func view(r *http.Request) *request.Request {
	v := request.Of(r)
	return &v
}
