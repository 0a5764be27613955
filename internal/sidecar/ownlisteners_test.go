package sidecar

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"

	"evergate/internal/token"
)

// Addresses change hands while the end begins: what the last edit has opened is closed as well, and nothing is opened after it.
func TestNoListenerOutlivesTheEnd(t *testing.T) {
	t.Parallel()
	var at []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, l.Addr().String())
		_ = l.Close()
	}
	text := func(n int) string {
		return fmt.Sprintf("shops:\n  a: {listen: %q}\n  b: {listen: %q}\n", at[n%3], at[(n+1)%3])
	}
	r := newFleetRigOn(t, func(b token.Backend) token.Backend { return b }, []string{"a", "b"}, text(0), "EVERGATE_SHUTDOWN_DELAY=0s")
	if err := r.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- r.Serve(begin, nil) }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for n := range 12 {
		r.edit(t, text(n))
		r.Reread()
		if n%4 != 3 {
			continue
		}
		eventually(t, func() error {
			r.Reread()
			resp, err := client.Get("http://" + at[(n+1)%3] + "/admin/api/2026-10/shop.json")
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK || len(r.everyListener()) != 3 {
				return fmt.Errorf("%s, with %d listeners", resp.Status, len(r.everyListener()))
			}
			return nil
		})
	}
	var edits sync.WaitGroup
	edits.Go(func() {
		for n := range 50 {
			r.edit(t, text(n))
			r.Reread()
		}
	})
	close(begin)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	edits.Wait()
	r.followFile() // an edit that comes too late
	for _, address := range at {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Errorf("%s is still open: %v", address, err)
			continue
		}
		_ = l.Close()
	}
}
